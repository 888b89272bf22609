import { DomainError } from '#libs/contracts';

/** Nothing can be sent as the connection before a person acts: gives consent again, or applies a new credential. */
export class ConnectionNeedsReauth extends DomainError {
  readonly code = 'connection.needsReauth';

  constructor(
    readonly connection: string,
    why: string,
    options?: ErrorOptions,
  ) {
    super(`The connection ${connection} needs consent again: ${why}. Run \`millrace connections authorize ${connection}\`.`, options);
  }
}

/** No token can be had for now, because the token endpoint is away or fails. Nothing was sent to the system itself. */
export class ConnectionUnavailable extends DomainError {
  readonly code = 'connection.unavailable';

  constructor(
    readonly connection: string,
    why: string,
    override readonly retryAfterMs: number,
    options?: ErrorOptions,
  ) {
    super(`The connection ${connection} has no token for now: ${why}`, options);
  }
}
