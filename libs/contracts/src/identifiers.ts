import { hash } from 'node:crypto';

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/** 160 bits of SHA-256 over length-prefixed parts, in Crockford's base32 (32 lower-case characters): two lists of parts never read the same. */
function digest(parts: readonly (string | number | Buffer)[]): string {
  const chunks: Buffer[] = [];
  for (const part of parts) {
    const bytes = Buffer.isBuffer(part) ? part : Buffer.from(String(part));
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32BE(bytes.length);
    chunks.push(length, bytes);
  }
  return base32(hash('sha256', Buffer.concat(chunks), 'buffer').subarray(0, 20));
}

function base32(bytes: Buffer): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 5) {
    const high = bytes.readUInt32BE(at);
    const low = bytes[at + 4]!;
    text += alphabet[high >>> 27]! + alphabet[(high >>> 22) & 31]! + alphabet[(high >>> 17) & 31]! + alphabet[(high >>> 12) & 31]!;
    text += alphabet[(high >>> 7) & 31]! + alphabet[(high >>> 2) & 31]! + alphabet[((high & 3) << 3) | (low >>> 5)]! + alphabet[low & 31]!;
  }
  return text;
}

/**
 * The identity of an event: the same provider id at the same source is the same event for ever (promise 2).
 * @param identity the provider's own id, or the raw body where the provider sends none
 */
export function eventId(tenant: string, source: string, identity: { providerEventId: string } | { body: Buffer }): string {
  const [kind, value] = 'providerEventId' in identity ? (['id', identity.providerEventId] as const) : (['body', identity.body] as const);
  return `evt_${digest([tenant, source, kind, value])}`;
}

/** One flow on one event, one generation. */
export function runId(tenant: string, event: string, flow: string, generation: number): string {
  return `run_${digest([tenant, event, flow, generation])}`;
}

/** One decision to one destination; also the `webhook-id` and `Idempotency-Key` the destination sees: the effect key of promise 2. */
export function deliveryId(tenant: string, event: string, flow: string, step: string, destination: string, generation: number): string {
  return `dlv_${digest([tenant, event, flow, step, destination, generation])}`;
}

/** What was given up, at which stage: parking the same thing twice is one dead letter. */
export function deadLetterId(tenant: string, ...origin: (string | number)[]): string {
  return `dlq_${digest([tenant, ...origin])}`;
}

/** A mutation's command; the same caller's `idempotencyKey` makes the same command. */
export function commandId(tenant: string, idempotencyKey: string, ...target: string[]): string {
  return `cmd_${digest([tenant, idempotencyKey, ...target])}`;
}
