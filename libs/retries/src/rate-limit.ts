/**
 * A rate kept by everybody who shares one number: when the next call would be due if they came evenly (GCRA, ITU-T I.371). What is not used up
 * is kept for a tenth of a second, so that a batch need not be sent one by one.
 */
export interface RateLimit {
  readonly perSecond: number;
}

const keptMs = 100;

/** How many calls may begin now. */
export function callsAllowed({ perSecond }: RateLimit, nextDueMs: number, nowMs: number): number {
  return Math.max(0, Math.floor(((nowMs + keptOf(perSecond) - Math.max(nextDueMs, nowMs)) * perSecond) / 1_000 + 1e-6));
}

/** The shared number after so many calls began. */
export function afterCalls({ perSecond }: RateLimit, nextDueMs: number, nowMs: number, calls: number): number {
  return Math.max(nextDueMs, nowMs) + (calls * 1_000) / perSecond;
}

/** How long until a call may begin; 0 where one may now. */
export function untilAllowedMs({ perSecond }: RateLimit, nextDueMs: number, nowMs: number): number {
  return Math.max(0, nextDueMs + 1_000 / perSecond - keptOf(perSecond) - nowMs);
}

/** At least one call’s worth, else there would never be one. */
function keptOf(perSecond: number): number {
  return Math.max(keptMs, 1_000 / perSecond);
}
