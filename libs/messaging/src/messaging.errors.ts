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

/** The record is larger than the log accepts. Repeating it cannot help; the caller has to send less. */
export class RecordTooLarge extends DomainError {
  readonly code = 'request.tooLarge';

  constructor(bytes: number, limit: string) {
    super(`The record has ${bytes} bytes, the log takes ${limit}`);
  }
}

/** A record of the log does not match its headers or its topic. */
export class RecordUndecodable extends DomainError {
  readonly code = 'record.undecodable';

  constructor(reason: string, cause?: unknown) {
    super(reason, { cause });
  }
}

/**
 * Thrown by a handler that appended a dead letter itself. The record is not retried. In a group with the policy `park-key`, the later records
 * of its customer wait until that dead letter is resolved. Then this record is handled again first, so its handler must not throw this for a
 * resolved dead letter.
 */
export abstract class HoldsCustomer extends DomainError {
  constructor(
    readonly deadLetterId: string,
    message: string,
  ) {
    super(message);
  }
}
