import { afterCall, closedBreaker } from '#libs/retries';
import type { Breaker, BreakerRules, CallOutcome } from '#libs/retries';

/** Since when something is so, until when it is, and why. */
export interface Spell {
  readonly sinceMs: number;
  readonly untilMs: number;
  /** The code of the failure that led to it. */
  readonly reason: string;
}

/** How a destination is doing, as all processes together know it. */
export interface Health {
  readonly breaker: Breaker;
  /** Null while the breaker is closed. Until then nothing is sent; after it, a few probes are. */
  readonly open: Spell | null;
  /** The destination asked for a pause. */
  readonly limited: Spell | null;
  readonly disabled: Omit<Spell, 'untilMs'> | null;
}

/** What an attempt says about its destination. */
export interface Observation {
  /** Undefined where the attempt says nothing about whether the destination works. */
  readonly outcome: CallOutcome | undefined;
  readonly durationMs: number;
  /** The pause that the destination asked for. */
  readonly pauseMs: number | undefined;
  /** The destination wants nothing more. */
  readonly gone: boolean;
  /** The code of the failure, where it failed. */
  readonly reason: string;
}

export const goodHealth: Health = Object.freeze({ breaker: closedBreaker, open: null, limited: null, disabled: null });

export function afterAttempt(health: Health, observation: Observation, nowMs: number, rules: BreakerRules): Health {
  const { outcome, durationMs, reason } = observation;
  const breaker =
    outcome === undefined ? health.breaker : afterCall(health.breaker, { outcome, beganAtMs: nowMs - durationMs }, nowMs, rules);
  return {
    breaker,
    open: breaker === health.breaker ? health.open : openOf(breaker, health.open, reason, nowMs),
    limited: limitedOf(health.limited, observation, nowMs),
    disabled: health.disabled ?? (observation.gone ? { sinceMs: nowMs, reason } : null),
  };
}

/** Going open again after a probe is still the same outage. */
function openOf({ openUntilMs: untilMs }: Breaker, before: Spell | null, reason: string, nowMs: number): Spell | null {
  if (untilMs === null) return null;
  if (untilMs === before?.untilMs) return before;
  return { sinceMs: before?.sinceMs ?? nowMs, untilMs, reason };
}

function limitedOf(before: Spell | null, { pauseMs, reason }: Observation, nowMs: number): Spell | null {
  const untilMs = pauseMs === undefined ? 0 : nowMs + pauseMs;
  if (untilMs <= (before?.untilMs ?? 0)) return before;
  const goesOn = before !== null && before.untilMs > nowMs;
  return { sinceMs: goesOn ? before.sinceMs : nowMs, untilMs, reason };
}
