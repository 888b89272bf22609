import { heldAloneKey, isUnnamedCustomer, recordKey } from '#libs/contracts';
import { sleep } from '#libs/time';
import { counter, gauge, logger, startAtZero } from '#libs/tracing';
import { canBeHeld } from './hold-store.js';
import type { Hold, HoldId, HoldStore, ReleasableHold } from './hold-store.js';
import type { KeyDepth, KeyQueues, DispatchResult } from '../dispatching/key-ordered-dispatcher.js';
import { ownerOf, partitionName } from '../logged-record.js';
import type { LogPosition, LoggedRecord } from '../logged-record.js';
import { workOn } from '../handling/record-handling.js';
import type { HandlingResult, RecordWork } from '../handling/record-handling.js';

/** A record of a partition whose customers can be held. */
export interface HoldableWork extends RecordWork {
  readonly holds: PartitionHolds;
  /** The dead letter that blocks its customer. Once set, only the hold remains to be stored. */
  heldBy?: string;
  /** The key of the queue it was moved out of, if it is on its way to the store. */
  movedOutOf?: string;
}

/** Handles the held records of one customer. It is an item of the customer's key queue, so that no later record overtakes them. */
class Release {
  /** Records read ahead from the store, in log order. */
  readonly records: LoggedRecord[] = [];
  /** The work on the first record, once its handling began. */
  work: RecordWork | undefined;
  /** The first record is handled; only its removal from the store remains. */
  handled = false;
  begun = false;
  /** Records that may be read ahead. */
  ahead = 1;

  constructor(
    readonly holds: PartitionHolds,
    readonly key: string,
    readonly holdId: HoldId,
    /** A record that an operator gave up; it is dropped, not handled. */
    public drop: LogPosition | null,
    /** The release ends at this offset of the present log: it may redeliver later records, which must first be found to be held. */
    readonly readTo: number,
  ) {}
}

export type HoldableItem = HoldableWork | Release;

/** In a full partition, a customer whose first record is tried for longer than this is moved to the store. */
const stuckMs = 5_000;
/** So is a customer with more than this many times the median number of records. If all have many, moving some would not help. */
const deepFactor = 10;
const readAhead = 20;
/** Bytes that a release reads ahead at most, by the size of the last record: many releases wait for their turn at the same time. */
const readAheadBytes = 65_536;
/** A tenant that has more than this share of what fills a partition has its records moved to the store. */
const mostShare = 0.5;
/** Interval at which a release checks whether records on their way to the store have arrived. */
const arrivalMs = 20;
/** The largest share of the time that the search for releasable holds may take. */
const pollShare = 0.05;
/** Upper bound of the pause after a search, so that one slow search (store away, process suspended) does not delay the next one for minutes. */
const maxPollPauseMs = 10_000;

const log = logger('messaging');
const heldCustomers = gauge('millrace_held_customers', 'Customers whose records wait until a dead letter is resolved.', {
  group: 'the consumer group',
});
const heldRecords = counter('millrace_held_records_total', 'Records that were put behind a hold.', {
  group: 'the consumer group',
  topic: 'the topic',
});
const releasedRecords = counter('millrace_released_records_total', 'Held records that were handled, or dropped, after all.', {
  group: 'the consumer group',
  topic: 'the topic',
});

/** A customer whose new records bypass its key queue and go to the store. */
class MovedOut {
  /** Offsets of records that have not reached the store yet, ascending. */
  readonly underWay = new Set<number>();
  /** Number of records moved out since the customer was. */
  count = 0;
}

/** The holds of one partition, from its assignment to its loss. */
export class PartitionHolds {
  /** Queue keys of the held customers: their records are stored instead of handled. */
  readonly held = new Set<string>();
  /** Queue keys that have a release in their queue. */
  readonly releasing = new Set<string>();
  private readonly movedOut = new Map<string, MovedOut>();
  private early: { key: string | null; work: HoldableWork }[] | undefined = [];

  constructor(
    readonly topic: string,
    readonly partition: number,
    readonly queues: KeyQueues<HoldableItem>,
    readonly signal: AbortSignal,
    /** The offset below which the log was read; undefined if not known. */
    readonly readTo: () => number | undefined,
    /** The identity of the log that `readTo` counts in; undefined until it is known. */
    readonly logId: () => string | undefined,
  ) {}

  /** False until it is known which customers are held. */
  get isKnown(): boolean {
    return this.early === undefined;
  }

  /** Queues a record. Until the held customers are known, records wait in `early`. */
  add(key: string | null, work: HoldableWork): void {
    if (this.early !== undefined) this.early.push({ key, work });
    else if (key !== null && this.movedOut.has(key)) this.moveWorkOut(key, work);
    else this.queues.add(key, work);
  }

  /** Moves the queued records of a key to the store. A record that waits for its retry is moved too, so that it does not block the committed offset. */
  moveOut(key: string): void {
    const moved = this.queues.takeBack(key, (item) => (item instanceof Release ? !item.begun : canBeHeld(item.record)));
    for (const item of moved) {
      if (item instanceof Release) this.releasing.delete(key);
      else this.moveWorkOut(key, item);
    }
  }

  /** True while a moved-out record of the key below this offset has not reached the store. A release has to wait for it. */
  hasUnderWay(key: string, below: number): boolean {
    for (const offset of this.movedOut.get(key)?.underWay ?? []) return offset < below;
    return false;
  }

  /** Number of records of the key that were moved out. It changes with each further one. */
  movedOutCount(key: string): number {
    return this.movedOut.get(key)?.count ?? 0;
  }

  arrived(key: string, offset: number): void {
    this.movedOut.get(key)?.underWay.delete(offset);
  }

  /** From now on, records of the customer wait in its key queue again. */
  readmit(key: string): void {
    this.held.delete(key);
    this.movedOut.delete(key);
  }

  private moveWorkOut(key: string, work: HoldableWork): void {
    const moved = this.movedOut.get(key) ?? new MovedOut();
    this.movedOut.set(key, moved);
    moved.underWay.add(work.record.offset);
    moved.count += 1;
    this.queues.add(null, { ...work, movedOutOf: key });
  }

  know(holds: readonly Hold[]): void {
    for (const { key } of holds) this.held.add(queueKeyOf(key));
    const early = this.early ?? [];
    this.early = undefined;
    for (const { key, work } of early) this.queues.add(key, work);
  }
}

/**
 * Stores the records of a held customer until its dead letter is resolved, then handles them in order. The store decides who is held; the
 * state in memory follows it. A process that has lost the partition without knowing it does no harm: it adds a record only to a hold that
 * exists, and records that two processes release at the same time are handled twice, like any redelivered record.
 */
export class HeldCustomers {
  private readonly group: string;
  private readonly now: () => number;
  private readonly pause: (ms: number) => Promise<void>;
  private nextPollAt = 0;
  private polling = false;
  private isStoreAway = false;

  constructor(
    private readonly options: {
      group: string;
      store: HoldStore;
      handle: (work: RecordWork) => Promise<HandlingResult>;
      /** Pause between two attempts to reach the store, ms. */
      retryMs: number;
      /** In ms; default: the monotonic clock. */
      now?: () => number;
      /** Default: a timer. */
      pause?: (ms: number) => Promise<void>;
    },
  ) {
    this.group = options.group;
    this.now = options.now ?? (() => performance.now());
    this.pause = options.pause ?? sleep;
  }

  /** Reads which customers are held. Retries without limit while this process owns the partitions. Never rejects. */
  async load(gained: readonly PartitionHolds[]): Promise<void> {
    const labels = { group: this.group, topic: [...new Set(gained.map(({ topic }) => topic))] };
    startAtZero(heldRecords, labels);
    startAtZero(releasedRecords, labels);
    for (let open = gained; open.length > 0; open = open.filter(({ isKnown, signal }) => !isKnown && !signal.aborted)) {
      try {
        const holds = Map.groupBy(await this.options.store.holdsOf(this.group, open), partitionName);
        for (const partition of open) if (!partition.signal.aborted) partition.know(holds.get(partitionName(partition)) ?? []);
      } catch (error) {
        log.error({ err: error, group: this.group }, 'the held customers could not be read; the records of the new partitions wait');
        await this.pause(this.options.retryMs);
      }
    }
  }

  async handle(item: HoldableItem): Promise<DispatchResult> {
    if (item instanceof Release) return this.release(item);
    if (item.movedOutOf !== undefined) return this.store(item, item.movedOutOf);
    const { holds, record } = item;
    const key = record.key === null ? null : queueKeyOf(record.key);
    if (key === null || !holds.held.has(key)) return this.attempt(item);
    return this.stored(item.signal, async () => {
      if (await this.options.store.keep(this.group, record)) {
        heldRecords.inc({ group: this.group, topic: record.topic });
        return 'finished';
      }
      holds.held.delete(key);
      return this.attempt(item);
    });
  }

  /** Stores a moved-out record. If its customer is not held yet, an overflow hold begins, which may end as soon as the key queue is free. */
  private async store({ holds, record, signal }: HoldableWork, key: string): Promise<DispatchResult> {
    return this.stored(signal, async () => {
      const { store } = this.options;
      if (!(await store.keep(this.group, record))) await store.hold(this.group, record, 'overflow');
      heldRecords.inc({ group: this.group, topic: record.topic });
      holds.arrived(key, record.offset);
      return 'finished';
    });
  }

  /** Begins the release of all holds that may end. A release goes to the end of its key queue. Never rejects. */
  async poll(partitions: readonly PartitionHolds[]): Promise<void> {
    const known = partitions.filter(({ isKnown }) => isKnown);
    heldCustomers.set(
      { group: this.group },
      known.reduce((sum, { held }) => sum + held.size, 0),
    );
    // A release compares positions, so it needs to know which log is read and how far.
    const identified = known.filter(({ logId }) => logId() !== undefined);
    if (this.polling || identified.length === 0 || this.now() < this.nextPollAt) return;
    this.polling = true;
    const startedAt = this.now();
    try {
      const owners = new Map(identified.map((partition) => [partitionName(partition), partition]));
      for (const hold of await this.options.store.releasable(this.group, identified))
        this.beginRelease(owners.get(partitionName(hold))!, hold);
      this.isStoreAway = false;
    } catch (error) {
      this.isStoreAway = true;
      log.warn({ err: error, group: this.group }, 'the holds that may end could not be read; trying again');
    } finally {
      this.polling = false;
      const now = this.now();
      this.nextPollAt = now + Math.min((now - startedAt) / pollShare, maxPollPauseMs);
    }
  }

  /**
   * Makes room in partitions that have been full for long: the queued records of slow or failing customers, and of those with a deep backlog, go
   * to the store, so that they do not stop the others.
   * @param all partitions of the group, from which the median depth is computed
   */
  relieve(full: readonly PartitionHolds[], all: readonly PartitionHolds[]): void {
    if (full.length === 0 || this.isStoreAway) return;
    const depths = all.flatMap(({ queues }) => [...queues.depths()].map(({ items }) => items)).toSorted((a, b) => a - b);
    const median = depths[depths.length >> 1] ?? 0;
    for (const partition of full) {
      for (const { key, items, triedMs } of partition.queues.depths()) {
        if (triedMs >= stuckMs || items > deepFactor * median) partition.moveOut(key);
      }
    }
  }

  /**
   * Moves the records of a tenant that has most of what fills the partition to the store, however many customers they are of: the others' records come
   * through the same partition.
   * @param weightOf how full such records make the partition
   * @param hasOthers false if the tenant is alone, and has nobody to make room for
   */
  relieveOfTenants(
    partition: PartitionHolds,
    { weightOf, hasOthers }: { weightOf: (waiting: Waiting) => number; hasOthers: (tenant: string) => boolean },
  ): void {
    if (this.isStoreAway) return;
    const depths = [...partition.queues.depths()];
    const most = weightOf(sumOf(depths)) * mostShare;
    for (const [tenant, own] of Map.groupBy(depths, (depth) => depth.tenant)) {
      if (weightOf(sumOf(own)) > most && hasOthers(tenant)) for (const { key } of own) partition.moveOut(key);
    }
  }

  private beginRelease(holds: PartitionHolds, { key: bytes, drop, ...hold }: ReleasableHold): void {
    const key = queueKeyOf(bytes);
    if (holds.signal.aborted || holds.releasing.has(key)) return;
    holds.held.add(key);
    holds.releasing.add(key);
    holds.queues.add(key, new Release(holds, key, { ...hold, key: bytes }, drop, holds.readTo() ?? Infinity));
  }

  private async attempt(work: HoldableWork): Promise<DispatchResult> {
    const result = work.heldBy === undefined ? await this.options.handle(work) : { heldBy: work.heldBy };
    if (typeof result === 'string' || !('heldBy' in result)) return result;
    work.heldBy = result.heldBy;
    if (!canBeHeld(work.record)) return 'finished';
    return this.stored(work.signal, async () => {
      await this.hold(work.holds, work.record, result.heldBy);
      return 'finished';
    });
  }

  /** @returns false if an operator gave the record up meanwhile, so that nothing has to wait for it */
  private async hold(holds: PartitionHolds, given: LoggedRecord, deadLetterId: string): Promise<boolean> {
    const record = { ...given, key: holdKeyOf(given) };
    const isHeld = await this.options.store.hold(this.group, record, { deadLetterId });
    if (!isHeld) return false;
    holds.held.add(queueKeyOf(record.key));
    const { topic, partition, offset } = record;
    heldRecords.inc({ group: this.group, topic });
    log.warn({ group: this.group, topic, partition, offset, deadLetterId }, 'a customer is held');
    return true;
  }

  /** Handles one held record, so that other customers get their turn between two of them. */
  private async release(release: Release): Promise<DispatchResult> {
    if (release.holds.signal.aborted) return 'abandoned';
    release.begun = true;
    return this.stored(release.holds.signal, async () => {
      if (release.drop !== null) await this.finishHeld(release, release.drop);
      release.drop = null;
      if (release.holds.hasUnderWay(release.key, release.readTo)) return { againInMs: arrivalMs };
      if (release.records.length === 0) release.records.push(...(await this.options.store.next(release.holdId, release.ahead)));
      const [record] = release.records;
      if (record === undefined) return this.end(release);
      return isBehind(release, record) ? this.releaseRecord(release, record) : this.leave(release);
    });
  }

  private async releaseRecord(release: Release, record: LoggedRecord): Promise<DispatchResult> {
    const { holds } = release;
    if (!release.handled) {
      release.work ??= { ...workOn(record, holds.signal), wasHeld: true };
      const result = await this.options.handle(release.work);
      if (typeof result !== 'string') {
        if (!('heldBy' in result)) return result;
        const isHeld = await this.hold(holds, record, result.heldBy);
        if (isHeld && holdKeyOf(record).equals(release.holdId.key)) return this.leave(release);
      } else if (result === 'abandoned') return result;
      release.handled = true;
    }
    await this.finishHeld(release, record);
    release.records.shift();
    release.ahead = Math.min(Math.max(Math.floor(readAheadBytes / Math.max(record.value?.length ?? 0, 1)), 1), readAhead);
    release.work = undefined;
    release.handled = false;
    return { againInMs: 0 };
  }

  /** Ends this release. The hold goes on; a later poll may begin another release. */
  private leave({ holds, key }: Release): DispatchResult {
    holds.releasing.delete(key);
    return 'finished';
  }

  private async finishHeld({ holdId }: Release, { logId, offset }: LogPosition): Promise<void> {
    await this.options.store.finished(holdId, { logId, offset });
    releasedRecords.inc({ group: this.group, topic: holdId.topic });
  }

  private async end(release: Release): Promise<DispatchResult> {
    const { holds, key, holdId } = release;
    const movedOut = holds.movedOutCount(key);
    if (holds.hasUnderWay(key, Infinity)) return this.leave(release);
    if (!(await this.options.store.close(holdId))) return { againInMs: 0 };
    if (holds.movedOutCount(key) !== movedOut) return this.leave(release); // it holds the customer again
    holds.readmit(key);
    holds.releasing.delete(key);
    const { topic, partition } = holdId;
    log.info({ group: this.group, topic, partition, key: holdId.key.toString() }, 'a customer is held no more');
    return 'finished';
  }

  /** Retries without limit: a record that is neither handled nor held must not be committed. */
  private async stored(signal: AbortSignal, work: () => Promise<DispatchResult>): Promise<DispatchResult> {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) return 'abandoned';
      log.error({ err: error, group: this.group }, 'held records could not be stored or read; trying again');
      return { againInMs: this.options.retryMs };
    }
  }
}

/** Records in memory. */
export type Waiting = Pick<KeyDepth, 'items' | 'bytes'>;

function sumOf(all: readonly Waiting[]): Waiting {
  return all.reduce((sum, { items, bytes }) => ({ items: sum.items + items, bytes: sum.bytes + bytes }), { items: 0, bytes: 0 });
}

/** True if the log will not deliver the record again: it was read, or it is of a log that another one has replaced. */
function isBehind({ holds, readTo }: Release, { logId, offset }: LogPosition): boolean {
  return logId !== holds.logId() || offset < readTo;
}

/**
 * The key under which a record is held: that of its customer, whose later records wait for it. A record of an unnamed customer is held alone: later
 * events of its source are about anybody, and have no reason to wait.
 */
function holdKeyOf({ key, headers, logId, offset }: LoggedRecord): Buffer {
  const { tenant, customer } = ownerOf({ key, headers });
  return isUnnamedCustomer(customer) ? Buffer.from(heldAloneKey(recordKey({ tenant, customer }), { logId, offset })) : key!;
}

/** The record key as a map key: latin1 keeps every byte distinct. */
export function queueKeyOf(key: Buffer): string {
  return key.toString('latin1');
}
