import { X509Certificate, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { signatureScheme } from '#libs/contracts';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createVerifier } from '../create-verifier.js';
import { SecretInvalid, SignatureExpired, SignatureMalformed, SignatureMismatch } from '../signature.errors.js';
import { refuseNoise, acceptedTampering, asReceived } from '../tampering.js';
import type { PlainRequest } from '../tampering.js';

/** Made by `certificate-fixtures/make.sh`. */
const file = (name: string): string => readFileSync(new URL(`certificate-fixtures/${name}.pem`, import.meta.url), 'utf8');
const root = file('root');
const intermediate = file('intermediate');
const nowMs = new X509Certificate(root).validFromDate.getTime() + 86_400_000;
const body = '{"amount":100}';

/** A scheme such as PayPal's. */
const inSecrets = {
  kind: 'certificate',
  header: 'X-Sig',
  encoding: 'base64',
  host: 'hooks.example.com',
  idHeader: 'X-Id',
  timestampHeader: 'X-Time',
  timestampUnit: 'rfc3339',
  template: '{id}|{timestamp}|WH-1|{crc32}',
} as const;
const inHeader = { ...inSecrets, chainHeader: 'X-Chain' } as const;
const verifierOf = (scheme: object, ...secrets: string[]) => createVerifier(signatureScheme.parse(scheme), secrets);

function signed(signer: string, { at = nowMs, chain }: { at?: number; chain?: string } = {}): PlainRequest {
  const time = new Date(at).toISOString();
  const crc32 = 4_095_487_587; // of the body
  const signature = sign('sha256', Buffer.from(`m-1|${time}|WH-1|${crc32}`), file(`${signer}.key`)).toString('base64');
  return { headers: { 'x-sig': signature, 'x-id': 'm-1', 'x-time': time, ...(chain === undefined ? {} : { 'x-chain': chain }) }, body };
}
const der = (...names: string[]) => names.map((name) => new X509Certificate(file(name)).raw.toString('base64')).join(',');
const escaped = (...names: string[]) => encodeURIComponent(names.map(file).join(''));

describe.each(['signer-rsa', 'signer-ec'])('the certificate %s, whose chain stands in the secrets', (signer) => {
  const verifier = verifierOf(inSecrets, file(signer) + intermediate + root);

  test('is accepted', () => {
    expect(() => verifier.verify(asReceived(signed(signer)), nowMs)).not.toThrow();
  });

  test('is refused once any byte of the request is flipped', () => {
    expect(acceptedTampering(verifier, signed(signer), nowMs)).toEqual([]);
  });

  test('is refused when it is replayed', () => {
    expect(() => verifier.verify(asReceived(signed(signer, { at: nowMs - 301_000 })), nowMs)).toThrow(SignatureExpired);
  });

  test('is not accepted with a made-up signature, and none fails in another way', () => {
    refuseNoise(fc, verifier, signed(signer), nowMs, { base64: 'x-sig' });
  });
});

describe('a chain in a header', () => {
  const verifier = verifierOf(inHeader, root);

  test.each([
    ['DER in base64', der('signer-ec', 'intermediate')],
    ['DER in base64, with the root', der('signer-ec', 'intermediate', 'root')],
    ['PEM, percent-encoded', escaped('signer-ec', 'intermediate')],
    ['PEM in one line', [file('signer-ec'), intermediate].join('').replaceAll('\n', ' ')],
  ])('is accepted as %s', (_, chain) => {
    expect(() => verifier.verify(asReceived(signed('signer-ec', { chain })), nowMs)).not.toThrow();
  });

  test('may leave out an intermediate certificate that the secrets have', () => {
    const request = asReceived(signed('signer-ec', { chain: der('signer-ec') }));
    expect(() => verifierOf(inHeader, root + intermediate).verify(request, nowMs)).not.toThrow();
    expect(() => verifier.verify(request, nowMs)).toThrow(SignatureMismatch);
  });

  test.each([
    ['leads to a root that is not trusted', 'strange-signer', der('strange-signer', 'strange-root')],
    ['is issued for another host', 'other-host', der('other-host', 'intermediate')],
    ['has an issuer that is no authority', 'issued-by-signer', der('issued-by-signer', 'signer-ec', 'intermediate')],
    ['begins with the certificate of somebody else', 'other-host', der('signer-ec', 'intermediate')],
    ['has an intermediate certificate of another chain', 'signer-ec', der('signer-ec', 'strange-root')],
    ['begins with an authority', 'signer-ec', der('intermediate', 'signer-ec')],
  ])('is refused when it %s', (_, signer, chain) => {
    expect(() => verifier.verify(asReceived(signed(signer, { chain })), nowMs)).toThrow(SignatureMismatch);
  });

  test.each([
    ['no certificate', 'AAAA'],
    ['no base64', '?'],
    ['broken escapes', '%zz-----'],
    ['an address instead', 'https://example.com/cert.pem'],
    ['too many', Array.from({ length: 7 }, () => der('signer-ec')).join(',')],
  ])('is refused with %s', (_, chain) => {
    expect(() => verifier.verify(asReceived(signed('signer-ec', { chain })), nowMs)).toThrow(SignatureMalformed);
  });

  test('that was accepted once is checked again for the next request: its time, and who signed', () => {
    const chain = der('signer-ec', 'intermediate');
    expect(() => verifier.verify(asReceived(signed('signer-ec', { chain })), nowMs)).not.toThrow();
    const inTheFuture = nowMs + 101 * 365.25 * 86_400_000;
    expect(() => verifier.verify(asReceived(signed('signer-ec', { chain, at: inTheFuture })), inTheFuture)).toThrow(SignatureMismatch);
    const beforeIt = nowMs - 2 * 86_400_000;
    expect(() => verifier.verify(asReceived(signed('signer-ec', { chain, at: beforeIt })), beforeIt)).toThrow(SignatureMismatch);
    expect(() => verifier.verify(asReceived(signed('other-host', { chain })), nowMs)).toThrow(SignatureMismatch);
  });

  test.each([
    ['certificate', 'short-signer', der('short-signer', 'intermediate')],
    ['root', 'signer-of-short-root', der('signer-of-short-root')],
  ])('is refused once its %s has expired', (_, signer, chain) => {
    const both = verifierOf(inHeader, root + file('short-root'));
    expect(() => both.verify(asReceived(signed(signer, { chain })), nowMs)).not.toThrow();
    const later = nowMs + 10 * 86_400_000;
    expect(() => both.verify(asReceived(signed(signer, { chain, at: later })), later)).toThrow(SignatureMismatch);
  });

  test('with any byte of the request flipped is refused', () => {
    expect(acceptedTampering(verifier, signed('signer-ec', { chain: der('signer-ec', 'intermediate') }), nowMs)).toEqual([]);
  });

  test('that is made up is not accepted, and does not fail in another way', () => {
    refuseNoise(fc, verifier, signed('signer-ec', { chain: der('signer-ec', 'intermediate') }), nowMs, { base64: 'x-chain' });
  });
});

test('secrets without a root, or without the chain that requests do not carry, are refused', () => {
  expect(() => verifierOf(inHeader, intermediate)).toThrow(SecretInvalid);
  expect(() => verifierOf(inHeader, 'no PEM')).toThrow(SecretInvalid);
  expect(() => verifierOf(inHeader, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----')).toThrow(SecretInvalid);
  expect(() => verifierOf(inSecrets, root)).toThrow('PEM with the chain of the provider and its root certificate');
});

test('while a provider changes its certificate, the old and the new chain are both active', () => {
  const verifier = verifierOf(inSecrets, file('signer-rsa') + intermediate + root, file('signer-ec') + intermediate + root);
  for (const signer of ['signer-rsa', 'signer-ec']) expect(() => verifier.verify(asReceived(signed(signer)), nowMs)).not.toThrow();
});
