import { DomainError } from '#libs/contracts';
import type { DestinationSpec } from '#libs/contracts';
import { scheduledDelay } from '#libs/retries';

/** What a failed attempt leads to. */
export type Verdict = { readonly state: 'pending'; readonly retryInMs: number } | { readonly state: 'parked'; readonly retryInMs: null };

const parked: Verdict = { state: 'parked', retryInMs: null };

/**
 * A failure that may pass is tried again as long as there are retries left; every other one waits for an operator.
 * @param retry as the destination has it now, whatever it said when the delivery was planned; undefined where it is not there
 * @param used retries that the delivery has had
 */
export function verdictOn(error: unknown, retry: DestinationSpec['retry'] | undefined, used: number, random?: () => number): Verdict {
  if (!(error instanceof DomainError) || error.outcome !== 'retry' || retry === undefined) return parked;
  const retryInMs = scheduledDelay(retry.delaysMs, used + 1, { retryAfterMs: error.retryAfterMs, random });
  return retryInMs === undefined ? parked : { state: 'pending', retryInMs };
}
