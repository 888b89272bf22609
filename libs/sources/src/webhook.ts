import type { Json } from '#libs/json';
import type { DoorRequest } from '#libs/service';
import { SignatureMismatch, SignatureMissing, textAt } from '#libs/signatures';
import type { HandshakeResponse, UnsignedResponse } from '#libs/signatures';
import type { WebhookSource } from './source.js';

/** Undefined if the request is an event, which is verified now. @throws SignatureMissing, SignatureMalformed, SignatureMismatch, SignatureExpired */
export function verifyWebhook({ verifier, preset, secrets }: WebhookSource, request: DoorRequest): UnsignedResponse | undefined {
  try {
    verifier.verify(request, request.receivedAtMs);
    return undefined;
  } catch (error) {
    const { headers, rawBody } = request;
    const answer = error instanceof SignatureMissing ? preset.unsignedPost?.({ headers, rawBody, secrets }) : undefined;
    if (answer === undefined) throw error;
    return answer;
  }
}

/** @throws SignatureMismatch if the body names another account of the provider than the source does */
export function requireOwner({ preset: { owner }, parameters }: WebhookSource, body: Json): void {
  if (owner === undefined || textAt(body, owner.path) === parameters[owner.parameter]) return;
  throw new SignatureMismatch(`The request is not for the ${owner.parameter} of this source`);
}

export function handshakeResponse(
  { preset, secrets, parameters }: WebhookSource,
  request: DoorRequest,
  body: Json,
): HandshakeResponse | undefined {
  const { handshake } = preset;
  if (handshake === undefined || !handshake.methods.some((method) => method === request.method)) return undefined;
  const { method, target, headers } = request;
  return handshake.respond({
    method,
    headers,
    body,
    secrets,
    parameters,
    get query() {
      return new URLSearchParams(target.split('?', 2)[1]);
    },
  });
}
