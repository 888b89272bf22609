import { DeliveryFailure } from '#libs/destinations';
import { DomainError } from '#libs/contracts';
import type { DeliveryIdempotency, DestinationSpec } from '#libs/contracts';
import { secondEffect } from '#libs/deliveries';
import type { Repeatable } from '#libs/deliveries';
import { scheduledDelay } from '#libs/retries';
import { latencyMs } from '#libs/time';
import { DeliveryUncertain } from './delivery.errors.js';

/** The state of a delivery after an attempt, and the wait before the next one if there is to be one. */
export type StateAfterAttempt =
  | { readonly state: 'pending'; readonly retryInMs: number }
  | { readonly state: 'delivered' | 'parked'; readonly retryInMs: null };

/** The consequence of a failed attempt. */
export interface Consequence {
  readonly next: StateAfterAttempt;
  /** The failure, or that it cannot be repeated safely. */
  readonly error: unknown;
  /** True: the destination may have taken the payload all the same. */
  readonly isUncertain: boolean;
}

/** The delivery as it was when the attempt began. */
export interface Attempting extends Repeatable {
  readonly destination: string;
  /** Retries that it has had. */
  readonly retries: number;
}

/** The rules by which attempts are repeated. */
export interface RepeatRules extends Pick<DestinationSpec, 'retry' | 'timeoutMs'> {
  readonly idempotency: DeliveryIdempotency;
}

const parked: StateAfterAttempt = { state: 'parked', retryInMs: null };

/**
 * A failure that may pass is tried again as long as there are retries left, and as long as a repeat does not take effect a second time; every other
 * one waits for an operator.
 * @param rules those of the destination's current document, also if it was another one when the delivery was planned; undefined if there is no such destination
 * @param attempt when it began and ended, in wall time
 */
export function afterFailure(
  error: unknown,
  rules: RepeatRules | undefined,
  delivery: Attempting,
  { startedAt, finishedAt }: { readonly startedAt: Date; readonly finishedAt: Date },
  random?: () => number,
): Consequence {
  const isUncertain = error instanceof DeliveryFailure && error.isUncertain;
  if (!(error instanceof DomainError) || error.outcome !== 'retry' || rules === undefined) return { next: parked, error, isUncertain };
  const scheduledInMs = scheduledDelay(rules.retry.delaysMs, delivery.retries + 1, { retryAfterMs: error.retryAfterMs, random });
  if (scheduledInMs === undefined) return { next: parked, error, isUncertain };
  const reachedAt = delivery.reachedAt ?? (isUncertain ? startedAt : null);
  const retryInMs = Math.max(scheduledInMs, untilSettledMs(rules, reachedAt, finishedAt));
  const why = secondEffect(rules, { ...delivery, reachedAt }, finishedAt.getTime() + retryInMs);
  if (why === undefined) return { next: { state: 'pending', retryInMs }, error, isUncertain };
  const cause = isUncertain ? error : undefined;
  return { next: parked, error: new DeliveryUncertain(delivery.destination, reachedAt!, why, cause), isUncertain };
}

/** The time until the effect of an attempt can be found, ms. */
function untilSettledMs({ idempotency }: RepeatRules, reachedAt: Date | null, now: Date): number {
  if (idempotency.class !== 'verify' || reachedAt === null) return 0;
  return idempotency.settleMs - latencyMs(reachedAt.getTime(), now.getTime());
}
