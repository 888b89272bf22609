import { DomainError } from '#libs/contracts';

/** The log did not acknowledge in time, or cannot take more. Whether the record was stored is unknown: append it again under the same id. */
export class LogUnavailable extends DomainError {
  readonly code = 'log.unavailable';
  override readonly ours = true;
  override readonly retryWithinMs = 5_000;
  override readonly retryAfterMs = 1_000;

  constructor(reason: string, cause?: unknown) {
    super(`The log is unavailable: ${reason}`, { cause });
  }
}

/** A record larger than the log takes. It never will, so the caller has to send less. */
export class RecordTooLarge extends DomainError {
  readonly code = 'request.tooLarge';

  constructor(bytes: number, maxBytes: number) {
    super(`The record has ${bytes} bytes, the log takes ${maxBytes}`);
  }
}

/** What stands in the log is not what its headers and topic promise. */
export class RecordUndecodable extends DomainError {
  readonly code = 'record.undecodable';

  constructor(reason: string, cause?: unknown) {
    super(reason, { cause });
  }
}

/**
 * Thrown by a handler that gave something up and announced its dead letter itself: the record is done with, but in a group with the policy
 * `park-key` its customer's later records wait until that dead letter is resolved. The record itself is handled again first, so its handler must
 * not throw this for a dead letter that is resolved.
 */
export abstract class HoldsCustomer extends DomainError {
  constructor(
    readonly deadLetterId: string,
    message: string,
  ) {
    super(message);
  }
}
