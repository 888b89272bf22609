import { DomainError } from '#libs/contracts';

/** The flow names a destination that does not exist, or no longer exists. */
export class FlowDestinationUnknown extends DomainError {
  readonly code = 'flow.unknownDestination';

  constructor(tenant: string, destination: string) {
    super(`The tenant ${tenant} has no destination ${destination}`);
  }
}

/** The destination answered 410 before, and nobody has enabled it since: nothing was sent. */
export class DestinationDisabled extends DomainError {
  readonly code = 'delivery.destinationDisabled';

  constructor(destination: string) {
    super(`The destination ${destination} is disabled since it answered 410; nothing was sent`);
  }
}

/** An attempt is under way; the redeliver comes back when it is over. */
export class DeliveryBusy extends DomainError {
  readonly code = 'delivery.busy';
  override readonly ours = true;
  override readonly retryAfterMs = 1_000;

  constructor(deliveryId: string) {
    super(`An attempt of the delivery ${deliveryId} is under way`);
  }
}

/** The claim of a delivery went to another process while an attempt was under way; what that one records counts. */
export class DeliveryLeaseLost extends DomainError {
  readonly code = 'delivery.busy';
  override readonly ours = true;

  constructor(deliveryId: string) {
    super(`The claim of the delivery ${deliveryId} was lost`);
  }
}
