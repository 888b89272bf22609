import { createHmac } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { standardWebhooks } from './providers/standard-webhooks/standard-webhooks.js';
import { resolveScheme } from './scheme.js';
import { SecretInvalid } from './signature.errors.js';
import { verify } from './verify.js';

export interface OutboundMessage {
  /** The same on every attempt of the same delivery; without a dot, which ends it in the signed text. */
  id: string;
  /** When this attempt is made: receivers refuse what is more than a few minutes old. */
  timestampSeconds: number;
  body: Buffer | string;
}

export interface StandardWebhookHeaders {
  'webhook-id': string;
  'webhook-timestamp': string;
  'webhook-signature': string;
}

/**
 * Signs what we send, by Standard Webhooks (symmetric, `v1`).
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
 * The receiver's half: returns only where `secret` signed this message, not more than five minutes from `nowMs`.
 * @throws SignatureMissing, SignatureMalformed, SignatureMismatch, SignatureExpired, SecretInvalid
 */
export function verifyStandardWebhook(secret: string, headers: IncomingHttpHeaders, rawBody: Buffer, nowMs: number): void {
  const rawHeaders = Object.entries(headers).flatMap(([name, values = []]) => [values].flat().flatMap((value) => [name, value]));
  verify(resolveScheme(standardWebhooks.scheme, [secret]), { rawHeaders, rawBody }, nowMs);
}
