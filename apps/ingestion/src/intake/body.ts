import { isUtf8 } from 'node:buffer';
import { bodyFormat, parseBody } from '#libs/contracts';
import type { Json } from '#libs/contracts';
import { BodyMalformed } from './request.errors.js';

export interface Reading {
  readonly value: Json;
  /** The very bytes as text without control characters, where reading them has shown that they are. */
  readonly text?: string;
}

/**
 * What the bytes say by their content type. Only for a caller that has been verified.
 * @param field what an error names
 * @throws BodyMalformed
 */
export function readBody(contentType: string, bytes: Buffer, field: string): Reading {
  if (bodyFormat(contentType) !== 'json') return { value: parseBody(contentType, bytes) };
  if (!isUtf8(bytes)) throw new BodyMalformed(field, 'is not UTF-8, as JSON must be');
  const text = bytes.toString('utf8');
  try {
    return { value: parseBody(contentType, text), text }; // JSON has control characters only as escapes
  } catch (error) {
    if (error instanceof SyntaxError) throw new BodyMalformed(field, 'is not JSON');
    throw error;
  }
}
