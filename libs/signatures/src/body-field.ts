import { isUtf8 } from 'node:buffer';
import { JsonTooDeep, LosslessNumber, parseJson } from '#libs/json';
import type { Json } from '#libs/json';
import { SignatureMalformed } from './signature.errors.js';

/** The value of a JSON body. @throws SignatureMalformed */
export function jsonOf(rawBody: Buffer): Json {
  try {
    if (isUtf8(rawBody)) return parseJson(rawBody.toString('utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof JsonTooDeep)) throw error;
  }
  throw new SignatureMalformed('The body is not JSON, in which a part of the signature would stand');
}

/** The value at a path of a JSON value; undefined if there is none. @param path names with dots between */
export function valueAt(value: Json, path: string): Json | undefined {
  let found: Json | undefined = value;
  for (const name of path.split('.')) {
    if (found === null || typeof found !== 'object' || Array.isArray(found) || found instanceof LosslessNumber) return undefined;
    found = Object.hasOwn(found, name) ? found[name] : undefined;
    if (found === undefined) return undefined;
  }
  return found;
}

/** The text at a path, of a number its digits, of a boolean its word; undefined if there is none. */
export function textAt(value: Json, path: string): string | undefined {
  const found = valueAt(value, path);
  if (found instanceof LosslessNumber) return String(found);
  return found === undefined || found === null || typeof found === 'object' ? undefined : String(found);
}
