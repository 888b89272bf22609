import { DomainError } from '#libs/contracts';
import type { DestinationSpec } from '#libs/contracts';
import { delayBefore } from '#libs/retries';

/** What a failed attempt leads to. */
export type Verdict = { readonly state: 'pending'; readonly retryInMs: number } | { readonly state: 'parked'; readonly retryInMs: null };

const parked: Verdict = { state: 'parked', retryInMs: null };

/**
 * A failure that may pass is tried again as long as there are retries left, later each time; every other one waits for an operator.
 * @param retry as the destination has it now; undefined where it is not there
 */
export function verdictOn(
  error: unknown,
  retry: DestinationSpec['retry'] | undefined,
  retriesLeft: number,
  random?: () => number,
): Verdict {
  if (!(error instanceof DomainError) || error.outcome !== 'retry' || retry === undefined || retriesLeft === 0) return parked;
  const { retries, initialDelayMs, maxDelayMs } = retry;
  const policy = { retries, initialDelayMs, maxDelayMs, factor: 2, jitter: 0.5 };
  const nth = Math.max(1, retries - retriesLeft + 1); // the budget may be from before the document was changed
  const { retryAfterMs } = error;
  const options = { ...(retryAfterMs === undefined ? {} : { retryAfterMs }), ...(random === undefined ? {} : { random }) };
  return { state: 'pending', retryInMs: delayBefore(policy, nth, options) };
}
