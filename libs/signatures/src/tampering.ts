import { DomainError } from '#libs/contracts';
import type { ResolvedScheme } from './scheme.js';
import { verify } from './verify.js';
import type { SignedRequest } from './verify.js';

/** A request as one writes it in a test: each header once. */
export interface PlainRequest {
  headers: Readonly<Record<string, string>>;
  body: string | Buffer;
}

/** The form that {@link verify} takes. */
export function asReceived({ headers, body }: PlainRequest): SignedRequest {
  return { rawHeaders: Object.entries(headers).flat(), rawBody: Buffer.from(body) };
}

/**
 * For the tests of providers: flips one bit of the request, in every byte of its body and of every header, in two ways each.
 * @returns the alterations that were accepted all the same: none
 */
export function acceptedTampering(scheme: ResolvedScheme, request: PlainRequest, nowMs: number): string[] {
  const accepted: string[] = [];
  for (const { what, request: altered } of tampered(request)) {
    try {
      verify(scheme, altered, nowMs);
      accepted.push(what);
    } catch (refusal) {
      if (!(refusal instanceof DomainError)) throw refusal;
    }
  }
  return accepted;
}

function* tampered(request: PlainRequest): Generator<{ what: string; request: SignedRequest }> {
  const intact = asReceived(request);
  for (const bit of [0x01, 0x20]) {
    for (let at = 0; at < intact.rawBody.length; at += 1) {
      const rawBody = Buffer.from(intact.rawBody);
      rawBody[at]! ^= bit;
      yield { what: `byte ${at} of the body, bit ${bit}`, request: { ...intact, rawBody } };
    }
    for (const [name, text] of Object.entries(request.headers)) {
      const value = Buffer.from(text, 'latin1');
      for (let at = 0; at < value.length; at += 1) {
        const altered = Buffer.from(value);
        altered[at]! ^= bit;
        const headers = { ...request.headers, [name]: altered.toString('latin1') };
        yield { what: `byte ${at} of ${name}, bit ${bit}`, request: asReceived({ ...request, headers }) };
      }
    }
  }
}
