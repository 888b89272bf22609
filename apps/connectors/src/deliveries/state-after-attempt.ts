import { DomainError } from '#libs/contracts';
import type { DestinationSpec } from '#libs/contracts';
import { scheduledDelay } from '#libs/retries';

/** The state of a delivery after an attempt, and the wait before the next one if there is to be one. */
export type StateAfterAttempt =
  | { readonly state: 'pending'; readonly retryInMs: number }
  | { readonly state: 'delivered' | 'parked'; readonly retryInMs: null };

const parked: StateAfterAttempt = { state: 'parked', retryInMs: null };

/**
 * A failure that may pass is tried again as long as there are retries left; every other one waits for an operator.
 * @param retry the destination's current schedule, also if it was another one when the delivery was planned; undefined if there is no such
 *   destination
 * @param used retries that the delivery has had
 */
export function stateAfterFailure(
  error: unknown,
  retry: DestinationSpec['retry'] | undefined,
  used: number,
  random?: () => number,
): StateAfterAttempt {
  if (!(error instanceof DomainError) || error.outcome !== 'retry' || retry === undefined) return parked;
  const retryInMs = scheduledDelay(retry.delaysMs, used + 1, { retryAfterMs: error.retryAfterMs, random });
  return retryInMs === undefined ? parked : { state: 'pending', retryInMs };
}
