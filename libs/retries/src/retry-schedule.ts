/** The longest part of a delay that jitter adds to it: what failed together does not come back together. */
const jitter = 0.2;

/**
 * The wait before a retry by a list of delays, in whole ms; undefined where the list has no more. Jitter only lengthens a delay, by up to a fifth.
 * A `retryAfterMs` of the other side is a floor.
 * @param retry 1 for the first retry
 */
export function scheduledDelay(
  delaysMs: readonly number[],
  retry: number,
  { retryAfterMs = 0, random = Math.random }: { retryAfterMs?: number | undefined; random?: (() => number) | undefined } = {},
): number | undefined {
  const delayMs = delaysMs[retry - 1];
  return delayMs === undefined ? undefined : Math.ceil(Math.max(delayMs, retryAfterMs) * (1 + jitter * random()));
}
