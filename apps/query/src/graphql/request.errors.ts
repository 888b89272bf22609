import { DomainError } from '#libs/contracts';

/** An argument is not acceptable. `field` names it, as a path below the field of the query. */
export class ArgumentInvalid extends DomainError {
  readonly code = 'request.invalid';

  constructor(
    override readonly field: string,
    problem: string,
  ) {
    super(`${field} ${problem}`);
  }
}

/** The operation asks for more than one request may. */
export class QueryTooExpensive extends DomainError {
  readonly code = 'request.tooExpensive';
}

/** The answer took longer than a request may. */
export class RequestTimedOut extends DomainError {
  readonly code = 'request.timeout';

  constructor(timeoutMs: number) {
    super(`There was no answer within ${timeoutMs} ms; ask for less, or try again`);
  }
}

/** The socket's other end reads slower than changes come in; what it would have missed is told, not hidden. */
export class SubscriberTooSlow extends DomainError {
  readonly code = 'subscription.overflow';

  constructor(limit: number) {
    super(`The subscriber fell ${limit} changes behind; query for what was missed, then subscribe again`);
  }
}
