/**
 * A request to a token endpoint that gave no token.
 * - `grantGone`: the grant was revoked, expired or used up; a person has to give consent again
 * - `refused`: the client itself is refused, or what it asks for; a person has to repair the document or the client
 * - `transient`: the endpoint is away, fails or limits the rate
 */
export class TokenFailure extends Error {
  override readonly name = 'TokenFailure';

  /** @param retryAfterMs the pause that the endpoint asked for */
  constructor(
    readonly kind: 'grantGone' | 'refused' | 'transient',
    message: string,
    readonly retryAfterMs?: number,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
