import { isUtf8 } from 'node:buffer';
import { bodyFormat, parseBody } from '#libs/contracts';
import { JsonTooDeep } from '#libs/json';
import type { Json } from '#libs/json';
import { BodyMalformed } from './body.errors.js';

export interface ParsedBody {
  readonly value: Json;
  /** The bytes as text, if they are JSON: it has no raw control characters. */
  readonly text?: string;
}

/**
 * Parses a body by its content type. Call it only for a verified request.
 * @param field the field that an error names
 * @throws BodyMalformed
 */
export function readBody(contentType: string, bytes: Buffer, field: string): ParsedBody {
  if (bodyFormat(contentType) !== 'json') return { value: parseBody(contentType, bytes) };
  const text = jsonTextOf(bytes, field);
  return { value: readJson(text, field), text }; // JSON has control characters only as escapes
}

/** The text of bytes that are JSON. @throws BodyMalformed if they are not UTF-8 */
export function jsonTextOf(bytes: Buffer, field: string): string {
  if (!isUtf8(bytes)) throw new BodyMalformed(field, 'is not UTF-8, as JSON must be');
  return bytes.toString('utf8');
}

/** @throws BodyMalformed */
export function readJson(text: string, field: string): Json {
  try {
    return parseBody('application/json', text);
  } catch (error) {
    if (error instanceof JsonTooDeep) throw new BodyMalformed(field, error.message);
    if (error instanceof SyntaxError) throw new BodyMalformed(field, 'is not JSON');
    throw error;
  }
}
