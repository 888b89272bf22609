import { DomainError } from '#libs/contracts';

/** The caller left, or the deadline of its request passed, before anything was changed. */
export class RequestAbandoned extends DomainError {
  readonly code = 'request.timeout';

  constructor() {
    super('Nobody waits for the answer any more; nothing was changed');
  }
}
