import { longestPauseMs } from './retry-after.js';

/** How often a failed call is tried again, and how long each try waits. */
export interface RetryPolicy {
  /** Tries after the first one. */
  readonly retries: number;
  readonly initialDelayMs: number;
  /** Each delay is this many times the one before. */
  readonly factor: number;
  /** No computed delay is longer; a delay the other side asks for may be. */
  readonly maxDelayMs: number;
  /** The part of a delay that is random, 0 to 1: the delay is drawn from `delay × (1 − jitter)` to `delay`. */
  readonly jitter: number;
}

/** The default of every edge: 1 s, 2 s, 4 s, 8 s, 16 s, each shortened by up to half at random. */
export const standardRetry: RetryPolicy = Object.freeze({ retries: 5, initialDelayMs: 1_000, factor: 2, maxDelayMs: 60_000, jitter: 0.5 });

/**
 * The wait before a retry, in whole ms.
 * If the other side asks for `retryAfterMs`, the wait is never shorter, up to {@link longestPauseMs}; jitter lengthens it, so that the callers it turned away do not all return at once.
 * @param retry 1 for the first retry
 */
export function delayBefore(policy: RetryPolicy, retry: number, options: { retryAfterMs?: number; random?: () => number } = {}): number {
  const random = options.random ?? Math.random;
  const full = Math.min(policy.maxDelayMs, policy.initialDelayMs * policy.factor ** (retry - 1));
  const backoff = full * (1 - policy.jitter * random());
  const retryAfterMs = Math.min(options.retryAfterMs ?? 0, longestPauseMs);
  if (retryAfterMs <= backoff) return Math.round(backoff);
  return Math.ceil(retryAfterMs + Math.min(policy.initialDelayMs, 0.2 * retryAfterMs) * policy.jitter * random());
}
