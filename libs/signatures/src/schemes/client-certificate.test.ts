import { readFileSync } from 'node:fs';
import { X509Certificate } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { signatureScheme } from '#libs/contracts';
import { createVerifier } from '../create-verifier.js';
import { SecretInvalid, SignatureMalformed, SignatureMismatch, SignatureMissing } from '../signature.errors.js';
import { asReceived, refuseNoise } from '../tampering.js';

const file = (name: string) => readFileSync(new URL(`certificate-fixtures/${name}.pem`, import.meta.url), 'utf8');
const base64 = (name: string) => new X509Certificate(file(name)).raw.toString('base64');
const [root, intermediate] = [file('root'), file('intermediate')];
const nowMs = Date.parse('2030-01-01T00:00:00Z');
const verifierOf = (scheme: object, ...secrets: string[]) =>
  createVerifier(signatureScheme.parse({ kind: 'client-certificate', subjects: ['hooks.example.com'], ...scheme }), secrets);
const verifier = verifierOf({}, root + intermediate);
const proxied = (value: string, header = 'client-cert') => ({
  ...asReceived({ headers: value === '' ? {} : { [header]: value }, body: '{}' }),
  isProxied: true,
});
const check =
  (value: string, by = verifier, atMs = nowMs) =>
  () =>
    by.verify(proxied(value), atMs);

describe('the certificate that a proxy has seen', () => {
  test.each([
    ['base64 between colons', `:${base64('signer-ec')}:`],
    ['base64', base64('signer-ec')],
    ['PEM, percent-encoded', encodeURIComponent(file('signer-rsa'))],
    ['PEM without line breaks', file('signer-ec').replaceAll('\n', ' ')],
  ])('is read as %s', (_, value) => {
    expect(check(value)).not.toThrow();
  });

  test('can bring its intermediate ones', () => {
    const byRoot = verifierOf({}, root);
    expect(check(`:${base64('signer-ec')}:`, byRoot)).toThrow(SignatureMismatch);
    expect(check(`:${base64('signer-ec')}:, :${base64('intermediate')}:`, byRoot)).not.toThrow();
  });

  test('is believed of a trusted proxy only', () => {
    const request = proxied(`:${base64('signer-ec')}:`);
    expect(() => verifier.verify({ ...request, isProxied: false }, nowMs)).toThrow('does not come through a proxy');
    expect(() => verifier.verify(asReceived({ headers: { 'client-cert': base64('signer-ec') }, body: '{}' }), nowMs)).toThrow(
      SignatureMismatch,
    );
  });

  test.each(['other-host', 'strange-signer', 'issued-by-signer', 'intermediate'])('is refused where it is %s', (name) => {
    expect(check(base64(name))).toThrow(SignatureMismatch);
  });

  test('is refused when it has ended', () => {
    const { validToDate } = new X509Certificate(file('short-signer'));
    expect(check(base64('short-signer'), verifier, validToDate.getTime())).not.toThrow();
    expect(check(base64('short-signer'), verifier, validToDate.getTime() + 1_000)).toThrow(SignatureMismatch);
  });

  test('can be found by its common name', () => {
    expect(check(base64('signer-ec'), verifierOf({ subjects: ['signer-ec'] }, root + intermediate))).not.toThrow();
  });

  test('must be there, once, and a certificate', () => {
    expect(check('')).toThrow(SignatureMissing);
    for (const value of ['AAAA', ':AAAA:', ':', '-----BEGIN CERTIFICATE-----', '%']) expect(check(value)).toThrow(SignatureMalformed);
    const twice = { ...proxied(base64('signer-ec')), rawHeaders: ['client-cert', base64('signer-ec'), 'Client-Cert', base64('signer-ec')] };
    expect(() => verifier.verify(twice, nowMs)).toThrow('was sent 2 times');
  });
});

test('what is made up is refused', () => {
  refuseNoise(
    fc,
    { verify: (request, atMs) => verifier.verify({ ...request, isProxied: true }, atMs) },
    { headers: { 'client-cert': base64('signer-ec') }, body: '' },
    nowMs,
    { base64: 'client-cert' },
  );
});

test('a secret without a root certificate is refused', () => {
  expect(() => verifierOf({}, intermediate)).toThrow(SecretInvalid);
});
