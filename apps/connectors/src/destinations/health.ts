import type { PeerCondition } from '#libs/connectors';
import { afterCall, closedBreaker, withAnswered } from '#libs/retries';
import type { AnsweredCalls, Breaker, BreakerRules, CallOutcome } from '#libs/retries';

/** A time in which nothing is sent, and why. */
export interface BlockedInterval {
  readonly sinceMs: number;
  readonly untilMs: number;
  /** The code of the failure that led to it. */
  readonly reason: string;
}

/** The health of a destination, shared by all processes. */
export interface Health {
  readonly breaker: Breaker;
  /** Null while the breaker is closed. Nothing is sent during the interval, and a few probes after it. */
  readonly open: BlockedInterval | null;
  /** The pause that the destination asked for. */
  readonly limited: BlockedInterval | null;
  readonly disabled: Omit<BlockedInterval, 'untilMs'> | null;
}

/** An attempt, as far as it shows how its destination is doing. */
export interface Observation {
  readonly peer: PeerCondition;
  readonly durationMs: number;
  /** The pause that the destination asked for. */
  readonly pauseMs: number | undefined;
  /** The code of the failure; empty if the attempt succeeded. */
  readonly reason: string;
}

/** How the breaker counts each condition. One that shows nothing about whether the destination works is not counted. */
const callOutcomes: Readonly<Record<PeerCondition, CallOutcome | undefined>> = {
  up: 'answered',
  gone: 'answered',
  failing: 'failed',
  unreachable: 'unanswered',
  unauthorized: 'credentialRefused',
  limited: undefined,
  unknown: undefined,
};

export const goodHealth: Health = Object.freeze({ breaker: closedBreaker, open: null, limited: null, disabled: null });

export function afterAttempt(health: Health, observation: Observation, nowMs: number, rules: BreakerRules): Health {
  const { peer, durationMs, reason } = observation;
  const outcome = callOutcomes[peer];
  const breaker =
    outcome === undefined ? health.breaker : afterCall(health.breaker, { outcome, beganAtMs: nowMs - durationMs }, nowMs, rules);
  return {
    breaker,
    open: breaker === health.breaker ? health.open : openOf(breaker, health.open, reason, nowMs),
    limited: limitedOf(health.limited, observation, nowMs),
    disabled: health.disabled ?? (peer === 'gone' ? { sinceMs: nowMs, reason } : null),
  };
}

/** Tells attempts that change the health of their destination from successes, and from those that say nothing about it. */
export function meaningOf({ peer, pauseMs }: Observation): 'change' | 'success' | 'nothing' {
  if (pauseMs !== undefined) return 'change';
  return peer === 'up' ? 'success' : callOutcomes[peer] === undefined ? 'nothing' : 'change';
}

/** The health with successes that were not noted one by one. */
export function afterSuccesses(health: Health, answered: readonly AnsweredCalls[], nowMs: number, rules: BreakerRules): Health {
  return answered.length === 0 ? health : { ...health, breaker: withAnswered(health.breaker, answered, nowMs, rules) };
}

/** An opening after a failed probe belongs to the same outage, so it keeps the time at which that began. */
function openOf({ openUntilMs: untilMs }: Breaker, before: BlockedInterval | null, reason: string, nowMs: number): BlockedInterval | null {
  if (untilMs === null) return null;
  if (untilMs === before?.untilMs) return before;
  return { sinceMs: before?.sinceMs ?? nowMs, untilMs, reason };
}

function limitedOf(before: BlockedInterval | null, { pauseMs, reason }: Observation, nowMs: number): BlockedInterval | null {
  const untilMs = pauseMs === undefined ? 0 : nowMs + pauseMs;
  if (untilMs <= (before?.untilMs ?? 0)) return before;
  const goesOn = before !== null && before.untilMs > nowMs;
  return { sinceMs: goesOn ? before.sinceMs : nowMs, untilMs, reason };
}
