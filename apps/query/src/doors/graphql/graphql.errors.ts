import { DomainError } from '#libs/contracts';

/** The operation asks for more than one request may. */
export class QueryTooExpensive extends DomainError {
  readonly code = 'request.tooExpensive';
}

/** A subscription was sent as a request that gets one answer. */
export class SubscriptionNeedsStream extends DomainError {
  readonly code = 'request.invalid';
  override readonly field = 'query';

  constructor() {
    super(
      'query is a subscription, which this request has no stream for; send it with `Accept: text/event-stream`, or over a WebSocket in the protocol graphql-transport-ws',
    );
  }
}

/** The answer took longer than a request may. */
export class RequestTimedOut extends DomainError {
  readonly code = 'request.timeout';

  constructor(timeoutMs: number) {
    super(`There was no answer within ${timeoutMs} ms; ask for less, or try again`);
  }
}
