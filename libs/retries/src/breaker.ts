/** When calls to another system are stopped, and how they start again. */
export interface BreakerRules {
  /** The length of the window in which calls and failures are counted, in steps of a second. */
  readonly windowMs: number;
  /** The share of failures counts only with at least so many calls in the window. */
  readonly minimumCalls: number;
  /** The share of failures, 0 to 1, at which the breaker opens. */
  readonly failureShare: number;
  /** The breaker also opens after so many calls in a row without a response. */
  readonly unansweredInARow: number;
  /** How long the first opening lasts; each further one in a row lasts twice as long. */
  readonly openMs: number;
  readonly longestOpenMs: number;
  /** The part of that time, 0 to 1, by which it is lengthened or shortened at random. */
  readonly jitter: number;
  /** How long an opening lasts if the other side refuses the credential, which an operator has to repair. */
  readonly credentialOpenMs: number;
  /** So many successful probes close the breaker. */
  readonly successesToClose: number;
}

/** @see ../../../docs/decisions/2026-11-21-delivery-lanes.md */
export const standardBreaker: BreakerRules = Object.freeze({
  windowMs: 30_000,
  minimumCalls: 20,
  failureShare: 0.5,
  unansweredInARow: 5,
  openMs: 5_000,
  longestOpenMs: 120_000,
  jitter: 0.2,
  credentialOpenMs: 300_000,
  successesToClose: 2,
});

/** How a call counts. `failed`: a response that says the other side is broken. `unanswered`: no connection, or no response in time. */
export type CallOutcome = 'answered' | 'failed' | 'unanswered' | 'credentialRefused';

export interface Call {
  readonly outcome: CallOutcome;
  readonly beganAtMs: number;
}

/** The state of a breaker: plain data, so that it can be stored where all processes see it. */
export interface Breaker {
  /** Null while the breaker is closed. Probes may go out once this time has passed. */
  readonly openUntilMs: number | null;
  /** Openings in a row. */
  readonly openings: number;
  /** Successful probes since the latest opening. */
  readonly successes: number;
  readonly unansweredInARow: number;
  /** One entry per second of the window, the oldest first. */
  readonly seconds: readonly (readonly [startMs: number, calls: number, failures: number])[];
}

export const closedBreaker: Breaker = Object.freeze({
  openUntilMs: null,
  openings: 0,
  successes: 0,
  unansweredInARow: 0,
  seconds: [],
});

/** `halfOpen`: a few probes may find out whether the other side is back. */
export function phaseOf({ openUntilMs }: Breaker, nowMs: number): 'closed' | 'open' | 'halfOpen' {
  if (openUntilMs === null) return 'closed';
  return nowMs < openUntilMs ? 'open' : 'halfOpen';
}

/** The breaker after a call. A call that began before the opening ended changes nothing: only probes count then. */
export function afterCall(
  breaker: Breaker,
  { outcome, beganAtMs }: Call,
  nowMs: number,
  rules: BreakerRules = standardBreaker,
  random: () => number = Math.random,
): Breaker {
  if (breaker.openUntilMs !== null) {
    if (beganAtMs < breaker.openUntilMs) return breaker;
    return outcome === 'answered' ? afterGoodProbe(breaker, rules) : opened(breaker, outcome, nowMs, rules, random);
  }
  const counted = count(breaker, outcome, nowMs, rules);
  return mustOpen(counted, outcome, rules) ? opened(counted, outcome, nowMs, rules, random) : counted;
}

/** So many calls that were answered within one second, and how long ago that was. */
export interface AnsweredCalls {
  readonly agoMs: number;
  readonly calls: number;
}

/** The breaker with answered calls that nobody counted when they were made. While it is open, they change nothing. */
export function withAnswered(breaker: Breaker, answered: readonly AnsweredCalls[], nowMs: number, { windowMs }: BreakerRules): Breaker {
  if (breaker.openUntilMs !== null) return breaker;
  const seconds = new Map(breaker.seconds.map((second) => [second[0], second]));
  for (const { agoMs, calls } of answered) {
    const startMs = secondOf(nowMs - agoMs);
    if (startMs <= secondOf(nowMs) - windowMs) continue;
    const [, counted, failures] = seconds.get(startMs) ?? [startMs, 0, 0];
    seconds.set(startMs, [startMs, counted + calls, failures]);
  }
  return { ...breaker, seconds: [...seconds.values()].toSorted(([one], [other]) => one - other) };
}

/** True if the breaker is open, or something failed within its window. */
export function isTroubled({ openUntilMs, unansweredInARow, seconds }: Breaker): boolean {
  return openUntilMs !== null || unansweredInARow > 0 || seconds.some(([, , failures]) => failures > 0);
}

function secondOf(ms: number): number {
  return ms - (ms % 1_000);
}

function afterGoodProbe(breaker: Breaker, { successesToClose }: BreakerRules): Breaker {
  const successes = breaker.successes + 1;
  return successes >= successesToClose ? closedBreaker : { ...breaker, successes };
}

function count(breaker: Breaker, outcome: CallOutcome, nowMs: number, { windowMs }: BreakerRules): Breaker {
  const second = secondOf(nowMs);
  const failures = outcome === 'answered' ? 0 : 1;
  // Seconds that lie ahead were counted before the clock stepped back.
  const kept = breaker.seconds.filter(([startMs]) => startMs > second - windowMs && startMs <= second);
  const [last] = kept.slice(-1);
  const seconds =
    last?.[0] === second
      ? [...kept.slice(0, -1), [second, last[1] + 1, last[2] + failures] as const]
      : [...kept, [second, 1, failures] as const];
  return { ...breaker, seconds, unansweredInARow: outcome === 'unanswered' ? breaker.unansweredInARow + 1 : 0 };
}

function mustOpen({ seconds, unansweredInARow }: Breaker, outcome: CallOutcome, rules: BreakerRules): boolean {
  if (outcome === 'credentialRefused' || unansweredInARow >= rules.unansweredInARow) return true;
  const calls = seconds.reduce((sum, [, some]) => sum + some, 0);
  const failures = seconds.reduce((sum, [, , some]) => sum + some, 0);
  return outcome !== 'answered' && calls >= rules.minimumCalls && failures >= calls * rules.failureShare;
}

function opened(breaker: Breaker, outcome: CallOutcome, nowMs: number, rules: BreakerRules, random: () => number): Breaker {
  const fullMs = Math.min(rules.longestOpenMs, rules.openMs * 2 ** breaker.openings);
  const spread = 1 + rules.jitter * (2 * random() - 1);
  const openMs = outcome === 'credentialRefused' ? rules.credentialOpenMs : Math.min(rules.longestOpenMs, fullMs * spread);
  return {
    ...closedBreaker,
    openUntilMs: nowMs + Math.round(openMs),
    openings: breaker.openings + 1,
  };
}
