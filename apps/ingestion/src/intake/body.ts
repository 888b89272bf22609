import { isUtf8 } from 'node:buffer';
import { bodyFormat, parseBody } from '#libs/contracts';
import type { Json } from '#libs/contracts';
import { BodyMalformed } from './request.errors.js';

/**
 * What the bytes say by their content type. Only for a caller that has been verified.
 * @param field what an error names
 * @throws BodyMalformed
 */
export function readBody(contentType: string, bytes: Buffer, field: string): Json {
  if (bodyFormat(contentType) === 'json' && !isUtf8(bytes)) throw new BodyMalformed(field, 'is not UTF-8, as JSON must be');
  try {
    return parseBody(contentType, bytes);
  } catch (error) {
    if (error instanceof SyntaxError) throw new BodyMalformed(field, 'is not JSON');
    throw error;
  }
}
