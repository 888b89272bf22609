import type { LogPosition, LoggedRecord, TopicPartition } from '../logged-record.js';

/** Identifies a hold: one customer in one consumer group and partition. */
export interface HoldId {
  readonly group: string;
  /** Name on the log, prefix included. */
  readonly topic: string;
  readonly partition: number;
  /** The key of the held records. */
  readonly key: Buffer;
}

export type HoldCause =
  /** The record could not be processed; the hold lasts until this dead letter is resolved, or a retry was asked for. */
  | { readonly deadLetterId: string }
  /** The customer has more records than memory has room for; it may go on at once. */
  | 'overflow';

/** A held customer, with the reason for the hold. */
export interface Hold extends HoldId {
  readonly cause: HoldCause;
}

/** A hold that may end now. */
export interface ReleasableHold extends Hold {
  /** The held record that an operator gave up: it must not be handled again. */
  readonly drop: LogPosition | null;
}

/**
 * Stores the records of held customers. Its content survives the process. Two processes may write to one hold at the same time: the owner
 * of the partition, and a former owner that does not know yet that it lost the partition.
 */
export interface HoldStore {
  /**
   * Holds the record's customer and stores the record. For a customer that is already held, this cause replaces the former one and a requested
   * retry is cleared. Returns false, and holds nothing, if an operator has given the record up.
   */
  hold(group: string, record: LoggedRecord, cause: HoldCause): Promise<boolean>;
  /** Adds a record to an existing hold; adding it twice has no effect. Returns false, and stores nothing, if the customer is not held. */
  keep(group: string, record: LoggedRecord): Promise<boolean>;
  /** The holds of these partitions. */
  holdsOf(group: string, partitions: readonly TopicPartition[]): Promise<Hold[]>;
  /** The holds of these partitions that may end: the dead letter is resolved, a retry was requested, or the cause is `overflow`. */
  releasable(group: string, partitions: readonly TopicPartition[]): Promise<ReleasableHold[]>;
  /** The first held records, in log order. Those of a topic that was replaced come before those of the topic that took its place. */
  next(hold: HoldId, limit: number): Promise<LoggedRecord[]>;
  /** Removes a held record that was handled or dropped. If it caused the hold, its dead letter is resolved too. */
  finished(hold: HoldId, position: LogPosition): Promise<void>;
  /** Ends the hold. Returns false, and keeps it, if it still has records. */
  close(hold: HoldId): Promise<boolean>;
}

/** Longest key that Millrace appends (tenant, slash, 256 characters). A longer key was appended by another client; the Postgres index has a size limit. */
const maxKeyBytes = 1_100;

/** A record whose key names no tenant and customer has no owner whose later records could wait. */
export function canBeHeld({ key }: Pick<LoggedRecord, 'key'>): boolean {
  return key !== null && key.length <= maxKeyBytes && key.includes('/');
}

/** The store of groups with the policy `skip`: no customer is ever held. */
export const nobodyHeld: HoldStore = {
  hold: async () => false,
  keep: async () => false,
  holdsOf: async () => [],
  releasable: async () => [],
  next: async () => [],
  finished: async () => undefined,
  close: async () => true,
};
