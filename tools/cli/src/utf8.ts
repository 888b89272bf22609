import { isUtf8 } from 'node:buffer';
import { CliFailure } from './failure.js';

export const notUtf8 = 'is not UTF-8; save it in that encoding';

/** The text of the bytes. @throws CliFailure if they are not UTF-8, because parts of the text would be replaced silently */
export function utf8In(bytes: Buffer, name: string, firstLine = 1): string {
  const place = placeOfNonUtf8(bytes, firstLine);
  if (place !== undefined) throw new CliFailure(`${name}:${place} ${notUtf8}`, 'unusable');
  return bytes.toString('utf8');
}

/** `line:column` of the first byte that is not UTF-8. @param firstLine the number of the first line */
export function placeOfNonUtf8(bytes: Buffer, firstLine = 1): string | undefined {
  if (isUtf8(bytes)) return undefined;
  const lineFeed = 0x0a;
  for (let start = 0, line = firstLine; ; line += 1) {
    const end = bytes.indexOf(lineFeed, start);
    const inLine = bytes.subarray(start, end === -1 ? bytes.length : end);
    if (!isUtf8(inLine)) {
      const replaced = Buffer.from(inLine.toString('utf8'));
      const at = inLine.findIndex((byte, index) => byte !== replaced[index]);
      return `${line}:${inLine.subarray(0, at).toString('utf8').length + 1}`;
    }
    start = end + 1;
  }
}
