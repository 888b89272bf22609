import { DomainError } from '#libs/contracts';

/** The subscriber takes nothing while changes of ever more events wait for it. It is told, so that it can query what it missed. */
export class SubscriberTooSlow extends DomainError {
  readonly code = 'subscription.overflow';

  constructor(maxEvents: number) {
    super(`Changes of more than ${maxEvents} events wait for the subscriber; subscribe again, then query for what was missed`);
  }
}
