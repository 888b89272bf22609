import { DomainError } from '#libs/contracts';

/** The flow names a destination that does not exist, or does not exist any more. */
export class FlowDestinationUnknown extends DomainError {
  readonly code = 'flow.unknownDestination';

  constructor(tenant: string, destination: string) {
    super(`The tenant ${tenant} has no destination ${destination}`);
  }
}

/** The destination said that it is gone, and was not enabled since. Nothing was sent. */
export class DestinationDisabled extends DomainError {
  readonly code = 'delivery.destinationDisabled';

  constructor(destination: string) {
    super(`The destination ${destination} is disabled since it said that it is gone; nothing was sent`);
  }
}

/** An attempt is under way. The command is retried until it has ended. */
export class DeliveryBusy extends DomainError {
  readonly code = 'delivery.busy';
  override readonly ours = true;
  override readonly retryAfterMs = 1_000;

  constructor(deliveryId: string) {
    super(`An attempt of the delivery ${deliveryId} is under way`);
  }
}

/** Another process claimed the delivery while an attempt was under way. What that process records counts. */
export class DeliveryLeaseLost extends DomainError {
  readonly code = 'delivery.busy';
  override readonly ours = true;

  constructor(deliveryId: string) {
    super(`The claim of the delivery ${deliveryId} was lost`);
  }
}

/** The destination may have taken the delivery, and a repeat might take effect a second time: a person finds out, and redelivers or skips it. */
export class DeliveryUncertain extends DomainError {
  readonly code = 'delivery.uncertain';

  /**
   * @param why a sentence about the destination without its subject
   * @param cause the attempt whose outcome is unknown; undefined if it is an earlier one: nothing was sent
   */
  constructor(destination: string, reachedAt: Date, why: string, cause?: Error) {
    const attempt =
      cause === undefined
        ? `An attempt that began at ${reachedAt.toISOString()} may have reached`
        : `${cause.message}, and may have reached`;
    super(`${attempt} the destination ${destination}, which ${why}: find out whether it was taken, then skip or redeliver it`, { cause });
  }
}

/** Nothing was sent, because the connection of the destination waits for a person. The delivery stays as it was, and waits with its destination. */
export class DeliveryWaits extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause });
  }
}
