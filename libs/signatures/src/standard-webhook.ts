import type { IncomingHttpHeaders } from 'node:http';
import { createVerifier } from './create-verifier.js';
import { HmacKey } from './hmac-key.js';
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

/** The least that Standard Webhooks allows for a symmetric secret. */
const leastSecretBytes = 24;

/** Signs outbound messages by Standard Webhooks (symmetric, `v1`) with one secret, whose key is prepared once. */
export class StandardWebhookSigner {
  private readonly key: HmacKey;

  /**
   * @param secret `whsec_` and base64
   * @throws SecretInvalid
   */
  constructor(secret: string) {
    this.key = new HmacKey('sha256', keyOf(secret));
  }

  sign({ id, timestampSeconds, body }: OutboundMessage): StandardWebhookHeaders {
    const mac = this.key.sign(this.key.messageOf(`${id}.${timestampSeconds}.`, body)).toString('base64');
    return { 'webhook-id': id, 'webhook-timestamp': String(timestampSeconds), 'webhook-signature': `v1,${mac}` };
  }
}

/**
 * Signs one message with a secret that is not used again.
 * @param secret `whsec_` and base64
 * @throws SecretInvalid
 */
export function signStandardWebhook(secret: string, message: OutboundMessage): StandardWebhookHeaders {
  return new StandardWebhookSigner(secret).sign(message);
}

/**
 * Requires a secret that cannot be guessed. Only new secrets are held to it: a shorter one that is in use still signs.
 * @throws SecretInvalid
 */
export function requireStandardWebhookSecret(secret: string): void {
  if (keyOf(secret).length >= leastSecretBytes) return;
  throw new SecretInvalid(
    'spec.secret',
    `long enough: it must be whsec_ and base64 of at least ${leastSecretBytes} bytes, such as from: echo "whsec_$(openssl rand -base64 32)"`,
  );
}

/** @throws SecretInvalid */
function keyOf(secret: string): Buffer {
  const text = secret.startsWith('whsec_') ? secret.slice('whsec_'.length) : secret;
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw new SecretInvalid('spec.secret', 'whsec_ followed by base64');
  return Buffer.from(text, 'base64');
}

/**
 * Verifies a message as a receiver does: returns only if `secret` signed it not more than five minutes from `nowMs`.
 * @throws SignatureMissing, SignatureMalformed, SignatureMismatch, SignatureExpired, SecretInvalid
 */
export function verifyStandardWebhook(secret: string, headers: IncomingHttpHeaders, rawBody: Buffer, nowMs: number): void {
  const rawHeaders = Object.entries(headers).flatMap(([name, values = []]) => [values].flat().flatMap((value) => [name, value]));
  createVerifier(standardWebhooks.scheme, [secret]).verify({ method: 'POST', target: '/', rawHeaders, rawBody }, nowMs);
}
