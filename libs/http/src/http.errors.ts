import { DomainError, messageOf } from '#libs/contracts';

/** No answer came: the name did not resolve, the connection failed, or it broke before the answer was complete. */
export class DestinationUnreachable extends DomainError {
  readonly code = 'delivery.unavailable';

  constructor(host: string, cause: unknown) {
    super(`${host} could not be reached: ${messageOf(cause)}`, { cause });
  }
}

/** The deadline of the whole attempt (name, connection, request, answer) passed. */
export class DestinationTimedOut extends DomainError {
  readonly code = 'delivery.timeout';

  constructor(host: string, timeoutMs: number) {
    super(`${host} did not answer completely within ${timeoutMs} ms`);
  }
}

/** The host is, or resolves to, an address inside: a tenant's document must not reach what only we can reach. */
export class DestinationAddressForbidden extends DomainError {
  readonly code = 'delivery.addressForbidden';

  constructor(
    readonly host: string,
    readonly address: string,
    readonly range: string,
  ) {
    super(`${host} ${host === address ? 'is' : `resolves to ${address},`} a ${range} address; deliveries go to public addresses only`);
  }
}
