import { DomainError, messageOf } from '#libs/contracts';
import { delayBefore } from '#libs/retries';
import type { RetryPolicy } from '#libs/retries';

/** The attempts at a record so far, in this process. */
export interface Tries {
  /** Number of attempts, whatever they failed of. */
  attempt: number;
  /** Failures that count against the retry limit. */
  spent: number;
  /** Failures of our own log or storage; they do not count against the limit. */
  ours: number;
  /** Failures that are no DomainError. */
  defects: number;
}

export type NextAction = { readonly againInMs: number } | { readonly park: { readonly code: string; readonly message: string } };

/**
 * Counts a failure and decides what happens to the record. The outcome `retry` is tried again: without limit if our own log or storage failed,
 * else until the retries of the policy are used up. A defect is tried once more, in case it was a race. Every other failure parks the record.
 */
export function afterFailure(error: unknown, tries: Tries, policy: RetryPolicy): NextAction {
  if (!(error instanceof DomainError)) {
    tries.defects += 1;
    return tries.defects === 1 ? { againInMs: delayBefore(policy, 1) } : { park: { code: 'record.defect', message: messageOf(error) } };
  }
  if (error.outcome === 'retry') {
    const retry = error.ours ? (tries.ours += 1) : (tries.spent += 1);
    if (error.ours || retry <= policy.retries) {
      const { retryAfterMs, retryWithinMs = policy.maxDelayMs } = error;
      const within = { ...policy, maxDelayMs: Math.min(policy.maxDelayMs, retryWithinMs) };
      return { againInMs: delayBefore(within, retry, retryAfterMs === undefined ? {} : { retryAfterMs }) };
    }
  }
  return { park: { code: error.code, message: error.message } };
}
