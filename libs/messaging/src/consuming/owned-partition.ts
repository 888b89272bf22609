import type { KeyQueues } from '../dispatching/key-ordered-dispatcher.js';
import type { RecordWork } from '../handling/record-handling.js';
import { PartitionHolds } from '../holding/held-customers.js';
import type { HoldableItem, HoldableWork } from '../holding/held-customers.js';
import { partitionName } from '../logged-record.js';
import type { LoggedRecord, TopicPartition } from '../logged-record.js';
import { OffsetTracker } from './offset-tracker.js';

/** A record of an owned partition, from its arrival to its last attempt. */
export interface OwnedWork extends RecordWork, HoldableWork {
  readonly owner: OwnedPartition;
}

/** The state of one partition of this member, from its assignment to its loss. */
export class OwnedPartition implements TopicPartition {
  readonly tracker = new OffsetTracker();
  readonly holds: PartitionHolds;
  /** The identity of the partition's log; undefined until `restored`. */
  logId: string | undefined;
  /** The identity of its cluster; undefined until `restored`, and where the cluster has none. */
  clusterId: string | undefined;
  /** Resolves when `logId` is known, and `tracker` knows which offsets the former owner had finished. */
  restored: Promise<void> = Promise.resolve();
  /** Records that were read and are not finished. */
  queuedRecords = 0;
  /** Bytes of their values. */
  queuedBytes = 0;
  /** Bytes of the values that are being handled; the dispatcher limits them. */
  private inFlightBytes = 0;
  /** When fetching was paused because the partition was full, on the monotonic clock, ms; undefined while it is fetched. */
  fullSince: number | undefined;
  private readonly loss = new AbortController();

  constructor(
    readonly topic: string,
    readonly partition: number,
    readonly queues: KeyQueues<HoldableItem>,
  ) {
    this.holds = new PartitionHolds(
      topic,
      partition,
      queues,
      this.loss.signal,
      () => this.tracker.readTo,
      () => this.logId,
    );
  }

  get name(): string {
    return partitionName(this);
  }

  /** Aborted when the partition is lost or this process stops. */
  get lost(): AbortSignal {
    return this.loss.signal;
  }

  lose(reason: string): void {
    this.loss.abort(new Error(reason));
  }

  countQueued({ value }: LoggedRecord): void {
    this.queuedRecords += 1;
    this.queuedBytes += value?.length ?? 0;
  }

  /** Bytes of the values that wait for their turn or their retry. */
  get waitingBytes(): number {
    return this.queuedBytes - this.inFlightBytes;
  }

  began({ value }: LoggedRecord): void {
    this.inFlightBytes += value?.length ?? 0;
  }

  ended({ value }: LoggedRecord): void {
    this.inFlightBytes -= value?.length ?? 0;
  }

  finished({ offset, value }: LoggedRecord): void {
    this.tracker.finished(offset);
    this.queuedRecords -= 1;
    this.queuedBytes -= value?.length ?? 0;
  }
}
