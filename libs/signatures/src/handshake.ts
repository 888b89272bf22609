import type { IncomingHttpHeaders } from 'node:http';
import { isDeepStrictEqual } from 'node:util';
import type { HandshakeCondition, HandshakeValue, SourceHandshake } from '#libs/contracts';
import { LosslessNumber } from '#libs/json';
import type { Json } from '#libs/json';
import { HmacKey } from './hmac-key.js';
import type { HashName } from './hmac-key.js';
import { SecretTexts } from './secret-text.js';
import { HandshakeMalformed, HandshakeRefused } from './signature.errors.js';

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
 * The response to a request that is a handshake; undefined for a POST that is none, and so an event.
 * @throws HandshakeMalformed if a signed one lacks what is to be sent back
 * @throws HandshakeRefused if another one does, and if a GET or HEAD fits none
 */
export function respondTo(handshakes: readonly SourceHandshake[], request: HandshakeRequest): HandshakeResponse | undefined {
  const isSigned = request.method === 'POST' && request.isSigned;
  const possible = handshakes.filter(({ method, signed }) => method === request.method && (method !== 'POST' || signed === isSigned));
  const found = possible.find(({ when }) => when.every((one) => mismatchIn(one, request) === undefined));
  if (found === undefined) {
    if (request.method === 'POST') return undefined;
    throw new HandshakeRefused(request.method, nearest(possible, request));
  }
  const gaps = gapsOf(found, request, isSigned);
  if (gaps.length > 0) throw isSigned ? new HandshakeMalformed(nameOf(found), gaps) : new HandshakeRefused(request.method, gaps);
  const { status, text, json: fields } = found;
  if (fields === undefined) return { status, body: text === undefined ? '' : (answerOf(text, request) as string) };
  return { status, body: Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, answerOf(value, request)])) };
}

/** The mistakes of a request as the handshake from which it is the least far away; empty if there is none. */
function nearest(possible: readonly SourceHandshake[], request: HandshakeRequest): readonly string[] {
  const mistakes = possible.map((one) => [
    ...one.when.map((condition) => mismatchIn(condition, request)).filter((mistake) => mistake !== undefined),
    ...gapsOf(one, request, false),
  ]);
  const [first = []] = mistakes.toSorted((a, b) => a.length - b.length);
  return [...new Set(first)];
}

/** How a request fails a condition. It is told to anybody, so it names places, and no value. */
function mismatchIn(condition: HandshakeCondition, request: HandshakeRequest): string | undefined {
  const found = valueOf(condition, request);
  if (found === undefined) return absenceOf(condition, request);
  const { equals, parameter } = condition;
  if (equals !== undefined)
    return isDeepStrictEqual(plain(found), equals) ? undefined : `${placeOf(condition)} has another value than the handshake`;
  if (parameter === undefined) return undefined;
  const expected = request.parameters[parameter];
  if (expected === undefined) return `spec.parameters.${parameter} of the source is missing`;
  const isEqual = typeof found === 'string' && new SecretTexts([expected]).include(found);
  return isEqual ? undefined : `${placeOf(condition)} is not the value of spec.parameters.${parameter} of the source`;
}

/** The reasons for which the request cannot be answered as this handshake. */
function gapsOf({ text, json: fields }: SourceHandshake, request: HandshakeRequest, isSigned: boolean): string[] {
  const values = text === undefined ? Object.values(fields ?? {}) : [text];
  return values.map((value) => gapIn(value, request, { isSigned, isText: value === text })).filter((gap) => gap !== undefined);
}

function gapIn(
  value: HandshakeValue,
  request: HandshakeRequest,
  { isSigned, isText }: { isSigned: boolean; isText: boolean },
): string | undefined {
  if (value.value !== undefined) return isText && typeof value.value !== 'string' ? 'what the source answers is not a text' : undefined;
  const found = valueOf(value, request);
  const place = placeOf(value);
  if (found === undefined) return absenceOf(value, request);
  if (value.hmac !== undefined && request.key === undefined) return 'the source has no secret to answer with';
  if (typeof found !== 'string') return isText || value.hmac !== undefined || !isSigned ? `${place} is not a text` : undefined;
  if (isSigned) return undefined;
  if (value.hmac !== undefined)
    return signable.test(found) ? undefined : `${place} is not signed for anybody: it must be 1 to 256 letters, digits and . ~ _ -`;
  return echo.test(found)
    ? undefined
    : `${place} is not sent back to anybody: it must be 1 to 1024 letters, digits, spaces and . , : ; ~ + / = ? & @ % ( ) _ -`;
}

/** The value of an answer in which there is no gap. */
function answerOf(value: HandshakeValue, request: HandshakeRequest): Json {
  if (value.value !== undefined) return value.value;
  const found = valueOf(value, request)!;
  if (value.hmac === undefined) return found;
  const { algorithm, encoding, prefix } = value.hmac;
  const key = new HmacKey(algorithm.slice('hmac-'.length) as HashName, request.key!);
  return prefix + key.sign(key.messageOf(found as string)).toString(encoding);
}

type Place = HandshakeCondition | HandshakeValue;

function placeOf({ query, header, body }: Place): string {
  if (query !== undefined) return `the query parameter ${query}`;
  return header === undefined ? `the field ${body} of the body` : `the header ${header}`;
}

function absenceOf(place: Place, { query }: HandshakeRequest): string {
  const isRepeated = place.query !== undefined && query.getAll(place.query).length > 1;
  return `${placeOf(place)} ${isRepeated ? 'is there more than once' : 'is missing'}`;
}

/** The value at the place that is named; undefined if there is none, or more than one. */
function valueOf({ query, header, body }: Place, request: HandshakeRequest): Json | undefined {
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
