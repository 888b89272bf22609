import { DomainError } from '#libs/contracts';
import type * as FastCheck from 'fast-check';
import type { VerifiableRequest } from './request.js';
import type { Verifier } from './scheme-verifier.js';

/** A request as a test writes it: each header once. */
export interface PlainRequest {
  /** Default: `POST`. */
  method?: string;
  /** Default: `/`. */
  target?: string;
  headers: Readonly<Record<string, string>>;
  body: string | Buffer;
}

/** The request in the form that a {@link Verifier} takes. */
export function asReceived({ method = 'POST', target = '/', headers, body }: PlainRequest): VerifiableRequest {
  return { method, target, rawHeaders: Object.entries(headers).flat(), rawBody: Buffer.from(body) };
}

const bits = [0x01, 0x20] as const;
/** The bytes of a longer header are flipped in one way each, because each try of a chain of certificates parses and checks the chain. */
const longHeaderBytes = 512;

/**
 * Flips one bit of a request, in every byte of its body and of every header, in two ways each; in a long header in the two ways by turns. For tests.
 * @returns the alterations that were accepted nevertheless; it should be empty
 */
export function acceptedTampering(verifier: Verifier, request: PlainRequest, nowMs: number): string[] {
  const accepted: string[] = [];
  for (const { what, request: altered } of tampered(request)) {
    try {
      verifier.verify(altered, nowMs);
      accepted.push(what);
    } catch (refusal) {
      if (!(refusal instanceof DomainError)) throw refusal;
    }
  }
  return accepted;
}

function* tampered(request: PlainRequest): Generator<{ what: string; request: VerifiableRequest }> {
  const intact = asReceived(request);
  for (const [way, bit] of bits.entries()) {
    for (let at = 0; at < intact.rawBody.length; at += 1) {
      const rawBody = Buffer.from(intact.rawBody);
      rawBody[at]! ^= bit;
      yield { what: `byte ${at} of the body, bit ${bit}`, request: { ...intact, rawBody } };
    }
    for (const [name, text] of Object.entries(request.headers)) {
      const value = Buffer.from(text, 'latin1');
      const isLong = value.length > longHeaderBytes;
      for (let at = isLong ? way : 0; at < value.length; at += isLong ? bits.length : 1) {
        const altered = Buffer.from(value);
        altered[at]! ^= bit;
        const headers = { ...request.headers, [name]: altered.toString('latin1') };
        yield { what: `byte ${at} of ${name}, bit ${bit}`, request: asReceived({ ...request, headers }) };
      }
    }
  }
}

/**
 * Sends made-up headers, targets and bodies, alone and in place of parts of an accepted request. For tests.
 * @param fc the library, which only tests can import
 * @param fields.base64 a header of the request, which is also replaced by random bytes in base64
 * @throws if one is accepted, or fails with an error other than a {@link DomainError}
 */
export function refuseNoise(
  fc: typeof FastCheck,
  verifier: Verifier,
  request: PlainRequest,
  nowMs: number,
  fields: { base64?: string } = {},
): void {
  const header = fc.constantFrom(...Object.keys(request.headers), 'content-type', 'authorization');
  const value = fc.oneof(
    fc.string({ unit: 'binary-ascii', maxLength: 80 }),
    fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('base64')),
  );
  const noise = fc.record({
    headers: fc.dictionary(header, value, { maxKeys: 4 }),
    target: fc.string({ unit: 'binary-ascii', maxLength: 40 }).map((text) => `/?${text}`),
    body: fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
  });
  fc.assert(
    fc.property(noise, value, (made, replaced) => {
      refuse(verifier, asReceived(made), nowMs);
      if (fields.base64 === undefined) return;
      const prefix = /^\w+ /.exec(request.headers[fields.base64]!)?.[0] ?? '';
      fc.pre(prefix + replaced !== request.headers[fields.base64]);
      refuse(verifier, asReceived({ ...request, headers: { ...request.headers, [fields.base64]: prefix + replaced } }), nowMs);
    }),
    { numRuns: 300 },
  );
}

function refuse(verifier: Verifier, request: VerifiableRequest, nowMs: number): void {
  try {
    verifier.verify(request, nowMs);
  } catch (refusal) {
    if (refusal instanceof DomainError) return;
    throw refusal;
  }
  throw new Error('A made-up request was accepted');
}
