import { templateParts } from '#libs/contracts';
import { LosslessNumber } from '#libs/json';
import type { OperationScope } from './connector.js';
import { InputRefused } from './operation.errors.js';

/** A template that was compiled. @throws InputRefused if a value is missing, or none that can stand there */
export type Template = (scope: OperationScope) => string;

/** Compiles a template. Each value goes through `encode`, which may throw {@link InputRefused}. */
export function compileTemplate(text: string, encode: (value: string, path: string) => string): Template {
  const parts = templateParts(text)!;
  return (scope) =>
    parts
      .map((part) => {
        if (typeof part === 'string') return part;
        const path = part.join('.');
        return encode(textAt(scope, part, path), path);
      })
      .join('');
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

function textAt(scope: OperationScope, path: readonly string[], name: string): string {
  let value: unknown = scope;
  for (const key of path)
    value = typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? value[key as never] : undefined;
  const text = plainText(value);
  if (text === undefined) throw new InputRefused(`${name} is ${value === undefined ? 'missing' : 'neither text nor a number'}`);
  if (text === '') throw new InputRefused(`${name} is empty`);
  return text;
}
