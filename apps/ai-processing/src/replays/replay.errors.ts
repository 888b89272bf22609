import { DomainError } from '#libs/contracts';

/** A replay names an event that the tenant does not have. */
export class EventUnknown extends DomainError {
  readonly code = 'event.unknown';

  constructor(tenant: string, eventId: string) {
    super(`The tenant ${tenant} has no event ${eventId}`);
  }
}
