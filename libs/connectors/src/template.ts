import { templateParts } from '#libs/contracts';
import { LosslessNumber } from '#libs/json';
import type { OperationScope } from './connector.js';
import { InputRefused } from './operation.errors.js';

/** A template that was compiled. @throws InputRefused if a value is missing, or none that can stand there */
export type Template = (scope: OperationScope) => string;

/** Compiles a template. Each value goes through `encode`, which may throw {@link InputRefused}. */
export function compileTemplate(text: string, encode: (value: string, path: string) => string): Template {
  const expand = compileOptionalTemplate(text, encode);
  return (scope) => expand(scope)!;
}

/** The same of a template that may have optional values. It yields undefined if one of them is missing, null or empty. */
export function compileOptionalTemplate(
  text: string,
  encode: (value: string, path: string) => string,
): (scope: OperationScope) => string | undefined {
  const parts = templateParts(text)!;
  return (scope) => {
    let expanded = '';
    for (const part of parts) {
      if (typeof part === 'string') expanded += part;
      else {
        const name = part.path.join('.');
        const value = valueAt(scope, part.path);
        if (part.isOptional && (value === undefined || value === null || value === '')) return undefined;
        expanded += encode(textOf(value, name), name);
      }
    }
    return expanded;
  };
}

/** One segment of a path, or a part of one: everything but letters, digits and `-._~` is encoded (RFC 3986 §2.3). */
export function encodedForPath(value: string, path: string): string {
  try {
    return encodeURIComponent(value).replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  } catch (cause) {
    throw new InputRefused(`${path} is no text that can stand in an address: half of a character is missing`, { cause });
  }
}

/** @throws InputRefused if the value would end the header or hide a part of it */
export function checkedForHeader(value: string, path: string): string {
  if (/^[\x20-\x7e]*$/.test(value) && value.trim() === value) return value;
  throw new InputRefused(`${path} holds characters that cannot stand in a header: it must be visible ASCII without spaces around it`);
}

/** The text of a value that can stand in an address or a header; undefined if it is none. */
export function plainText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' || value instanceof LosslessNumber ? String(value) : undefined;
}

function valueAt(scope: OperationScope, path: readonly string[]): unknown {
  let value: unknown = scope;
  for (const key of path)
    value = typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? value[key as never] : undefined;
  return value;
}

function textOf(value: unknown, name: string): string {
  const text = plainText(value);
  if (text === undefined) throw new InputRefused(`${name} is ${value === undefined ? 'missing' : 'neither text nor a number'}`);
  if (text === '') throw new InputRefused(`${name} is empty`);
  return text;
}
