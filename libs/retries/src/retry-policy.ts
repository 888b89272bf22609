/** How often something that failed is tried again, and how long each try waits. */
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

/** What every edge uses unless it has a reason: 1 s, 2 s, 4 s, 8 s, 16 s, each shortened by up to half. */
export const standardRetry: RetryPolicy = Object.freeze({ retries: 5, initialDelayMs: 1_000, factor: 2, maxDelayMs: 60_000, jitter: 0.5 });

/**
 * The wait before a retry, in whole ms.
 * A `retryAfterMs` of the other side is a floor that jitter only lengthens, so that the callers it turned away do not all come back at once.
 * @param retry 1 for the first retry
 */
export function delayBefore(policy: RetryPolicy, retry: number, options: { retryAfterMs?: number; random?: () => number } = {}): number {
  const random = options.random ?? Math.random;
  const full = Math.min(policy.maxDelayMs, policy.initialDelayMs * policy.factor ** (retry - 1));
  const backoff = full * (1 - policy.jitter * random());
  const { retryAfterMs } = options;
  if (retryAfterMs === undefined || retryAfterMs <= backoff) return Math.round(backoff);
  return Math.ceil(retryAfterMs + Math.min(policy.initialDelayMs, 0.2 * retryAfterMs) * policy.jitter * random());
}
