/**
 * A rate limit by GCRA (ITU-T I.371). Its state is one number, `nextDueMs`: the time at which the next call would be due if calls came evenly.
 * All who share the number keep the rate together. Unused calls are kept for a tenth of a second, so that a few may be made at once.
 */
export interface RateLimit {
  readonly perSecond: number;
}

const keptMs = 100;

/** How many calls may begin now. */
export function callsAllowed({ perSecond }: RateLimit, nextDueMs: number, nowMs: number): number {
  return Math.max(0, Math.floor(((nowMs + keptOf(perSecond) - Math.max(nextDueMs, nowMs)) * perSecond) / 1_000 + 1e-6));
}

/** The new `nextDueMs` after so many calls began. */
export function afterCalls({ perSecond }: RateLimit, nextDueMs: number, nowMs: number, calls: number): number {
  return Math.max(nextDueMs, nowMs) + (calls * 1_000) / perSecond;
}

/** The time until a call may begin; 0 if one may begin now. */
export function untilAllowedMs({ perSecond }: RateLimit, nextDueMs: number, nowMs: number): number {
  return Math.max(0, nextDueMs + 1_000 / perSecond - keptOf(perSecond) - nowMs);
}

/** At least the time of one call: with less, no call would ever be allowed. */
function keptOf(perSecond: number): number {
  return Math.max(keptMs, 1_000 / perSecond);
}
