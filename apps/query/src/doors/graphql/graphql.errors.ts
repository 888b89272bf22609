import { DomainError } from '#libs/contracts';

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
