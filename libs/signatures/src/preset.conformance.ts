import * as fc from 'fast-check';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from 'vitest';
import { DomainError } from '#libs/contracts';
import type { Json } from '#libs/json';
import { textAt, valueAt } from './body-field.js';
import { createVerifier } from './create-verifier.js';
import type { ProviderPreset } from './preset.js';
import { bodyText } from './proof.js';
import type { PresetProof, ProofSample, ProofSecret } from './proof.js';
import type { Verifier } from './scheme-verifier.js';
import { SignatureExpired } from './signature.errors.js';
import { acceptedTampering, asReceived, refuseNoise } from './tampering.js';
import type { PlainRequest } from './tampering.js';

const atMs = 1_900_000_000_000;
const yearMs = 366 * 86_400_000;

/** The tests that every preset passes. Fields, handshakes and splitting are tested at the door, in `apps/ingestion`. */
export function presetConformance(name: string, preset: ProviderPreset, proof: PresetProof): void {
  const { scheme, aliases } = preset;
  const { publicUrl, parameters, secrets } = proof;
  const verifierOf = (...active: readonly ProofSecret[]): Verifier =>
    createVerifier(
      scheme,
      active.map(({ secret }) => secret),
      { aliases, publicUrl, parameters: parameters ?? {} },
    );
  const signed = (sample: ProofSample, { secret, key = secret }: ProofSecret = secrets[0], signedAtMs = atMs): PlainRequest => {
    const request = proof.sign({ body: bodyText(sample), id: 'msg_2b7fJc0XhPq', atMs: signedAtMs, key });
    return { ...request, headers: { ...sample.headers, ...request.headers } };
  };
  const first = proof.samples[0]!;
  const verifier = verifierOf(secrets[0]);
  const isAccepted = (request: PlainRequest, by = verifier, nowMs = atMs): boolean => verdictOf(by, request, nowMs) === 'accepted';
  const {
    headers: signatureHeaders,
    body,
    target,
  } = proof.sign({
    body: bodyText(first),
    id: 'msg_2b7fJc0XhPq',
    atMs,
    key: secrets[0].key ?? secrets[0].secret,
  });

  describe(`the preset ${name}`, () => {
    test.each(proof.samples)('$title is accepted', (sample) => {
      expect(verdictOf(verifier, signed(sample), atMs)).toBe('accepted');
    });

    test.each(proof.vectors ?? [])('the published vector is accepted: $title', ({ request, secret, atMs: vectorAtMs, publicUrl: url }) => {
      const one = createVerifier(scheme, [secret], { aliases, publicUrl: url ?? publicUrl, parameters: parameters ?? {} });
      expect(verdictOf(one, request, vectorAtMs)).toBe('accepted');
    });

    test('with any one bit flipped it is refused', () => {
      const request: PlainRequest = { headers: signatureHeaders, body, ...(target === undefined ? {} : { target }) };
      const accepted = acceptedTampering(verifier, withContentType(request, first), atMs);
      const mayBe = (what: string): boolean =>
        isContentType(what) || proof.mayAlter?.(what, request) === true || isUnsigned(what, request, preset);
      expect(accepted.filter((what) => !mayBe(what))).toEqual([]);
    });

    test('during a rotation the old and the new secret verify, and no other', () => {
      const both = verifierOf(...secrets);
      for (const secret of secrets) expect(isAccepted(signed(first, secret), both)).toBe(true);
      expect(isAccepted(signed(first, secrets[1]))).toBe(false);
    });

    const toleranceMs = toleranceOf(preset);
    test.each(toleranceMs === undefined ? [86_400_000, yearMs] : [])(
      'has no time, so that it is accepted later, too (%i ms)',
      (laterMs) => {
        expect(isAccepted(signed(first), verifierOf(secrets[0]), atMs + laterMs)).toBe(true);
      },
    );

    test.each(toleranceMs === undefined ? [] : [-1, 1])('a replay is accepted within the tolerance and refused beyond it (%i)', (side) => {
      const request = signed(first);
      expect(verdictOf(verifierOf(secrets[0]), request, atMs + side * toleranceMs!)).toBe('accepted');
      expect(verdictOf(verifierOf(secrets[0]), request, atMs + side * (toleranceMs! + 1_001))).toBe('expired');
    });

    test.each(Object.keys(signatureHeaders))('without %s, with it empty or with it twice it is refused', (header) => {
      const request = signed(first);
      const { [header]: value, ...others } = request.headers;
      expect(isAccepted({ ...request, headers: others })).toBe(false);
      expect(isAccepted({ ...request, headers: { ...others, [header]: '' } })).toBe(false);
      const received = asReceived(request);
      for (const again of [value!, `${value!}0`]) {
        const doubled = { ...received, rawHeaders: [...received.rawHeaders, header.toUpperCase(), again] };
        expect(() => verifier.verify(doubled, atMs)).toThrow(DomainError);
      }
    });

    test.each(Object.entries(aliases))('%s may be sent as %s, and as both only if they agree', (header, alias) => {
      const request = signed(first);
      const at = Object.keys(request.headers).find((one) => one.toLowerCase() === header);
      if (at === undefined) return;
      const { [at]: value, ...others } = request.headers;
      expect(isAccepted({ ...request, headers: { ...others, [alias]: value! } })).toBe(true);
      expect(isAccepted({ ...request, headers: { ...request.headers, [alias]: value! } })).toBe(true);
      expect(isAccepted({ ...request, headers: { ...request.headers, [alias]: `${value!}0` } })).toBe(false);
    });

    test.each(Object.keys(signatureHeaders))('%s in another encoding, cut or longer is refused', (header) => {
      const request = signed(first);
      const value = request.headers[header]!;
      const written = misspelt(value).filter((one) => one !== value);
      const accepted = written.filter((one) => isAccepted({ ...request, headers: { ...request.headers, [header]: one } }));
      expect(accepted).toEqual([]);
    });

    test('what is made up is refused, and with an answer of ours', () => {
      const base64 = Object.keys(signatureHeaders).find((header) => /^[A-Za-z0-9+/]{20,}=*$/.test(signatureHeaders[header]!));
      refuseNoise(fc, verifier, signed(first), atMs, base64 === undefined ? {} : { base64 });
    });
  });
}

/** The verdict of a verifier. An error that is not of the domain is thrown. */
function verdictOf(verifier: Verifier, request: PlainRequest, nowMs: number): string {
  try {
    verifier.verify(asReceived(request), nowMs);
    return 'accepted';
  } catch (error) {
    if (error instanceof SignatureExpired) return 'expired';
    if (error instanceof DomainError) return `${error.code}: ${error.message}`;
    throw error;
  }
}

function toleranceOf({ scheme }: ProviderPreset): number | undefined {
  if (!('toleranceSeconds' in scheme)) return undefined;
  const isTimed =
    scheme.timestampField !== undefined ||
    ('template' in scheme && (scheme.timestampHeader !== undefined || scheme.list?.timestamp !== undefined));
  return isTimed ? scheme.toleranceSeconds * 1_000 : undefined;
}

/** Schemes that sign the form read it only if the content type says that it is one. */
function withContentType(request: PlainRequest, { headers = {} }: ProofSample): PlainRequest {
  const contentType = headers['content-type'];
  return contentType === undefined ? request : { ...request, headers: { 'content-type': contentType, ...request.headers } };
}

/** True for a flip within a body of which a scheme signs some fields, if it leaves these and the signatures as they were. */
function isUnsigned(what: string, { body }: PlainRequest, { scheme }: ProviderPreset): boolean {
  const [, at, bit] = /^byte (\d+) of the body, bit (\d+)$/.exec(what) ?? [];
  if (scheme.kind !== 'fields' || at === undefined) return false;
  const altered = Buffer.from(body);
  altered[Number(at)]! ^= Number(bit);
  const signedIn = (text: string): unknown => {
    const value = JSON.parse(text) as Json;
    const carriers = scheme.each === undefined ? [value] : (valueAt(value, scheme.each) as Json[]);
    return carriers.map((carrier) => [scheme.signature, ...scheme.signed].map((path) => textAt(carrier, path) ?? ''));
  };
  return isDeepStrictEqual(signedIn(String(body)), signedIn(altered.toString('utf8')));
}

const isContentType = (what: string): boolean => / of content-type,/.test(what);

/** The header with its longest run of digits written otherwise: in the other encoding, in the other alphabet, cut, longer, with spaces. */
function misspelt(value: string): string[] {
  const run = (value.match(/[A-Za-z0-9+/_-]+=*/g) ?? []).toSorted((a, b) => b.length - a.length)[0] ?? value;
  const isHex = /^[0-9a-f]+$/i.test(run);
  const bytes = Buffer.from(run, isHex ? 'hex' : 'base64');
  const changed = (by: string): string => value.replace(run, () => by);
  return [
    ...(bytes.length > 8 ? [changed(bytes.toString(isHex ? 'base64' : 'hex'))] : []),
    ...(isHex || !/[+/=]/.test(run) ? [] : [changed(bytes.toString('base64url'))]),
    changed(run.slice(0, -1)),
    changed(`${run}0`),
    changed(`${run}=`),
    changed(` ${run}`),
    changed(`${run}%00`),
    changed(''),
  ];
}
