import { hash, randomBytes } from 'node:crypto';
import { wallTimeMs } from '#libs/time';

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/** 160 bits of SHA-256 over length-prefixed parts, in Crockford's base32 (32 lower-case characters): two lists of parts never read the same. */
function digest(parts: readonly (string | number | Buffer)[]): string {
  let bytes = 0;
  const contents = parts.map((part) => {
    const content = typeof part === 'number' ? String(part) : part;
    bytes += 4 + Buffer.byteLength(content);
    return content;
  });
  const whole = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const content of contents) {
    const start = at + 4;
    at = start + (typeof content === 'string' ? whole.write(content, start) : content.copy(whole, start));
    whole.writeUInt32BE(at - start, start - 4);
  }
  // latin1 text with one character per byte: a Buffer for the digest would cost as much as the hash itself.
  return base32(hash('sha256', whole, 'binary').slice(0, 20));
}

/** @param bytes one character a byte, five or a multiple of them */
function base32(bytes: string): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 5) {
    const high =
      (bytes.charCodeAt(at) << 24) | (bytes.charCodeAt(at + 1) << 16) | (bytes.charCodeAt(at + 2) << 8) | bytes.charCodeAt(at + 3);
    const low = bytes.charCodeAt(at + 4);
    text += alphabet[high >>> 27]! + alphabet[(high >>> 22) & 31]! + alphabet[(high >>> 17) & 31]! + alphabet[(high >>> 12) & 31]!;
    text += alphabet[(high >>> 7) & 31]! + alphabet[(high >>> 2) & 31]! + alphabet[((high & 3) << 3) | (low >>> 5)]! + alphabet[low & 31]!;
  }
  return text;
}

/**
 * The identity of an event: the same provider id at the same source is the same event for ever (promise 2).
 * @param identity the provider's own id, the raw body where the provider sends none, or the id of a request for a decision, where the source is the flow:
 *   a flow may have the name of a source
 */
export function eventId(tenant: string, source: string, identity: EventIdentity): string {
  if ('providerEventId' in identity) return eventIdOf(tenant, source, 'id', identity.providerEventId);
  return 'body' in identity ? eventIdOf(tenant, source, 'body', identity.body) : eventIdOf(tenant, source, 'request', identity.requestId);
}

type EventIdentity = { readonly providerEventId: string } | { readonly body: Buffer } | { readonly requestId: string };

function eventIdOf(tenant: string, source: string, kind: string, value: string | Buffer): string {
  return `evt_${digest([tenant, source, kind, value])}`;
}

/** A time in ms (until the year 3084) as characters that sort by bytes as the times do. */
const timeCharacters = 9;

function timeText(ms: number): string {
  let text = '';
  for (let left = ms, at = 0; at < timeCharacters; left = Math.floor(left / 32), at += 1) text = alphabet[left % 32]! + text;
  return text;
}

/** The id of a job: when its request was taken, and the hash of its event. A repeated request has another id for the same event. */
export function jobId(event: string, requestedAtMs: number): string {
  return `job_${timeText(requestedAtMs)}${event.slice('evt_'.length)}`;
}

/** The inverse of {@link jobId}; null if the text is no id of a job. */
export function eventOfJob(id: string): { eventId: string; requestedAtMs: number } | null {
  const [, time, hashed] = /^job_([0-9a-hjkmnp-tv-z]{9})([0-9a-hjkmnp-tv-z]{32})$/.exec(id) ?? [];
  if (time === undefined || hashed === undefined) return null;
  const requestedAtMs = time.split('').reduce((ms, character) => ms * 32 + alphabet.indexOf(character), 0);
  return { eventId: `evt_${hashed}`, requestedAtMs };
}

/**
 * A new id, different on each call. It begins with the time, so that rows about new runs stand at the end of each index. A run is identified by
 * its event, flow and generation, and keeps the id that its first claim stored.
 */
export function newRunId(atMs = wallTimeMs()): string {
  return `run_${timeLed(atMs)}`;
}

/** A new id, different on each call, that begins with the time. A review is identified by its run and step, and keeps the id that was stored first. */
export function newReviewId(atMs = wallTimeMs()): string {
  return `rev_${timeLed(atMs)}`;
}

function timeLed(atMs: number): string {
  return `${timeText(atMs)}${base32(randomBytes(10).toString('latin1'))}`;
}

/** A new id of a request that is kept, different on each call. It begins with the time. */
export function newRequestId(atMs: number): string {
  return `req_${timeLed(atMs)}`;
}

/** A run that decided, from which the ids of its deliveries follow. */
export interface DecidedRun {
  readonly tenant: string;
  readonly runId: string;
  readonly eventId: string;
  readonly flow: string;
  readonly generation: number;
}

/** The characters of a hash in the id of a delivery: one more than in ids of the release before, which are told apart by their length. */
const deliveryHashCharacters = 27;

/** The id of one decision to one destination. It begins with the time that its run's id begins with, and ends with its {@link effectKey}. */
export function deliveryId(run: DecidedRun, step: string, destination: string): string {
  const key = digest([run.tenant, run.eventId, run.flow, step, destination, run.generation]);
  const time = timeOf(run.runId);
  return time === undefined ? `dlv_${key}` : `dlv_${time}${key.slice(0, deliveryHashCharacters)}`;
}

/** Undefined for runs from before ids began with a time; their deliveries keep their effect keys. */
function timeOf(runId: string): string | undefined {
  return /^run_([0-9a-hjkmnp-tv-z]{9})[0-9a-hjkmnp-tv-z]{16}$/.exec(runId)?.[1];
}

/**
 * The effect key of promise 2: the `webhook-id` and `Idempotency-Key` by which a destination recognises a repeat. It is the delivery's id without its
 * time, so it follows from event, flow, step, destination and generation alone. Where Postgres or the log lose their last changes, the event is handled
 * again, in another run and perhaps as received at another time, and its destination has to recognise what it got from the first. A delivery that was
 * planned by an earlier release keeps its whole id as its key.
 */
export function effectKey(id: string): string {
  const isTimeLed = id.length === 'dlv_'.length + timeCharacters + deliveryHashCharacters;
  return isTimeLed ? `dlv_${id.slice(-deliveryHashCharacters)}` : id;
}

/** The effect key of an operation that a step calls: the same for every try of the step, and for every run that replaces a lost one. */
export function callKey(run: Omit<DecidedRun, 'runId'>, step: string): string {
  return `cll_${digest([run.tenant, run.eventId, run.flow, step, run.generation])}`;
}

/** The id of a dead letter. `origin` names the failed thing and its stage, so parking it twice is one dead letter. */
export function deadLetterId(tenant: string, ...origin: (string | number)[]): string {
  return `dlq_${digest([tenant, ...origin])}`;
}

/** The id of a command: the same key and target make the same command. */
export function commandId(tenant: string, idempotencyKey: string, ...target: string[]): string {
  return `cmd_${digest([tenant, idempotencyKey, ...target])}`;
}

/** The id of the bulk operation that a command starts: the same command twice is one operation. */
export function bulkOperationId(tenant: string, command: string): string {
  return `bop_${digest([tenant, command])}`;
}

/** The id of the trial that a command starts: the same command twice is one trial. */
export function trialId(tenant: string, command: string): string {
  return `trl_${digest([tenant, command])}`;
}
