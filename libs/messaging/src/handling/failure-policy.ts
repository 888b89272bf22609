import { DomainError, messageOf } from '#libs/contracts';
import { delayBefore } from '#libs/retries';
import type { RetryPolicy } from '#libs/retries';

/** What was tried with a record so far, in this process. */
export interface Tries {
  /** From 1, whatever the attempts failed of. */
  attempt: number;
  /** Failures that used up the retry budget. */
  spent: number;
  /** Failures that are ours (log, storage), which use up nothing. */
  ours: number;
  /** Failures nobody foresaw. */
  defects: number;
}

export type NextStep = { readonly againInMs: number } | { readonly park: { readonly code: string; readonly message: string } };

/**
 * What happens to a record whose handler threw, and counts the failure. An outcome `retry` is tried again: without limit where the fault is
 * ours, else until the policy's retries are spent. A defect is tried once more, in case it was a race. All else is parked.
 */
export function afterFailure(error: unknown, tries: Tries, policy: RetryPolicy): NextStep {
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
