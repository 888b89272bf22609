import { DomainError } from '#libs/contracts';

/** The subscriber takes nothing while changes of ever more events or reviews wait for it. It is told, so that it can query what it missed. */
export class SubscriberTooSlow extends DomainError {
  readonly code = 'subscription.overflow';

  constructor(max: number, of: 'events' | 'reviews') {
    super(`Changes of more than ${max} ${of} wait for the subscriber; subscribe again, then query for what was missed`);
  }
}
