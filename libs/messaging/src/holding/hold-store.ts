import type { LoggedRecord, Place } from '../logged-record.js';

/** One customer in one consumer group and partition: whose records are held together. */
export interface HoldPlace {
  readonly group: string;
  /** As it is called on the log. */
  readonly topic: string;
  readonly partition: number;
  /** The records' key. */
  readonly key: Buffer;
}

export type HoldCause =
  /** The record could not be processed; the hold lasts until this dead letter is resolved, or a retry was asked for. */
  | { readonly deadLetterId: string }
  /** The customer has more records than memory has room for; it may go on at once. */
  | 'overflow';

/** What a customer's records wait for. */
export interface Hold extends HoldPlace {
  readonly cause: HoldCause;
}

/** A hold that may end now. */
export interface ReleasableHold extends Hold {
  /** The held record that an operator gave up: it must not be handled again. */
  readonly dropOffset: number | null;
}

/**
 * Where records wait whose customer is held. Everything in it survives the process, and more than one process may write to it for the same
 * place: the owner of the partition, and one that does not know yet that it is not.
 */
export interface HoldStore {
  /**
   * Holds the record's customer, with this record as one of the held. A customer that is held already gets this cause instead, and a retry that
   * was asked for is over. False where an operator has given the record up: then nothing is held.
   */
  hold(group: string, record: LoggedRecord, cause: HoldCause): Promise<boolean>;
  /** Adds a record behind the others; one that is there already stays. False where its customer is not held any more: then nothing is kept. */
  keep(group: string, record: LoggedRecord): Promise<boolean>;
  /** The holds of these partitions. */
  holdsOf(group: string, partitions: readonly Place[]): Promise<Hold[]>;
  /** Those of them that may end: the dead letter is resolved, a retry was asked for, or there was no dead letter. */
  releasable(group: string, partitions: readonly Place[]): Promise<ReleasableHold[]>;
  /** The next held records of the place, in the order of the log. */
  next(place: HoldPlace, limit: number): Promise<LoggedRecord[]>;
  /** The held record was handled, or dropped; where it was the cause of the hold, its dead letter is resolved with that. */
  finished(place: HoldPlace, offset: number): Promise<void>;
  /** Ends the hold. False where records are held: then it goes on. */
  close(place: HoldPlace): Promise<boolean>;
}

/** What ours are at most (contracts: tenant, slash, 256 characters); a longer key is that of a stranger, and an index takes no key of any length. */
const maxKeyBytes = 1_100;

/** A record whose key names no tenant and customer belongs to nobody whose later records could wait. */
export function canBeHeld({ key }: Pick<LoggedRecord, 'key'>): boolean {
  return key !== null && key.length <= maxKeyBytes && key.includes('/');
}

/** For groups with the policy `skip`: nobody ever waits. */
export const nobodyHeld: HoldStore = {
  hold: async () => false,
  keep: async () => false,
  holdsOf: async () => [],
  releasable: async () => [],
  next: async () => [],
  finished: async () => undefined,
  close: async () => true,
};
