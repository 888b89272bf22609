import { Fifo } from '#libs/queues';
import { encodeFinished } from './finished-offsets.js';

/** The content of a commit for one partition. */
export interface OffsetSnapshot {
  /** Every record below this offset is finished. */
  readonly offset: number;
  /** The finished offsets above `offset`, encoded; may be empty. */
  readonly metadata: string;
  /** The state of the tracker that this snapshot shows. */
  readonly version: number;
}

/**
 * Tracks what one partition may commit: the offset below which everything is finished, while records above it finish in any order.
 * Offsets arrive in ascending order with gaps (transaction markers, expired segments). After a rebalance they arrive again from the committed one.
 */
export class OffsetTracker {
  private readonly open = new Fifo<number>();
  /** When each of the open records was appended. */
  private readonly openSince = new Fifo<number>();
  private readonly finishedAbove = new Set<number>();
  private restoredFrom: number | undefined;
  private last: number | undefined;
  private lastMs: number | undefined;
  private version = 0;
  private committedVersion = 0;
  private lastMetadataBytes = 0;

  /** Takes over the commit of a former owner: the records `finished` above it are not handled again. Call it before the first record. */
  restore(committed: number, finished: readonly number[]): void {
    this.restoredFrom = committed;
    for (const offset of finished) this.finishedAbove.add(offset);
  }

  /**
   * @param timestampMs when the record was appended
   * @returns false if the record must not be handled, because it is queued, in flight or finished
   */
  received(offset: number, timestampMs = 0): boolean {
    if (this.last !== undefined && offset <= this.last) return false;
    // A record below the commit means that the log was replaced, so the restored offsets belong to other records.
    if (this.last === undefined && offset < (this.restoredFrom ?? 0)) this.finishedAbove.clear();
    this.last = offset;
    this.lastMs = timestampMs;
    this.open.push(offset);
    this.openSince.push(timestampMs);
    if (!this.finishedAbove.has(offset)) return true;
    this.passFinished();
    return false;
  }

  finished(offset: number): void {
    this.finishedAbove.add(offset);
    this.passFinished();
  }

  /** The next offset to read; undefined before the first record. */
  get next(): number | undefined {
    return this.last === undefined ? undefined : this.last + 1;
  }

  /** No record below this offset will be received; undefined if not known yet. */
  get readTo(): number | undefined {
    return this.next ?? this.restoredFrom;
  }

  /** The lowest offset that is not finished, from which a reader starts after a crash. */
  get watermark(): number | undefined {
    return this.open.peek() ?? this.next;
  }

  /** When the lowest unfinished record was appended; undefined if none was received. */
  get oldestOpenMs(): number | undefined {
    return this.openSince.peek();
  }

  /** When the last record that was received was appended; undefined before the first one. */
  get lastReadMs(): number | undefined {
    return this.lastMs;
  }

  /** Number of finished offsets above the watermark. */
  get finishedAboveWatermark(): number {
    return this.finishedAbove.size;
  }

  /** Number of offsets from the watermark to the last one received. */
  get span(): number {
    const { next, watermark } = this;
    return next === undefined || watermark === undefined ? 0 : next - watermark;
  }

  /** Size of the metadata of the last snapshot. */
  get metadataBytes(): number {
    return this.lastMetadataBytes;
  }

  /** Returns the state to commit; undefined if the last commit still covers it. */
  snapshot(): OffsetSnapshot | undefined {
    const { watermark: offset } = this;
    if (offset === undefined || this.version === this.committedVersion) return undefined;
    const metadata = encodeFinished(offset, this.finishedFrom(offset));
    this.lastMetadataBytes = metadata.length;
    return { offset, metadata, version: this.version };
  }

  committed({ version }: OffsetSnapshot): void {
    this.committedVersion = Math.max(this.committedVersion, version);
  }

  private passFinished(): void {
    this.version += 1;
    for (let lowest = this.open.peek(); lowest !== undefined && this.finishedAbove.delete(lowest); lowest = this.open.peek()) {
      this.open.shift();
      this.openSince.shift();
    }
  }

  /** Drops offsets below the watermark: a restored offset whose record has expired is never received. */
  private finishedFrom(watermark: number): number[] {
    const finished: number[] = [];
    for (const offset of this.finishedAbove) {
      if (offset < watermark) this.finishedAbove.delete(offset);
      else finished.push(offset);
    }
    return finished.toSorted((a, b) => a - b);
  }
}
