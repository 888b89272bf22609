import { signatureScheme } from '#libs/contracts';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createVerifier } from '../create-verifier.js';
import { SecretInvalid, SignatureMalformed, SignatureMismatch, SignatureMissing } from '../signature.errors.js';
import { refuseNoise, acceptedTampering, asReceived } from '../tampering.js';

const scheme = signatureScheme.parse({ kind: 'basic' });
const verifier = createVerifier(scheme, ['old:secret', 'partner:pass:wörd']);
const encoded = (credentials: string) => Buffer.from(credentials).toString('base64');
const check = (authorization?: string) => () =>
  verifier.verify(asReceived({ headers: authorization === undefined ? {} : { authorization }, body: 'x' }), 0);

test('active credentials are accepted; the name of the method is case-insensitive', () => {
  expect(check(`Basic ${encoded('partner:pass:wörd')}`)).not.toThrow();
  expect(check(`basic ${encoded('old:secret')}`)).not.toThrow();
});

test('other credentials are refused', () => {
  for (const wrong of ['partner:pass', 'partner:', ':', 'old:secre', 'old:secrets', 'old']) {
    expect(check(`Basic ${encoded(wrong)}`)).toThrow(SignatureMismatch);
  }
});

test('what is not Basic and canonical base64 is refused', () => {
  expect(check()).toThrow(SignatureMissing);
  const right = encoded('old:secret');
  for (const wrong of [right, `Bearer ${right}`, `Basic ${right} `, `Basic ${right.replaceAll('=', '')}`, 'Basic ?', `Basic  ${right}`]) {
    expect(check(wrong)).toThrow(SignatureMalformed);
  }
});

test('with any byte flipped it is refused, but for the case of the method’s name', () => {
  const accepted = acceptedTampering(verifier, { headers: { authorization: `Basic ${encoded('old:secret')}` }, body: '' }, 0);
  expect(accepted).toEqual([0, 1, 2, 3, 4].map((at) => `byte ${at} of authorization, bit 32`));
});

test('no made-up credentials are accepted, and none fail in another way', () => {
  refuseNoise(fc, verifier, { headers: { authorization: `Basic ${encoded('old:secret')}` }, body: '' }, 0, { base64: 'authorization' });
});

test('a secret without a colon is refused', () => {
  expect(() => createVerifier(scheme, ['no colon'])).toThrow(SecretInvalid);
});
