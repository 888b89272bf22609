import { DomainError } from '#libs/contracts';

/** An argument of a query is not acceptable. `field` names it, as a path within the query's input. */
export class ArgumentInvalid extends DomainError {
  readonly code = 'request.invalid';

  constructor(
    override readonly field: string,
    problem: string,
  ) {
    super(`${field} ${problem}`);
  }
}

/** One thing that is wrong with an input, and its path in it. */
export interface Violation {
  path: string[];
  message: string;
}

/** The input of a command is not acceptable; `violations` holds everything that is wrong with it. */
export class InputInvalid extends DomainError {
  constructor(
    readonly violations: readonly Violation[],
    readonly code:
      | 'request.invalid'
      | 'request.idempotencyMismatch'
      | 'document.invalid'
      | 'document.versionMismatch'
      | 'deadLetter.resolved'
      | 'deadLetter.underWay'
      | 'deadLetter.notHeld'
      | 'request.unverifiable'
      | 'request.refused'
      | 'run.finished'
      | 'review.claimed'
      | 'review.ended'
      | 'review.valueInvalid'
      | 'delivery.secondEffect'
      | 'delivery.superseded'
      | 'connection.notOAuth'
      | 'connection.noCallback'
      | 'webhook.unsupported'
      | 'webhook.noAddress'
      | 'webhook.refused' = 'request.invalid',
  ) {
    super(violations.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
  }
}
