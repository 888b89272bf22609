import { longestPauseMs } from './retry-after.js';

/** The part of a delay that jitter adds at most, so that calls which failed together are not retried together. */
const jitter = 0.2;

/** The longest wait that {@link scheduledDelay} makes of delays of at most so many ms. */
export function longestDelay(delayMs: number): number {
  return Math.ceil(Math.max(delayMs, longestPauseMs) * (1 + jitter));
}

/**
 * The wait before a retry by a list of delays, in whole ms; undefined after the end of the list. Jitter lengthens it by up to a fifth.
 * The wait is at least the `retryAfterMs` that the other side asked for, up to {@link longestPauseMs}.
 * @param retry 1 for the first retry
 */
export function scheduledDelay(
  delaysMs: readonly number[],
  retry: number,
  { retryAfterMs = 0, random = Math.random }: { retryAfterMs?: number | undefined; random?: (() => number) | undefined } = {},
): number | undefined {
  const delayMs = delaysMs[retry - 1];
  return delayMs === undefined ? undefined : Math.ceil(Math.max(delayMs, Math.min(retryAfterMs, longestPauseMs)) * (1 + jitter * random()));
}
