import { createHmac } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { createVerifier } from './create-verifier.js';
import { standardWebhooks } from './providers/standard-webhooks/standard-webhooks.js';
import { SecretInvalid } from './signature.errors.js';

export interface OutboundMessage {
  /** The same on every attempt of a delivery. It must not contain a dot, which ends it in the signed text. */
  id: string;
  /** The time of this attempt. Receivers refuse messages that are more than a few minutes old. */
  timestampSeconds: number;
  body: Buffer | string;
}

export interface StandardWebhookHeaders {
  'webhook-id': string;
  'webhook-timestamp': string;
  'webhook-signature': string;
}

/**
 * Signs an outbound message by Standard Webhooks (symmetric, `v1`).
 * @param secret `whsec_` and base64
 * @throws SecretInvalid
 */
export function signStandardWebhook(secret: string, { id, timestampSeconds, body }: OutboundMessage): StandardWebhookHeaders {
  const text = secret.startsWith('whsec_') ? secret.slice('whsec_'.length) : secret;
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw new SecretInvalid('spec.secret', 'whsec_ followed by base64');
  const mac = createHmac('sha256', Buffer.from(text, 'base64')).update(`${id}.${timestampSeconds}.`).update(body).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': String(timestampSeconds), 'webhook-signature': `v1,${mac}` };
}

/**
 * Verifies a message as a receiver does: returns only if `secret` signed it not more than five minutes from `nowMs`.
 * @throws SignatureMissing, SignatureMalformed, SignatureMismatch, SignatureExpired, SecretInvalid
 */
export function verifyStandardWebhook(secret: string, headers: IncomingHttpHeaders, rawBody: Buffer, nowMs: number): void {
  const rawHeaders = Object.entries(headers).flatMap(([name, values = []]) => [values].flat().flatMap((value) => [name, value]));
  createVerifier(standardWebhooks.scheme, [secret]).verify({ method: 'POST', target: '/', rawHeaders, rawBody }, nowMs);
}
