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
