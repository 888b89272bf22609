import { isUtf8 } from 'node:buffer';
import { JsonTooDeep, parseJson } from '#libs/json';
import type { Json } from '#libs/json';
import type { DoorRequest } from '#libs/service';
import { SignatureMismatch, SignatureMissing, isChallenge, respondTo, textAt } from '#libs/signatures';
import type { HandshakeResponse, UnsignedResponse } from '#libs/signatures';
import type { WebhookSource } from './source.js';

/** Undefined if the request is an event, which is verified now. @throws SignatureMissing, SignatureMalformed, SignatureMismatch, SignatureExpired, HandshakeRefused */
export function verifyWebhook(webhook: WebhookSource, request: DoorRequest): UnsignedResponse | undefined {
  const { verifier, preset, secrets, signsForAnybody } = webhook;
  const { headers, rawBody, receivedAtMs } = request;
  try {
    verifier.verify(request, receivedAtMs);
  } catch (error) {
    if (!(error instanceof SignatureMissing)) throw error;
    const answer = preset.unsignedPost?.({ headers, rawBody, secrets }) ?? unsignedHandshake(webhook, request);
    if (answer === undefined) throw error;
    return answer;
  }
  if (signsForAnybody && isChallenge(rawBody))
    throw new SignatureMismatch('The body could be a challenge, which this source signs for anybody; send events as JSON objects');
  return undefined;
}

/** The longest body in which a handshake without a signature is looked for. */
const mostUnsignedBytes = 65_536;

function unsignedHandshake(webhook: WebhookSource, request: DoorRequest): HandshakeResponse | undefined {
  const { rawBody } = request;
  if (webhook.preset.handshakes.every(({ signed }) => signed) || rawBody.length > mostUnsignedBytes) return undefined;
  return responseTo(webhook, request, jsonOrNull(rawBody), false);
}

function jsonOrNull(rawBody: Buffer): Json {
  try {
    return isUtf8(rawBody) && rawBody.length > 0 ? parseJson(rawBody.toString('utf8')) : null;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof JsonTooDeep) return null;
    throw error;
  }
}

/** @throws SignatureMismatch if the body names another account of the provider than the source does */
export function requireOwner({ preset: { owner }, parameters }: WebhookSource, body: Json): void {
  if (owner === undefined || textAt(body, owner.path) === parameters[owner.parameter]) return;
  throw new SignatureMismatch(`The request is not for the ${owner.parameter} of this source`);
}

/** Undefined if the source has no handshakes, or a POST is none. A POST was verified before. @throws HandshakeMalformed, HandshakeRefused */
export function handshakeResponse(webhook: WebhookSource, request: DoorRequest, body: Json): HandshakeResponse | undefined {
  return webhook.preset.handshakes.length === 0 ? undefined : responseTo(webhook, request, body, true);
}

function responseTo(
  { preset, parameters, key }: WebhookSource,
  { method, target, headers }: DoorRequest,
  body: Json,
  isSigned: boolean,
): HandshakeResponse | undefined {
  return respondTo(preset.handshakes, {
    method,
    isSigned,
    headers,
    body,
    parameters,
    key,
    get query() {
      return new URLSearchParams(target.split('?', 2)[1]);
    },
  });
}
