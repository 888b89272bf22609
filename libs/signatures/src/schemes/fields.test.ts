import { createHmac } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { signatureScheme } from '#libs/contracts';
import { createVerifier } from '../create-verifier.js';
import { SignatureExpired, SignatureMalformed, SignatureMismatch, SignatureMissing } from '../signature.errors.js';
import { asReceived, refuseNoise } from '../tampering.js';

const secret = 'a secret';
const nowMs = 1_900_000_000_000;
const mac = (text: string) => createHmac('sha256', secret).update(text).digest('hex');
const verifierOf = (scheme: object) => createVerifier(signatureScheme.parse({ kind: 'fields', ...scheme }), [secret]);
const received = (body: unknown) => asReceived({ headers: {}, body: typeof body === 'string' ? body : JSON.stringify(body) });

describe('fields with a separator', () => {
  const verifier = verifierOf({ each: 'items', signature: 'sig', signed: ['a', 'note', 'n.v'], separator: ':', freeField: 'note' });
  type Value = string | number | boolean | undefined;
  const item = (a: Value, note: Value, v: Value, sig?: unknown) => ({
    a,
    note,
    n: { v },
    sig: sig ?? mac(`${a ?? ''}:${note}:${v}`),
  });
  const verdict =
    (...items: unknown[]) =>
    () =>
      verifier.verify(received({ items }), nowMs);

  test('each element carries a signature of its own', () => {
    expect(verdict(item('x', 'y', 1), item(undefined, 'y', true))).not.toThrow();
    expect(verdict(item('x', 'y', 1), item('x', 'y', 1, mac('other')))).toThrow(SignatureMismatch);
  });

  test('one field can hold the separator, and no other: the values could be cut elsewhere', () => {
    expect(verdict(item('x', 'y:z', 1))).not.toThrow();
    expect(verdict({ ...item('x', 'y:z', 1), a: 'x:y', note: 'z' })).toThrow('The field a contains :');
  });

  test('a number is signed by its digits, as it was written', () => {
    const body = `{"items":[{"a":"x","note":"y","n":{"v":9007199254740993.10},"sig":"${mac('x:y:9007199254740993.10')}"}]}`;
    expect(() => verifier.verify(received(body), nowMs)).not.toThrow();
  });

  test('without elements, without a signature or with one that is written otherwise it is refused', () => {
    for (const body of [{}, [], null, 'text', { items: [] }, { items: {} }, { items: [7] }, { items: [item('x', 'y', 1, '')] }]) {
      expect(() => verifier.verify(received(body), nowMs)).toThrow(body === 'text' ? SignatureMalformed : SignatureMissing);
    }
    const good = mac('x:y:1');
    const written = [good.slice(2), `${good}00`, Buffer.from(good, 'hex').toString('base64'), ` ${good}`, 7, true];
    for (const sig of written) expect(verdict(item('x', 'y', 1, sig))).toThrow(SignatureMalformed);
    for (const sig of [[good], { good }, null]) expect(verdict({ ...item('x', 'y', 1), sig })).toThrow(SignatureMissing);
  });

  test('a body that is no JSON, or too deep, is refused', () => {
    for (const body of ['', '{', '['.repeat(1_000), '\u0000'])
      expect(() => verifier.verify(received(body), nowMs)).toThrow(SignatureMalformed);
    expect(() => verifier.verify(asReceived({ headers: {}, body: Buffer.from([0x22, 0xff, 0x22]) }), nowMs)).toThrow(SignatureMalformed);
  });
});

describe('a value that is used once', () => {
  const verifier = verifierOf({ signature: 'sig', signed: ['t', 'once'], timestampField: 't', onceField: 'once' });
  const body = (once: string, more: object = {}, t = nowMs / 1_000) => ({ t: String(t), once, sig: mac(`${t}${once}`), ...more });
  const verdict =
    (value: object, atMs = nowMs) =>
    () =>
      verifier.verify(received(value), atMs);

  test('is accepted again with the same body, and refused with another', () => {
    expect(verdict(body('a', { amount: 1 }))).not.toThrow();
    expect(verdict(body('a', { amount: 1 }))).not.toThrow();
    expect(verdict(body('a', { amount: 1_000_000 }))).toThrow('came with another body before');
    expect(verdict(body('b', { amount: 1_000_000 }))).not.toThrow();
  });

  test('is not remembered from a request that was refused', () => {
    expect(verdict({ ...body('c', { amount: 2 }), sig: mac('guess') })).toThrow(SignatureMismatch);
    expect(verdict(body('c', { amount: 3 }))).not.toThrow();
  });

  test('is refused outside of the tolerance', () => {
    expect(verdict(body('d'), nowMs + 300_000)).not.toThrow();
    expect(verdict(body('e'), nowMs + 301_000)).toThrow(SignatureExpired);
    expect(verdict(body('f', {}, nowMs / 1_000 + 301))).toThrow(SignatureExpired);
    const soon = { t: 'soon', once: 'g', sig: mac('soong') };
    expect(verdict(soon)).toThrow('not made of digits');
  });
});

test('what is made up is refused', () => {
  const verifier = verifierOf({ signature: 'sig', signed: ['a'] });
  refuseNoise(fc, verifier, { headers: { 'x-a': 'b' }, body: JSON.stringify({ a: 1, sig: mac('1') }) }, nowMs);
  fc.assert(
    fc.property(fc.json(), fc.object(), (text, value) => {
      for (const body of [text, JSON.stringify({ sig: '0'.repeat(64), a: value })]) {
        expect(() => verifier.verify(received(body), nowMs)).toThrow(/signature|field|JSON/i);
      }
    }),
  );
});

test('a timestamp or a value used once that is not signed is refused', () => {
  expect(() => verifierOf({ signature: 'sig', signed: ['a'], timestampField: 't' })).toThrow('must be one of the signed fields');
  expect(() => verifierOf({ signature: 'sig', signed: ['a'], onceField: 'a' })).toThrow('needs a timestampField');
});
