import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { SecretBox, SecretUnreadable } from './index.js';

const key = randomBytes(32);
const box = new SecretBox(key);

test('what was sealed opens to the same text, and the sealed text does not contain it', () => {
  const { sealed } = box.seal('whsec_grüße');
  expect(sealed).not.toContain('whsec');
  expect(box.open(sealed)).toBe('whsec_grüße');
});

test('the same secret is sealed differently each time, with the same fingerprint', () => {
  const [one, two] = [box.seal('a'), box.seal('a')];
  expect(one.sealed).not.toBe(two.sealed);
  expect(one.fingerprint).toBe(two.fingerprint);
  expect(box.seal('b').fingerprint).not.toBe(one.fingerprint);
});

test('a fingerprint cannot be made without the key', () => {
  expect(new SecretBox(randomBytes(32)).seal('a').fingerprint).not.toBe(box.seal('a').fingerprint);
});

describe('after a rotation', () => {
  const rotated = new SecretBox(randomBytes(32), key);

  test('what the previous key sealed still opens', () => {
    expect(rotated.open(box.seal('old').sealed)).toBe('old');
  });

  test('new secrets are sealed with the new key only', () => {
    expect(() => box.open(rotated.seal('new').sealed)).toThrow(/which this process does not have/);
  });
});

describe('an altered sealed secret is refused', () => {
  const { sealed } = box.seal('secret');
  const [version, keyId, body] = sealed.split('.') as [string, string, string];
  const bytes = Buffer.from(body, 'base64url');

  test.each([...bytes.keys()])('with a bit of byte %i flipped', (at) => {
    const altered = Buffer.from(bytes);
    altered[at]! ^= 1;
    expect(() => box.open(`${version}.${keyId}.${altered.toString('base64url')}`)).toThrow(SecretUnreadable);
  });

  test.each([0, 11, 12, 27, 28, bytes.length - 1])('cut to %i bytes', (length) => {
    const cut = bytes.subarray(0, length).toString('base64url');
    expect(() => box.open(`${version}.${keyId}.${cut}`)).toThrow(/altered or cut off/);
  });

  test('moved under the name of another key', () => {
    const other = randomBytes(32);
    const otherId = new SecretBox(other).seal('x').sealed.split('.')[1];
    expect(() => new SecretBox(other, key).open(`${version}.${otherId}.${body}`)).toThrow(SecretUnreadable);
  });

  test('that is not a sealed secret at all', () => {
    expect(() => box.open('plain')).toThrow(SecretUnreadable);
  });
});

test('a key of another length than 32 bytes is refused', () => {
  expect(() => new SecretBox(Buffer.alloc(16))).toThrow('must be 32 bytes long; it has 16');
});
