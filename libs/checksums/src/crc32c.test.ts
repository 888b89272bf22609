import fc from 'fast-check';
import { expect, test } from 'vitest';
import { crc32c } from './crc32c.js';

/** RFC 3720, B.4. */
test.each([
  ['32 zeros', Buffer.alloc(32), 0x8a91_36aa],
  ['32 ones', Buffer.alloc(32, 0xff), 0x62a8_ab43],
  ['ascending', Buffer.from(Array.from({ length: 32 }, (_, at) => at)), 0x46dd_794e],
  ['the check string', Buffer.from('123456789'), 0xe306_9283],
])('%s has the checksum of the RFC', (_, data, checksum) => {
  expect(crc32c(data)).toBe(checksum);
});

test('eight bytes at a time make the same checksum as one at a time', () => {
  const slow = (data: Uint8Array): number => {
    let crc = 0xffff_ffff;
    for (const byte of data) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1;
    }
    return ~crc >>> 0;
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 50 }), (data) => crc32c(Buffer.from(data)) === slow(data)));
});
