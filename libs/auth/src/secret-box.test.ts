import { createCipheriv, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { SecretBox, SecretUnbound, SecretUnreadable } from './index.js';

const key = randomBytes(32);
const box = new SecretBox(key);
const place = { tenant: 'acme', kind: 'Destination', name: 'crm', field: 'spec.secret' };

test('what was sealed opens to the same text, and the sealed text does not contain it', () => {
  const { sealed } = box.seal('whsec_grüße', place);
  expect(sealed).not.toContain('whsec');
  expect(box.open(sealed, place)).toBe('whsec_grüße');
});

test('the same secret is sealed differently each time, with the same fingerprint', () => {
  const [one, two] = [box.seal('a', place), box.seal('a', place)];
  expect(one.sealed).not.toBe(two.sealed);
  expect(one.fingerprint).toBe(two.fingerprint);
  expect(box.seal('b', place).fingerprint).not.toBe(one.fingerprint);
});

test('a fingerprint cannot be made without the key', () => {
  expect(new SecretBox(randomBytes(32)).seal('a', place).fingerprint).not.toBe(box.seal('a', place).fingerprint);
});

describe('after a rotation', () => {
  const rotated = new SecretBox(randomBytes(32), key);

  test('what the previous key sealed still opens', () => {
    expect(rotated.open(box.seal('old', place).sealed, place)).toBe('old');
  });

  test('new secrets are sealed with the new key only', () => {
    expect(() => box.open(rotated.seal('new', place).sealed, place)).toThrow(/which this process does not have/);
  });
});

describe('an altered sealed secret is refused', () => {
  const { sealed } = box.seal('secret', place);
  const [version, keyId, body] = sealed.split('.') as [string, string, string];
  const bytes = Buffer.from(body, 'base64url');

  test.each([...bytes.keys()])('with a bit of byte %i flipped', (at) => {
    const altered = Buffer.from(bytes);
    altered[at]! ^= 1;
    expect(() => box.open(`${version}.${keyId}.${altered.toString('base64url')}`, place)).toThrow(SecretUnreadable);
  });

  test.each([0, 11, 12, 27, 28, bytes.length - 1])('cut to %i bytes', (length) => {
    const cut = bytes.subarray(0, length).toString('base64url');
    expect(() => box.open(`${version}.${keyId}.${cut}`, place)).toThrow(/or was altered/);
  });

  test('moved under the name of another key', () => {
    const other = randomBytes(32);
    const otherId = new SecretBox(other).seal('x', place).sealed.split('.')[1];
    expect(() => new SecretBox(other, key).open(`${version}.${otherId}.${body}`, place)).toThrow(SecretUnreadable);
  });

  test('that is not a sealed secret at all', () => {
    expect(() => box.open('plain', place)).toThrow(SecretUnreadable);
  });
});

describe('a sealed secret is bound to its place', () => {
  const { sealed } = box.seal('secret', place);
  const elsewhere = [
    ['another tenant', { tenant: 'globex' }],
    ['another kind', { kind: 'Source' }],
    ['another document', { name: 'erp' }],
    ['another field', { field: 'spec.headers.authorization' }],
    ['a place whose parts give the same text', { kind: 'Destinatio', name: 'ncrm' }],
  ] as const;

  test.each(elsewhere)('%s cannot open it', (_, other) => {
    expect(() => box.open(sealed, { ...place, ...other })).toThrow(/does not belong to \S+ of \S+ of \S+, or was altered; set it again/);
    expect(() => box.openStored(sealed, { ...place, ...other })).toThrow(SecretUnreadable);
  });

  test.each(elsewhere)('%s shows another fingerprint of the same text', (_, other) => {
    expect(box.fingerprint('secret', { ...place, ...other })).not.toBe(box.fingerprint('secret', place));
  });
});

describe('a secret in the first format, which is bound to no place,', () => {
  const keyId = box.seal('x', place).sealed.split('.')[1];
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(`v1.${keyId}`));
  const ciphertext = Buffer.concat([cipher.update('old'), cipher.final()]);
  const sealed = `v1.${keyId}.${Buffer.concat([nonce, cipher.getAuthTag(), ciphertext]).toString('base64url')}`;

  test('opens where the database has it', () => {
    expect(box.openStored(sealed, place)).toBe('old');
  });

  test('does not open where somebody brings it, and is never made', () => {
    expect(() => box.open(sealed, place)).toThrow(SecretUnbound);
    expect(box.isCurrent(sealed)).toBe(false);
    expect(box.isCurrent(box.seal('new', place).sealed)).toBe(true);
  });

  test('is not another format under its name', () => {
    expect(() => box.open(sealed.replace('v1', 'v2'), place)).toThrow(SecretUnreadable);
    expect(() => box.openStored(box.seal('new', place).sealed.replace('v2', 'v1'), place)).toThrow(SecretUnreadable);
  });
});

test('a key of another length than 32 bytes is refused', () => {
  expect(() => new SecretBox(Buffer.alloc(16))).toThrow('must be 32 bytes long; it has 16');
});
