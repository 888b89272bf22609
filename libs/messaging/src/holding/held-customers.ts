import { setTimeout as delay } from 'node:timers/promises';
import { counter, gauge, logger } from '#libs/tracing';
import { canBeHeld } from './hold-store.js';
import type { Hold, HoldPlace, HoldStore, ReleasableHold } from './hold-store.js';
import type { DispatcherSource, Verdict } from '../dispatching/key-ordered-dispatcher.js';
import { nameOfPlace } from '../logged-record.js';
import type { LoggedRecord } from '../logged-record.js';
import { workOn } from '../handling/record-handling.js';
import type { HandlingVerdict, RecordWork } from '../handling/record-handling.js';

/** A record of a partition whose customers can be held. */
export interface HoldableWork extends RecordWork {
  readonly holds: PartitionHolds;
  /** The dead letter that its customer has to wait for; set once, and then only the hold is left to store. */
  heldBy?: string;
  /** Set where it does not wait in its lane but on its way to the store: the lane's key. */
  movedOutOf?: string;
}

/** The held records of one customer on their way back: an item of its lane, so that nothing overtakes them. */
class Release {
  /** Read ahead, in the order of the log. */
  readonly records: LoggedRecord[] = [];
  /** The first of them, once its handling began. */
  work: RecordWork | undefined;
  /** It is handled, and only its removal is left to store. */
  handled = false;
  begun = false;

  constructor(
    readonly holds: PartitionHolds,
    readonly key: string,
    readonly place: HoldPlace,
    /** A record that an operator gave up. */
    public dropOffset: number | null,
    /** What the log may still bring again, from here on, must first be found to be held. */
    readonly readTo: number,
  ) {}
}

export type HoldableItem = HoldableWork | Release;

/** A customer whose record is tried for longer holds up those who share a full partition. */
const stuckMs = 5_000;
/** So does one with this many times the records of a usual one; where all have many, moving some would help nobody. */
const deep = 10;
const readAhead = 20;
/** How often a release looks again whether records on their way to the store have arrived there. */
const arrivalMs = 20;
/** How much of the time the search for holds that may end takes at most, where there are very many. */
const pollShare = 0.05;
/** One search that was slow, because the store was away or this process stood still, does not put off the next one for minutes. */
const maxPollPauseMs = 10_000;

const log = logger('messaging');
const heldCustomers = gauge('millrace_held_customers', 'Customers whose records wait until a dead letter is resolved.', ['group']);
const heldRecords = counter('millrace_held_records_total', 'Records that were put behind a hold.', ['group', 'topic']);
const releasedRecords = counter('millrace_released_records_total', 'Held records that were handled, or dropped, after all.', [
  'group',
  'topic',
]);

/** A customer whose new records go to the store past its lane. */
class MovedOut {
  /** Offsets on their way, ascending. */
  readonly underWay = new Set<number>();
  /** How many there ever were. */
  count = 0;
}

/** The holds of one partition, from one assignment to the loss of it. */
export class PartitionHolds {
  /** Keys of lanes whose records are kept instead of handled. */
  readonly held = new Set<string>();
  /** Those that have a release in their lane. */
  readonly releasing = new Set<string>();
  private readonly movedOut = new Map<string, MovedOut>();
  private early: { key: string | null; work: HoldableWork }[] | undefined = [];

  constructor(
    readonly topic: string,
    readonly partition: number,
    readonly source: DispatcherSource<HoldableItem>,
    readonly signal: AbortSignal,
    /** The offset below which the log was read; undefined where nobody knows. */
    readonly readTo: () => number | undefined,
  ) {}

  /** False until it is known which customers are held. */
  get isKnown(): boolean {
    return this.early === undefined;
  }

  /** A record waits here until it is known whether its customer is held. */
  add(key: string | null, work: HoldableWork): void {
    if (this.early !== undefined) this.early.push({ key, work });
    else if (key !== null && this.movedOut.has(key)) this.moveWorkOut(key, work);
    else this.source.add(key, work);
  }

  /** Takes what a lane has out of memory; one that waits for its retry is taken too, so that it does not hold the partition's offset. */
  moveOut(key: string): void {
    const moved = this.source.takeBack(key, (item) => (item instanceof Release ? !item.begun : canBeHeld(item.record)));
    for (const item of moved) {
      if (item instanceof Release) this.releasing.delete(key);
      else this.moveWorkOut(key, item);
    }
  }

  /** Of a customer whose records go past its lane, those on their way below this offset: a release has to wait for them. */
  hasUnderWay(key: string, below: number): boolean {
    for (const offset of this.movedOut.get(key)?.underWay ?? []) return offset < below;
    return false;
  }

  /** Changes whenever one more record goes past its lane. */
  movedOutCount(key: string): number {
    return this.movedOut.get(key)?.count ?? 0;
  }

  arrived(key: string, offset: number): void {
    this.movedOut.get(key)?.underWay.delete(offset);
  }

  /** Records of the customer wait in its lane again. */
  readmit(key: string): void {
    this.held.delete(key);
    this.movedOut.delete(key);
  }

  private moveWorkOut(key: string, work: HoldableWork): void {
    const moved = this.movedOut.get(key) ?? new MovedOut();
    this.movedOut.set(key, moved);
    moved.underWay.add(work.record.offset);
    moved.count += 1;
    this.source.add(null, { ...work, movedOutOf: key });
  }

  know(holds: readonly Hold[]): void {
    for (const { key } of holds) this.held.add(laneOf(key));
    const early = this.early ?? [];
    this.early = undefined;
    for (const { key, work } of early) this.source.add(key, work);
  }
}

/**
 * Keeps a customer's records while what failed for it is not settled, and brings them back in order. What the store says is true; what is
 * remembered here follows it. A process that has lost the partition without knowing it can do no harm: it only ever adds a record where the hold
 * still is, and what two processes release at the same time is handled twice, as with any record that the log brings again.
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
      handle: (work: RecordWork) => Promise<HandlingVerdict>;
      /** Between two tries to reach the store. */
      retryMs: number;
      /** In ms; default: the monotonic clock. */
      now?: () => number;
      /** Default: a timer. */
      pause?: (ms: number) => Promise<void>;
    },
  ) {
    this.group = options.group;
    this.now = options.now ?? (() => performance.now());
    this.pause = options.pause ?? delay;
  }

  /** Finds out who is held, without end while the partitions are ours. Never rejects. */
  async load(gained: readonly PartitionHolds[]): Promise<void> {
    for (let open = gained; open.length > 0; open = open.filter(({ isKnown, signal }) => !isKnown && !signal.aborted)) {
      try {
        const holds = Map.groupBy(await this.options.store.holdsOf(this.group, open), nameOfPlace);
        for (const partition of open) if (!partition.signal.aborted) partition.know(holds.get(nameOfPlace(partition)) ?? []);
      } catch (error) {
        log.error({ err: error, group: this.group }, 'the held customers could not be read; the records of the new partitions wait');
        await this.pause(this.options.retryMs);
      }
    }
  }

  async handle(item: HoldableItem): Promise<Verdict> {
    if (item instanceof Release) return this.release(item);
    if (item.movedOutOf !== undefined) return this.store(item, item.movedOutOf);
    const { holds, record } = item;
    const key = record.key === null ? null : laneOf(record.key);
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

  /** Whether or not the customer is held: if not, it is from now on, and may go on as soon as its lane is free. */
  private async store({ holds, record, signal }: HoldableWork, key: string): Promise<Verdict> {
    return this.stored(signal, async () => {
      const { store } = this.options;
      if (!(await store.keep(this.group, record))) await store.hold(this.group, record, 'overflow');
      heldRecords.inc({ group: this.group, topic: record.topic });
      holds.arrived(key, record.offset);
      return 'finished';
    });
  }

  /** Brings back the customers whose wait is over, in whose lanes the release takes its place behind what is there already. Never rejects. */
  async poll(partitions: readonly PartitionHolds[]): Promise<void> {
    const known = partitions.filter(({ isKnown }) => isKnown);
    heldCustomers.set(
      { group: this.group },
      known.reduce((sum, { held }) => sum + held.size, 0),
    );
    if (this.polling || known.length === 0 || this.now() < this.nextPollAt) return;
    this.polling = true;
    const startedAt = this.now();
    try {
      const owners = new Map(known.map((partition) => [nameOfPlace(partition), partition]));
      for (const hold of await this.options.store.releasable(this.group, known)) this.beginRelease(owners.get(nameOfPlace(hold))!, hold);
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
   * Makes room in partitions that have been full for long: what the customers who fill them have waiting goes to the store, so that a slow or
   * failing one, or one with a deep backlog, does not stop the others.
   * @param all of this group's, by which is judged what is usual
   */
  relieve(full: readonly PartitionHolds[], all: readonly PartitionHolds[]): void {
    if (full.length === 0 || this.isStoreAway) return;
    const depths = all.flatMap(({ source }) => [...source.depths()].map(({ items }) => items)).toSorted((a, b) => a - b);
    const usual = depths[depths.length >> 1] ?? 0;
    for (const partition of full) {
      for (const { key, items, triedMs } of partition.source.depths()) {
        if (triedMs >= stuckMs || items > deep * usual) partition.moveOut(key);
      }
    }
  }

  private beginRelease(holds: PartitionHolds, { key: bytes, dropOffset, ...place }: ReleasableHold): void {
    const key = laneOf(bytes);
    if (holds.signal.aborted || holds.releasing.has(key)) return;
    holds.held.add(key);
    holds.releasing.add(key);
    holds.source.add(key, new Release(holds, key, { ...place, key: bytes }, dropOffset, holds.readTo() ?? Infinity));
  }

  private async attempt(work: HoldableWork): Promise<Verdict> {
    const verdict = work.heldBy === undefined ? await this.options.handle(work) : { heldBy: work.heldBy };
    if (typeof verdict === 'string' || !('heldBy' in verdict)) return verdict;
    work.heldBy = verdict.heldBy;
    if (!canBeHeld(work.record)) return 'finished';
    return this.stored(work.signal, async () => {
      await this.hold(work.holds, work.record, verdict.heldBy);
      return 'finished';
    });
  }

  /** False where an operator has given the record up meanwhile, so that nothing has to wait for it. */
  private async hold(holds: PartitionHolds, record: LoggedRecord, deadLetterId: string): Promise<boolean> {
    const isHeld = await this.options.store.hold(this.group, record, { deadLetterId });
    if (!isHeld) return false;
    holds.held.add(laneOf(record.key!));
    const { topic, partition, offset } = record;
    heldRecords.inc({ group: this.group, topic });
    log.warn({ group: this.group, topic, partition, offset, deadLetterId }, 'a customer is held');
    return true;
  }

  /** One held record, so that other customers have their turn between two of them. */
  private async release(release: Release): Promise<Verdict> {
    if (release.holds.signal.aborted) return 'abandoned';
    release.begun = true;
    return this.stored(release.holds.signal, async () => {
      if (release.dropOffset !== null) await this.finishHeld(release, release.dropOffset);
      release.dropOffset = null;
      if (release.holds.hasUnderWay(release.key, release.readTo)) return { againInMs: arrivalMs };
      if (release.records.length === 0) release.records.push(...(await this.options.store.next(release.place, readAhead)));
      const [record] = release.records;
      if (record === undefined) return this.end(release);
      return record.offset < release.readTo ? this.releaseRecord(release, record) : this.leave(release);
    });
  }

  private async releaseRecord(release: Release, record: LoggedRecord): Promise<Verdict> {
    const { holds } = release;
    if (!release.handled) {
      release.work ??= workOn(record, holds.signal);
      const verdict = await this.options.handle(release.work);
      if (typeof verdict !== 'string') {
        if (!('heldBy' in verdict)) return verdict;
        if (await this.hold(holds, record, verdict.heldBy)) return this.leave(release);
      } else if (verdict === 'abandoned') return verdict;
      release.handled = true;
    }
    await this.finishHeld(release, record.offset);
    release.records.shift();
    release.work = undefined;
    release.handled = false;
    return { againInMs: 0 };
  }

  /** The hold goes on; a later search may find that it can end. */
  private leave({ holds, key }: Release): Verdict {
    holds.releasing.delete(key);
    return 'finished';
  }

  private async finishHeld({ place }: Release, offset: number): Promise<void> {
    await this.options.store.finished(place, offset);
    releasedRecords.inc({ group: this.group, topic: place.topic });
  }

  private async end(release: Release): Promise<Verdict> {
    const { holds, key, place } = release;
    const movedOut = holds.movedOutCount(key);
    if (holds.hasUnderWay(key, Infinity)) return this.leave(release);
    if (!(await this.options.store.close(place))) return { againInMs: 0 };
    if (holds.movedOutCount(key) !== movedOut) return this.leave(release); // it holds the customer again
    holds.readmit(key);
    holds.releasing.delete(key);
    const { topic, partition } = place;
    log.info({ group: this.group, topic, partition, key: place.key.toString() }, 'a customer is held no more');
    return 'finished';
  }

  /** Tries without limit: a record that is neither handled nor held must not be committed. */
  private async stored(signal: AbortSignal, work: () => Promise<Verdict>): Promise<Verdict> {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) return 'abandoned';
      log.error({ err: error, group: this.group }, 'held records could not be stored or read; trying again');
      return { againInMs: this.options.retryMs };
    }
  }
}

/** Key-ordered lanes are told apart by it. */
export function laneOf(key: Buffer): string {
  return key.toString('latin1');
}
