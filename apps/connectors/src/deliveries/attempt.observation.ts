import { DeliveryFailure } from '#libs/destinations';
import { DomainError } from '#libs/contracts';
import type { Observation } from '../destinations/health.js';

/**
 * Describes an attempt as far as it shows how its destination is doing.
 * @param error null if the attempt succeeded
 */
export function observationOf(error: unknown, durationMs: number): Observation {
  const failure = error instanceof DeliveryFailure ? error : undefined;
  return {
    peer: error === null ? 'up' : (failure?.peer ?? 'unknown'),
    durationMs,
    pauseMs: failure?.retryAfterMs,
    reason: error instanceof DomainError ? error.code : '',
  };
}
