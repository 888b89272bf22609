import { createHmac } from 'node:crypto';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { HmacKey } from './hmac-key.js';

const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));

test.each(['sha1', 'sha256', 'sha512'] as const)('HMAC-%s is what node:crypto makes of it, for any key and text', (hashName) => {
  fc.assert(
    fc.property(bytes(200), fc.array(bytes(300), { minLength: 1, maxLength: 3 }), (secret, texts) => {
      const key = new HmacKey(hashName, secret);
      for (const text of texts) {
        const made = key.sign(Buffer.concat([Buffer.alloc(key.blockBytes), text]));
        expect(made.toString('hex')).toBe(createHmac(hashName, secret).update(text).digest('hex'));
        expect(made.length).toBe(key.digestBytes);
      }
    }),
  );
});
