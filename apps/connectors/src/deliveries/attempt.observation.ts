import { ConnectorFailure } from '#libs/connectors';
import { DomainError } from '#libs/contracts';
import type { Observation } from '../destinations/health.js';

/**
 * What an attempt shows about its destination.
 * @param error null if the attempt succeeded
 */
export function observationOf(error: unknown, durationMs: number): Observation {
  const failure = error instanceof ConnectorFailure ? error : undefined;
  return {
    peer: error === null ? 'up' : (failure?.peer ?? 'unknown'),
    durationMs,
    pauseMs: failure?.retryAfterMs,
    reason: error instanceof DomainError ? error.code : '',
  };
}
