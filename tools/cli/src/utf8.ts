import { isUtf8 } from 'node:buffer';
import { linesOf } from '#libs/json';
import { CliFailure } from './failure.js';

export const notUtf8 = 'is not UTF-8; save it in that encoding';

/** The text of the bytes. @throws CliFailure if they are not UTF-8, because parts of the text would be replaced silently */
export function utf8In(bytes: Buffer, name: string): string {
  const place = placeOfNonUtf8(bytes);
  if (place !== undefined) throw new CliFailure(`${name}:${place} ${notUtf8}`, 'unusable');
  return bytes.toString('utf8');
}

/** `line:column` of the first byte that is not UTF-8. */
export function placeOfNonUtf8(bytes: Buffer): string | undefined {
  if (isUtf8(bytes)) return undefined;
  const lines = [...linesOf(bytes)];
  const at = lines.findIndex((line) => !isUtf8(line));
  return `${at + 1}:${columnOfNonUtf8(lines[at]!)}`;
}

/** The column, from 1, of the first byte that is not UTF-8. @param line has such a byte */
export function columnOfNonUtf8(line: Buffer): number {
  const replaced = Buffer.from(line.toString('utf8'));
  const at = line.findIndex((byte, index) => byte !== replaced[index]);
  return line.subarray(0, at).toString('utf8').length + 1;
}
