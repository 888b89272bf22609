import type { IncomingHttpHeaders } from 'node:http';
import { isDeepStrictEqual } from 'node:util';
import type { HandshakeCondition, HandshakeValue, SourceHandshake } from '#libs/contracts';
import { LosslessNumber } from '#libs/json';
import type { Json } from '#libs/json';
import { HmacKey } from './hmac-key.js';
import type { HashName } from './hmac-key.js';
import { SecretTexts } from './secret-text.js';
import { HandshakeMalformed } from './signature.errors.js';

/** The parts of a request that a handshake can use. */
export interface HandshakeRequest {
  readonly method: string;
  /** True if it was verified. */
  readonly isSigned: boolean;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** The parsed body of a POST; null for GET and HEAD. */
  readonly body: Json;
  /** The values of the source's `parameters`. */
  readonly parameters: Readonly<Record<string, string>>;
  /** The first secret of the source as a key; undefined if it has none. */
  readonly key: Buffer | undefined;
}

/** A POST without a signature. */
export interface UnsignedPost {
  readonly headers: IncomingHttpHeaders;
  readonly rawBody: Buffer;
  readonly secrets: readonly string[];
}

export interface HandshakeResponse {
  readonly status: number;
  /** An object is sent as JSON, text as it is. A response with status 204 has no body. */
  readonly body: object | string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The response to a {@link UnsignedPost}. */
export interface UnsignedResponse extends HandshakeResponse {
  /** A sentence for the log, where the provider sends what the operator has to enter at its side. */
  readonly forOperator?: string;
}

/** Texts that are sent back to anybody: nothing that a browser could take for a page. */
const echo = /^[\w .,:;~+/=?&@%()-]{1,1024}$/;

/**
 * Texts that anybody may have signed. No JSON object and no form is such a text, and {@link isChallenge} tells bodies that are, so that the code never passes
 * for the signature of an event.
 */
const signable = /^[\w.~-]{1,256}$/;

/** True for a body of which the signature may be the answer to a handshake of anybody. */
export function isChallenge(rawBody: Buffer): boolean {
  return rawBody.length === 0 || (rawBody.length <= 256 && signable.test(rawBody.toString('latin1')));
}

/**
 * The response to a request that is a handshake; undefined if it is none. A POST is then an event, and a GET or HEAD is refused.
 * @throws HandshakeMalformed if a signed one lacks what is to be sent back
 */
export function respondTo(handshakes: readonly SourceHandshake[], request: HandshakeRequest): HandshakeResponse | undefined {
  const isSigned = request.method === 'POST' && request.isSigned;
  const found = handshakes.find(
    ({ method, signed, when }) =>
      method === request.method && (method !== 'POST' || signed === isSigned) && when.every((one) => holds(one, request)),
  );
  if (found === undefined) return undefined;
  const { status, text, json: fields } = found;
  const answer = (value: HandshakeValue): Json | undefined => answerOf(value, request, isSigned);
  const values = fields === undefined ? [] : Object.entries(fields).map(([name, value]) => [name, answer(value)] as const);
  const body = text === undefined ? '' : answer(text);
  const isWhole =
    body !== undefined && values.every(([, value]) => value !== undefined) && (text === undefined || typeof body === 'string');
  if (isWhole) return { status, body: fields === undefined ? (body as string) : Object.fromEntries(values) };
  if (isSigned) throw new HandshakeMalformed(nameOf(found));
  return undefined;
}

function holds(condition: HandshakeCondition, request: HandshakeRequest): boolean {
  const found = valueOf(condition, request);
  if (found === undefined) return false;
  const { equals, parameter } = condition;
  if (equals !== undefined) return isDeepStrictEqual(plain(found), equals);
  if (parameter === undefined) return true;
  const expected = request.parameters[parameter];
  return expected !== undefined && typeof found === 'string' && new SecretTexts([expected]).include(found);
}

function answerOf(value: HandshakeValue, request: HandshakeRequest, isSigned: boolean): Json | undefined {
  if (value.value !== undefined) return value.value;
  const found = valueOf(value, request);
  if (value.hmac === undefined) return isSigned || (typeof found === 'string' && echo.test(found)) ? found : undefined;
  if (typeof found !== 'string' || request.key === undefined || !(isSigned || signable.test(found))) return undefined;
  const { algorithm, encoding, prefix } = value.hmac;
  const key = new HmacKey(algorithm.slice('hmac-'.length) as HashName, request.key);
  return prefix + key.sign(key.messageOf(found)).toString(encoding);
}

/** The value at the place that is named; undefined if there is none, or more than one. */
function valueOf({ query, header, body }: HandshakeCondition | HandshakeValue, request: HandshakeRequest): Json | undefined {
  if (query !== undefined) {
    const values = request.query.getAll(query);
    return values.length === 1 ? values[0] : undefined;
  }
  if (header !== undefined) {
    const found = request.headers[header.toLowerCase()];
    return typeof found === 'string' ? found : undefined;
  }
  return body!.split('.').reduce<Json | undefined>((found, name) => {
    if (found === null || typeof found !== 'object' || found instanceof LosslessNumber) return undefined;
    if (Array.isArray(found)) return /^\d+$/.test(name) ? found[Number(name)] : undefined;
    return Object.hasOwn(found, name) ? found[name] : undefined;
  }, request.body);
}

function plain(value: Json): unknown {
  return value instanceof LosslessNumber ? String(value) : value;
}

/** How a provider calls the handshake, as far as its conditions say. */
function nameOf({ when }: SourceHandshake): string {
  return when.map(({ equals }) => equals).find((value) => typeof value === 'string') ?? 'handshake';
}
