import type { DeliveryIdempotency, IdempotencyClass } from '#libs/contracts';

/** The parts of a delivery that decide whether sending it again may take effect a second time. */
export interface Repeatable {
  /** When the first attempt began that the destination took, or may have taken; null if there is none. */
  readonly reachedAt: Date | null;
  /** True: its flow consents to more than one effect. */
  readonly atLeastOnce: boolean;
}

const hour = 3_600_000;

/**
 * The end of the time in which a destination surely recognises a repeat, before the end of its window: a tenth of the window, at most an hour, and
 * room for the deadlines of the first attempt, whose start may not be known better, and of the last.
 */
function marginMs(windowMs: number, timeoutMs: number): number {
  return Math.max(2 * timeoutMs, Math.min(hour, windowMs / 10));
}

/** The rules of a destination by which a repeat may take effect a second time. */
export interface EffectRules {
  readonly idempotency: DeliveryIdempotency;
  readonly timeoutMs: number;
}

/** The repeats to a destination that may take effect a second time. */
export interface SecondEffects {
  /** The moment up to which a delivery must have reached it for that: wall time in ms, Infinity for any. */
  readonly reachedByMs: number;
  /** True: but not those of deliveries whose flow consents to more than one effect. */
  readonly unlessConsented: boolean;
}

/** The repeats that may take effect a second time if they begin at `atMs` (wall time); undefined if each takes effect once. */
export function secondEffectsOf({ idempotency, timeoutMs }: EffectRules, atMs: number): SecondEffects | undefined {
  if (idempotency.class === 'none') return { reachedByMs: Infinity, unlessConsented: true };
  if (idempotency.class !== 'key' || idempotency.windowMs === undefined) return undefined;
  const { windowMs } = idempotency;
  return { reachedByMs: atMs - windowMs + marginMs(windowMs, timeoutMs), unlessConsented: false };
}

/**
 * Why an attempt that begins at `atMs` (wall time) may take effect a second time, as the end of a sentence about the destination; undefined if it
 * takes effect once, or a second effect is consented to.
 */
export function secondEffect(rules: EffectRules, { reachedAt, atLeastOnce }: Repeatable, atMs: number): string | undefined {
  const effects = secondEffectsOf(rules, atMs);
  if (effects === undefined || reachedAt === null || reachedAt.getTime() > effects.reachedByMs) return undefined;
  if (effects.unlessConsented) return atLeastOnce ? undefined : 'takes each request anew (idempotency class none)';
  return `keeps an effect key for ${durationOf((rules.idempotency as { windowMs: number }).windowMs)} only`;
}

const promises: Record<IdempotencyClass, string> = {
  key: 'Takes effect once: the destination recognises a repeat by its effect key.',
  upsert: 'Takes effect once: a repeat sets the same object to the same value, and never after a newer delivery.',
  absolute: 'Takes effect once: a repeat changes nothing.',
  verify: 'Takes effect once: before a repeat, the system is asked whether it took effect.',
  none: 'Takes effect at most once: after an attempt whose outcome is unknown it waits for a person. At least once where the flow says `atLeastOnce: true`.',
};

/** The promise of a destination for one delivery, in one sentence. */
export function promiseOf(idempotency: DeliveryIdempotency): string {
  if (idempotency.class === 'verify' && idempotency.otherwise === 'retry')
    return `${promises.verify} Where it refuses to say, the request is repeated, so it may take effect twice.`;
  if (idempotency.class !== 'key' || idempotency.windowMs === undefined) return promises[idempotency.class];
  return `Takes effect once: the destination recognises a repeat by its effect key for ${durationOf(idempotency.windowMs)}, and is sent none after that.`;
}

function durationOf(ms: number): string {
  return ms % hour === 0 ? `${ms / hour} h` : `${Math.round(ms / 60_000)} min`;
}
