/** What happens next to the unit of work that failed: the caller is told, it is tried again, a person decides, or it is parked for an operator. */
export type Outcome = 'reject' | 'retry' | 'review' | 'deadLetter';

/**
 * Every expected failure, for all edges. A code is stable: it is the `type` of problem+json, `code` in GraphQL, the label in metrics and the
 * reason on a dead letter.
 */
export const failures = {
  'request.malformed': { outcome: 'reject', title: 'The request could not be read' },
  'request.invalid': { outcome: 'reject', title: 'A field of the request is not acceptable' },
  'request.tooLarge': { outcome: 'reject', title: 'The body is larger than this door accepts' },
  'request.unsupportedMediaType': { outcome: 'reject', title: 'The content type is not one this door reads' },
  'request.notFound': { outcome: 'reject', title: 'There is nothing at this address' },
  'request.methodNotAllowed': { outcome: 'reject', title: 'This address does not answer that method' },
  'request.idempotencyMismatch': { outcome: 'reject', title: 'The idempotency key was used before, for another request' },
  'request.tooExpensive': { outcome: 'reject', title: 'The query asks for more than one request may' },
  'request.timeout': { outcome: 'retry', title: 'The answer took longer than a request may' },
  'request.defect': { outcome: 'reject', title: 'The request failed in a way nobody foresaw' },
  'service.starting': { outcome: 'retry', title: 'The process has not finished its start' },
  'subscription.overflow': { outcome: 'retry', title: 'The subscriber reads slower than changes come in' },
  'source.unknown': { outcome: 'reject', title: 'No source is registered at this address' },
  'signature.missing': { outcome: 'reject', title: 'The request carries no signature' },
  'signature.malformed': { outcome: 'reject', title: 'The signature or its timestamp could not be read' },
  'signature.mismatch': { outcome: 'reject', title: 'The signature does not match the body' },
  'signature.expired': { outcome: 'reject', title: 'The signature is too old or from the future' },
  'credential.missing': { outcome: 'reject', title: 'The request carries no API key' },
  'credential.invalid': { outcome: 'reject', title: 'The API key is unknown, revoked or expired' },
  'credential.scope': { outcome: 'reject', title: 'The API key lacks the scope for this' },
  'document.invalid': { outcome: 'reject', title: 'A document does not fit its schema' },
  'event.unknown': { outcome: 'reject', title: 'The event does not exist' },
  'deadLetter.unknown': { outcome: 'reject', title: 'The dead letter does not exist' },
  'deadLetter.resolved': { outcome: 'reject', title: 'The dead letter is resolved already' },
  'deadLetter.notHeld': { outcome: 'reject', title: 'The record of the dead letter was passed over, and cannot be handled again' },
  'delivery.unknown': { outcome: 'reject', title: 'The delivery does not exist' },
  'bulkOperation.unknown': { outcome: 'reject', title: 'The bulk operation does not exist' },
  'bulkOperation.defect': { outcome: 'deadLetter', title: 'The bulk operation failed in a way nobody foresaw' },
  'log.unavailable': { outcome: 'retry', title: 'The log did not acknowledge in time' },
  'storage.unavailable': { outcome: 'retry', title: 'Postgres cannot be reached' },
  'configuration.unavailable': { outcome: 'retry', title: 'The configuration has not been read yet' },
  'record.undecodable': { outcome: 'deadLetter', title: 'The record does not fit its schema' },
  'record.defect': { outcome: 'deadLetter', title: 'The handler failed in a way nobody foresaw' },
  'flow.unknown': { outcome: 'reject', title: 'The flow does not exist' },
  'run.leased': { outcome: 'retry', title: 'Another process is at work on this run' },
  'run.unfinished': { outcome: 'retry', title: 'A run of the event has to be tried again' },
  'run.failed': { outcome: 'deadLetter', title: 'A run of the event was given up, and its customer waits for what becomes of it' },
  'flow.expressionFailed': { outcome: 'deadLetter', title: 'An expression of the flow failed' },
  'flow.validationFailed': { outcome: 'deadLetter', title: 'A validate step refused its input' },
  'flow.unknownDestination': { outcome: 'deadLetter', title: 'The flow delivers to a destination that does not exist' },
  'model.unavailable': { outcome: 'retry', title: 'The model could not be reached or failed' },
  'model.limited': { outcome: 'retry', title: 'The model provider limits the rate' },
  'model.credential': { outcome: 'retry', title: 'The model provider refuses the credential' },
  'model.refused': { outcome: 'deadLetter', title: 'The model refused the request for good' },
  'model.invalidOutput': { outcome: 'deadLetter', title: 'The model never produced output that fits the schema' },
  'delivery.busy': { outcome: 'retry', title: 'An attempt of the delivery is under way' },
  'delivery.unavailable': { outcome: 'retry', title: 'The destination could not be reached or failed' },
  'delivery.timeout': { outcome: 'retry', title: 'The destination did not answer by the deadline' },
  'delivery.refused': { outcome: 'deadLetter', title: 'The destination refused the payload' },
  'delivery.unauthorized': { outcome: 'retry', title: 'The destination refuses the credential' },
  'delivery.destinationDisabled': {
    outcome: 'deadLetter',
    title: 'The destination answered 410, and gets nothing until it is enabled again',
  },
  'destination.unknown': { outcome: 'reject', title: 'The destination does not exist' },
  'delivery.addressForbidden': { outcome: 'deadLetter', title: 'The destination resolves to an address that deliveries may not reach' },
} as const satisfies Record<string, { outcome: Outcome; title: string }>;

export type FailureCode = keyof typeof failures;

/**
 * An expected failure. Everything that is not one is a defect and keeps its stack.
 * A subclass fixes `code`; the outcome follows from the table above.
 */
export abstract class DomainError extends Error {
  abstract readonly code: FailureCode;
  /** How long to wait before the next try, in ms, where the other side said so. */
  readonly retryAfterMs?: number;
  /** The longest wait before the next try that makes sense, in ms: what failed is asked again more often than a stranger would be. */
  readonly retryWithinMs?: number;
  /** True where the fault is ours (log, storage): such a retry never uses up the budget, and nothing is parked for it. */
  readonly ours: boolean = false;
  /** Which field of the input is at fault, as a path (`spec.steps.0.infer.model`). */
  readonly field?: string;

  get outcome(): Outcome {
    return failures[this.code].outcome;
  }

  override get name(): string {
    return this.constructor.name;
  }
}
