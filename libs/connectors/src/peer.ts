/**
 * The condition of a peer, as far as a call showed it. Its breaker and limits follow from it.
 * - `up`: it responded as a working system does, though it did not take this payload
 * - `failing`: it responded that it is broken
 * - `unreachable`: no connection, or no complete response by the deadline
 * - `limited`: it asks for fewer requests, which says neither that it works nor that it does not
 * - `unauthorized`: it refuses the credential
 * - `gone`: it wants nothing more
 * - `unknown`: nothing reached it
 */
export type PeerCondition = 'up' | 'failing' | 'unreachable' | 'limited' | 'unauthorized' | 'gone' | 'unknown';

/** The response of a peer, for people and for the record. Contains no secret, and is bounded. */
export interface Receipt {
  /** A few words that fit into a sentence: `status 202`. */
  readonly summary: string;
  readonly detail: {
    /** The code of the peer's protocol, if it has codes that are numbers. */
    readonly status?: number;
    /** The start of what the peer said, at most 16 KiB. */
    readonly excerpt?: string;
  };
}
