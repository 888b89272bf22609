import { DomainError } from '#libs/contracts';
import type { Receipt } from './connector.js';

/** The destination answered, and not that it took the payload. */
export abstract class AnsweredError extends DomainError {
  constructor(
    message: string,
    readonly receipt: Receipt,
  ) {
    super(message);
  }
}

/** An answer that may be another one soon. */
export class DeliveryUnavailable extends AnsweredError {
  readonly code = 'delivery.unavailable';

  constructor(
    receipt: Receipt,
    override readonly retryAfterMs: number | undefined,
  ) {
    super(`The destination answered ${receipt.status}`, receipt);
  }
}

/** The destination will not take this payload, however often it comes. */
export class DeliveryRefused extends AnsweredError {
  readonly code = 'delivery.refused';

  constructor(receipt: Receipt) {
    super(`The destination refused the payload with status ${receipt.status}`, receipt);
  }
}

/** The destination does not know us, whatever the payload is (401): an operator must repair the credential. */
export class DeliveryUnauthorized extends AnsweredError {
  readonly code = 'delivery.unauthorized';

  constructor(receipt: Receipt) {
    super(`The destination refused the credential with status ${receipt.status}`, receipt);
  }
}

/** The destination asks for nothing more to be sent (410). */
export class DeliveryGone extends AnsweredError {
  readonly code = 'delivery.destinationDisabled';

  constructor(receipt: Receipt) {
    super('The destination answered 410: it is gone for good, and gets nothing more until it is enabled again', receipt);
  }
}
