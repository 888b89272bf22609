import { DomainError } from '#libs/contracts';

/** The subscriber reads slower than changes come in. It is told, so that it can query what it missed. */
export class SubscriberTooSlow extends DomainError {
  readonly code = 'subscription.overflow';

  constructor(limit: number) {
    super(`The subscriber fell ${limit} changes behind; query for what was missed, then subscribe again`);
  }
}
