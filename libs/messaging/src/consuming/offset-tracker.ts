import { Fifo } from '../fifo.js';
import { encodeFinished } from './finished-offsets.js';

/** What a commit says of a partition. */
export interface OffsetSnapshot {
  /** Everything below is finished. */
  readonly offset: number;
  /** The finished offsets above it, encoded; may be empty. */
  readonly metadata: string;
  /** Which state of the tracker this is. */
  readonly version: number;
}

/**
 * What one partition may commit: the offset below which everything is finished, while records above it finish in any order.
 * Offsets arrive ascending, with gaps (transaction markers, expired segments), and again from the committed one after each rebalance.
 */
export class OffsetTracker {
  private readonly open = new Fifo<number>();
  private readonly finishedAbove = new Set<number>();
  private restoredFrom: number | undefined;
  private last: number | undefined;
  private version = 0;
  private committedVersion = 0;
  private lastMetadataBytes = 0;

  /** What an earlier owner committed: the records `finished` above it are not handled again. Before the first record. */
  restore(committed: number, finished: readonly number[]): void {
    this.restoredFrom = committed;
    for (const offset of finished) this.finishedAbove.add(offset);
  }

  /** False where the offset was seen before: it is queued, in flight or finished, and must not be handled again. */
  received(offset: number): boolean {
    if (this.last !== undefined && offset <= this.last) return false;
    // A log that begins before the commit has lost its end and found another: what was finished there says nothing about these records.
    if (this.last === undefined && offset < (this.restoredFrom ?? 0)) this.finishedAbove.clear();
    this.last = offset;
    this.open.push(offset);
    if (!this.finishedAbove.has(offset)) return true;
    this.passFinished();
    return false;
  }

  finished(offset: number): void {
    this.finishedAbove.add(offset);
    this.passFinished();
  }

  /** Where reading goes on; undefined where nothing was received yet. */
  get next(): number | undefined {
    return this.last === undefined ? undefined : this.last + 1;
  }

  /** Below this nothing will be received any more; undefined where that is not known yet. */
  get readTo(): number | undefined {
    return this.next ?? this.restoredFrom;
  }

  /** The lowest offset that is not finished: what a reader after a crash has to start from. */
  get watermark(): number | undefined {
    return this.open.peek() ?? this.next;
  }

  /** Offsets from the watermark to the last one received: one unfinished record holds all of them. */
  get span(): number {
    const { next, watermark } = this;
    return next === undefined || watermark === undefined ? 0 : next - watermark;
  }

  /** Of the last snapshot. */
  get metadataBytes(): number {
    return this.lastMetadataBytes;
  }

  /** What to commit now; undefined where the last commit still says it. */
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
    }
  }

  /** A restored offset whose record has expired is never received: the watermark passes it all the same. */
  private finishedFrom(watermark: number): number[] {
    const finished: number[] = [];
    for (const offset of this.finishedAbove) {
      if (offset < watermark) this.finishedAbove.delete(offset);
      else finished.push(offset);
    }
    return finished.toSorted((a, b) => a - b);
  }
}
