import { DomainError } from '#libs/contracts';
import { DestinationTimedOut, DestinationUnreachable } from '#libs/http';
import type { CallOutcome } from '#libs/retries';
import { AnsweredError, DeliveryGone, DeliveryUnauthorized } from '../connectors/connector.errors.js';
import type { Observation } from '../destinations/health.js';

/**
 * What an attempt says about its destination. A refused payload is an answer like another; a rate limit neither speaks for the destination
 * nor against it, and what never left this process says nothing.
 * @param error null where the attempt succeeded
 */
export function observationOf(error: unknown, durationMs: number): Observation {
  return {
    outcome: outcomeOf(error),
    durationMs,
    pauseMs: error instanceof AnsweredError ? error.retryAfterMs : undefined,
    gone: error instanceof DeliveryGone,
    reason: error instanceof DomainError ? error.code : '',
  };
}

function outcomeOf(error: unknown): CallOutcome | undefined {
  if (error === null) return 'answered';
  if (error instanceof DestinationUnreachable || error instanceof DestinationTimedOut) return 'unanswered';
  if (error instanceof DeliveryUnauthorized) return 'credentialRefused';
  if (!(error instanceof AnsweredError) || error.receipt.status === 429) return undefined;
  return error.receipt.status >= 500 ? 'failed' : 'answered';
}
