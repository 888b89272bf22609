import { setTimeout as delay } from 'node:timers/promises';

/** The longest delay of a timer, about 24.8 days. Node fires a timer with a longer one after 1 ms. */
export const longestTimerMs = 2 ** 31 - 1;

/** Calls `work` once, after `ms` or {@link longestTimerMs}, whichever is shorter. */
export function startTimer(work: () => void, ms: number): NodeJS.Timeout {
  return setTimeout(work, boundedMs(ms));
}

/** Calls `work` every `ms`, or every {@link longestTimerMs} if that is shorter. */
export function startInterval(work: () => void, ms: number): NodeJS.Timeout {
  return setInterval(work, boundedMs(ms));
}

/** Resolves after `ms` or {@link longestTimerMs}, whichever is shorter. @throws the signal's reason as soon as it aborts */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  try {
    await delay(boundedMs(ms), undefined, { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/** Aborts with a `TimeoutError` after `ms` or {@link longestTimerMs}, whichever is shorter. */
export function timeoutSignal(ms: number): AbortSignal {
  return AbortSignal.timeout(boundedMs(ms));
}

/** Waits for `work` for at most `ms`. The process does not stay alive for the wait. @throws as `work` does within that time */
export async function waitAtMost(ms: number, work: Promise<unknown> | undefined): Promise<void> {
  const over = Promise.withResolvers<void>();
  const timer = startTimer(over.resolve, ms).unref();
  try {
    await Promise.race([work, over.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** @throws RangeError if `ms` is not a number: Node would fire such a timer after 1 ms, so a loop that waits with it would spin */
function boundedMs(ms: number): number {
  if (Number.isNaN(ms)) throw new RangeError('The delay of a timer is not a number');
  return Math.min(ms, longestTimerMs);
}
