import { DomainError } from '#libs/contracts';

/**
 * The help that a connection needs from a person.
 * - `consent`: its grant is gone, or there was none yet
 * - `client`: the system refuses its client, or an assertion of it
 * - `connect`: a person disconnected it
 */
export type ReauthNeed = 'consent' | 'client' | 'connect';

const needs: Record<ReauthNeed, (connection: string, why: string) => string> = {
  consent: (connection, why) => `needs consent again: ${why}. Run \`millrace connections authorize ${connection}\`.`,
  client: (connection, why) =>
    `has no token, because its credentials are refused: ${why}. Apply the Connection with those that the system takes, then run \`millrace connections test ${connection}\`.`,
  connect: (connection, why) => `sends nothing: ${why}. Run \`millrace connections authorize ${connection}\`.`,
};

/** Nothing can be sent as the connection before a person acts: gives consent again, or applies a new credential. */
export class ConnectionNeedsReauth extends DomainError {
  readonly code = 'connection.needsReauth';

  constructor(
    readonly connection: string,
    need: ReauthNeed,
    why: string,
    options?: ErrorOptions,
  ) {
    super(`The connection ${connection} ${needs[need](connection, why)}`, options);
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

/** Why the answer of a consent was not taken, in words for the person who came back with it. */
const refusals = {
  unknown: 'it is not known here: it was used already, or nobody asked for it',
  late: 'it came later than 10 minutes after it was asked for',
  denied: 'the consent was not given',
  issuer: 'it comes from another authorization server than the one that was asked',
  malformed: 'it carries no code',
  changed: 'the connection was changed or removed meanwhile',
  refused: 'the system does not take it',
  unavailable: 'the system could not be asked for a token',
  otherAccount: 'it is for another account than the one that was connected before',
} as const;
export type ConsentRefusal = keyof typeof refusals;
export const consentRefusals = Object.keys(refusals) as ConsentRefusal[];

/** The answer of a consent was not taken. Nothing of the connection changed. */
export class ConsentRefused extends DomainError {
  readonly code = 'connection.consentRefused';

  /**
   * @param asked whose consent it is, if that is known
   * @param detail what the system said, without anything secret
   */
  constructor(
    readonly reason: ConsentRefusal,
    readonly asked?: { readonly tenant: string; readonly connection: string; readonly principal: string },
    readonly detail?: string,
  ) {
    super(`The consent is not taken: ${refusals[reason]}${detail === undefined ? '' : ` (${detail})`}`);
  }
}
