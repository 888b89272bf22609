import { ConnectionNeedsReauth, ConnectionUnavailable } from '#libs/connections';
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
    peer: error === null ? 'up' : (failure?.peer ?? peerOf(error)),
    durationMs,
    pauseMs: failure?.retryAfterMs,
    reason: error instanceof DomainError ? error.code : '',
  };
}

/** Without a credential nothing reaches the destination: its breaker opens, so that the others wait as well. */
function peerOf(error: unknown): Observation['peer'] {
  if (error instanceof ConnectionNeedsReauth) return 'unauthorized';
  return error instanceof ConnectionUnavailable ? 'unreachable' : 'unknown';
}
