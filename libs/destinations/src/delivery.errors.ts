import type { OperationFailure, OperationFailureCode, PeerCondition, Receipt } from '#libs/connectors';
import { DomainError } from '#libs/contracts';
import type { FailureCode } from '#libs/contracts';

/**
 * A failed attempt of a delivery. `code` and `outcome` say what it means for the delivery, `peer` what it means for the destination, and
 * `retryAfterMs` for how long the destination asked to be left alone. Message, receipt and cause contain no secret.
 */
export abstract class DeliveryFailure extends DomainError {
  abstract readonly peer: PeerCondition;
  /** True: the peer may have taken the payload although it did not say so. False: it certainly did not. */
  abstract readonly isUncertain: boolean;

  /** @param receipt null if there was no response */
  constructor(
    message: string,
    readonly receipt: Receipt | null,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The destination responded, and may respond differently soon. */
export class DeliveryUnavailable extends DeliveryFailure {
  readonly code = 'delivery.unavailable';

  constructor(
    receipt: Receipt,
    readonly peer: 'up' | 'failing' | 'limited',
    override readonly retryAfterMs: number | undefined,
    readonly isUncertain: boolean,
  ) {
    super(`The destination responded with ${receipt.summary}`, receipt);
  }
}

/** No connection to the destination, or it broke before the response was complete. */
export class DeliveryUnreachable extends DeliveryFailure {
  readonly code = 'delivery.unavailable';
  readonly peer = 'unreachable';

  constructor(
    cause: Error,
    readonly isUncertain: boolean,
  ) {
    super(cause.message, null, { cause });
  }
}

/** No complete response by the deadline. */
export class DeliveryTimedOut extends DeliveryFailure {
  readonly code = 'delivery.timeout';
  readonly peer = 'unreachable';

  constructor(
    cause: Error,
    readonly isUncertain: boolean,
  ) {
    super(cause.message, null, { cause });
  }
}

/** The destination's address is an inner one, so nothing was sent. */
export class DeliveryAddressForbidden extends DeliveryFailure {
  readonly code = 'delivery.addressForbidden';
  readonly peer = 'unknown';
  readonly isUncertain = false;

  constructor(cause: Error) {
    super(cause.message, null, { cause });
  }
}

/** The destination will not take this payload, however often it comes. */
export class DeliveryRefused extends DeliveryFailure {
  readonly code = 'delivery.refused';
  readonly peer = 'up';
  readonly isUncertain = false;

  constructor(receipt: Receipt) {
    super(`The destination refused the payload with ${receipt.summary}`, receipt);
  }
}

/** The destination does not know us, whatever the payload is: an operator must repair the credential. */
export class DeliveryUnauthorized extends DeliveryFailure {
  readonly code = 'delivery.unauthorized';
  readonly peer = 'unauthorized';
  readonly isUncertain = false;

  constructor(receipt: Receipt) {
    super(`The destination refused the credential with ${receipt.summary}`, receipt);
  }
}

/** The destination asks for nothing more to be sent. */
export class DeliveryGone extends DeliveryFailure {
  readonly code = 'delivery.destinationDisabled';
  readonly peer = 'gone';
  readonly isUncertain = false;

  constructor(receipt: Receipt) {
    super(`The destination is gone for good (${receipt.summary}), and gets nothing more until it is enabled again`, receipt);
  }
}

/** An operation of a connector failed; its failure says how. */
export class DeliveryOperationFailed extends DeliveryFailure {
  readonly code: (typeof operationCodes)[keyof typeof operationCodes];
  readonly peer: PeerCondition;
  readonly isUncertain: boolean;
  override readonly retryAfterMs?: number;

  constructor(failure: OperationFailure) {
    super(failure.message, failure.receipt, { cause: failure });
    this.code = operationCodes[failure.code];
    this.peer = failure.peer;
    this.isUncertain = failure.isUncertain;
    if (failure.retryAfterMs !== undefined) this.retryAfterMs = failure.retryAfterMs;
  }
}

/** The codes of deliveries for those of operations. */
const operationCodes = {
  'operation.refused': 'delivery.refused',
  'operation.limited': 'delivery.unavailable',
  'operation.unavailable': 'delivery.unavailable',
  'operation.timeout': 'delivery.timeout',
  'operation.unauthorized': 'delivery.unauthorized',
  'operation.conflict': 'delivery.unavailable',
  'operation.gone': 'delivery.destinationDisabled',
  'operation.addressForbidden': 'delivery.addressForbidden',
  'operation.inputInvalid': 'delivery.refused',
  'operation.outputInvalid': 'delivery.refused',
} as const satisfies Record<OperationFailureCode, FailureCode>;

/** An earlier attempt may have taken effect, and the system refuses to say whether it did. */
export class DeliveryUnverified extends DeliveryFailure {
  readonly code = 'delivery.uncertain';
  readonly peer = 'up';
  readonly isUncertain = false;

  constructor(operation: string, reachedAt: Date) {
    super(
      `An attempt that began at ${reachedAt.toISOString()} may have taken effect, and the system refuses the operation ${operation}, which would tell: find out whether it did, then skip or redeliver it`,
      null,
    );
  }
}

/** An earlier attempt may have taken effect, and it is too early to find that out. */
export class DeliveryUnsettled extends DeliveryFailure {
  readonly code = 'delivery.unavailable';
  readonly peer = 'unknown';
  readonly isUncertain = false;

  constructor(settledAtMs: number) {
    super(`An earlier attempt may have taken effect, which can be found out from ${new Date(settledAtMs).toISOString()} on`, null);
  }
}
