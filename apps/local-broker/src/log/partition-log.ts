import { mkdir, readdir } from 'node:fs/promises';
import { errorCodes } from '../wire/error-codes.js';
import type { ErrorCode } from '../wire/error-codes.js';
import { syncDirectory } from './durable-file.js';
import type { OpenFile } from './durable-file.js';
import type { PlacedBatch } from './group-commit.js';
import { ProducerSequences } from './producer-sequences.js';
import { isIntact, placeAt, readHeader, recordAt } from './record-batch.js';
import type { BatchHeader } from './record-batch.js';
import { Segment } from './segment.js';
import type { RecordPosition } from './segment.js';

export interface PartitionLogOptions {
  readonly topic: string;
  readonly partition: number;
  readonly directory: string;
  /** Size limit of a segment; only a single batch may exceed it. */
  readonly segmentBytes: number;
  /** Largest time between the first and the last record of a segment, by record timestamps. */
  readonly segmentMs: number;
  readonly maxBatchBytes: number;
  /** How far the timestamp of a record may be ahead of this clock. Retention keeps a record for as much longer. */
  readonly maxAheadMs: number;
  /** How far it may be behind. Retention deletes a record by its timestamp. */
  readonly maxBehindMs: number;
  readonly openFile: OpenFile;
  readonly nowMs: () => number;
  /** Resolves to true after {@link PartitionLog.durable} was called for the batch, to false after {@link PartitionLog.takeBack}. */
  readonly commit: (batch: PlacedBatch) => Promise<boolean>;
}

export type AppendResult = { error: ErrorCode; baseOffset: number };

interface StoredBatch {
  readonly header: BatchHeader;
  readonly data: Buffer;
}

const notStored = { error: errorCodes.storageError, baseOffset: -1 } as const;

/**
 * One partition. A batch gets its offset when it arrives. Once it is durable in the journal, it is acknowledged and readable, and it stays in
 * memory until it is settled, which means written to the partition's own files.
 */
export class PartitionLog {
  private segments: Segment[] = [];
  private readonly sequences = new ProducerSequences();
  /** Batches that are durable but not settled. */
  private tail: StoredBatch[] = [];
  private settledOffset = 0;
  private durableOffset = 0;
  private nextOffset = 0;
  /** Batches that have an offset but are not durable, by first offset. */
  private readonly placed = new Map<number, { takeBack: () => void; durable: Promise<boolean> }>();
  /** True while the last segment has writes that may not be on the disk. */
  private unsynced = false;
  private isOpen = true;
  /** The last change of the segments: changes run one after the other. */
  private changing: Promise<unknown> = Promise.resolve();
  private readonly waiters = new Set<() => void>();

  private constructor(private readonly options: PartitionLogOptions) {}

  static async open(options: PartitionLogOptions): Promise<{ log: PartitionLog; cutBytes: number }> {
    await mkdir(options.directory, { recursive: true });
    const log = new PartitionLog(options);
    const cutBytes = await log.recover();
    return { log, cutBytes };
  }

  get place(): { topic: string; partition: number } {
    const { topic, partition } = this.options;
    return { topic, partition };
  }

  /** The lowest offset that retention has not deleted. */
  get startOffset(): number {
    return this.segments[0]!.baseOffset;
  }

  /** Every record below this offset is durable and can be read (Kafka's high watermark). */
  get endOffset(): number {
    return this.durableOffset;
  }

  /** Bytes in the partition's own files. */
  get bytes(): number {
    return this.segments.reduce((sum, segment) => sum + segment.bytes, 0);
  }

  /** Resolves when the batch is durable or refused. The log keeps the buffer: the caller must not change it afterwards. */
  async append(data: Buffer): Promise<AppendResult> {
    if (!this.isOpen) return notStored;
    const header = readHeader(data);
    if (header === undefined || header.bytes !== data.length || !isIntact(data)) return refused(errorCodes.corruptMessage);
    if (data.length > this.options.maxBatchBytes) return refused(errorCodes.messageTooLarge);
    if (!this.isTimely(header)) return refused(errorCodes.invalidTimestamp);
    const check = this.sequences.check(header);
    if (check.kind === 'refused') return refused(errorCodes[check.reason]);
    if (check.kind === 'repeat') {
      const durable = (await this.placed.get(check.baseOffset)?.durable) ?? true; // the original may not be durable yet
      return durable ? { error: errorCodes.none, baseOffset: check.baseOffset } : notStored;
    }
    const baseOffset = this.nextOffset;
    return (await this.appendBatch(header, data)) ? { error: errorCodes.none, baseOffset } : notStored;
  }

  /** Timestamps that are too far from this clock would be kept too long, or deleted before they are read. */
  private isTimely({ maxTimestampMs }: BatchHeader): boolean {
    const aheadMs = maxTimestampMs - this.options.nowMs();
    return aheadMs <= this.options.maxAheadMs && aheadMs >= -this.options.maxBehindMs;
  }

  private appendBatch(header: BatchHeader, data: Buffer): Promise<boolean> {
    const baseOffset = this.nextOffset;
    const lastOffset = baseOffset + header.lastOffset - header.baseOffset;
    placeAt(data, baseOffset);
    this.nextOffset = lastOffset + 1;
    const takeBack = this.sequences.appended({ ...header, baseOffset, lastOffset });
    const durable = this.options.commit({ log: this, baseOffset, data });
    this.placed.set(baseOffset, { takeBack, durable });
    return durable;
  }

  /** Called when the batch is in the journal, in offset order. */
  durable(data: Buffer): void {
    const header = readHeader(data)!;
    this.placed.delete(header.baseOffset);
    this.tail.push({ header, data });
    this.durableOffset = header.lastOffset + 1;
    for (const wake of this.waiters) wake();
  }

  /** Called when the journal failed: forgets all batches that are not durable. */
  takeBack(): void {
    for (const { takeBack } of [...this.placed.values()].toReversed()) takeBack();
    this.placed.clear();
    this.nextOffset = this.durableOffset;
  }

  /**
   * Adds a batch found in the journal after a start.
   * @returns `added`: false if the files have it already; `gap`: true if records before it are in no file any more
   */
  async recovered(data: Buffer): Promise<{ added: boolean; gap: boolean }> {
    const header = readHeader(data)!;
    if (header.baseOffset < this.nextOffset) return { added: false, gap: false };
    const gap = header.baseOffset > this.nextOffset;
    if (gap) await this.startAt(header.baseOffset);
    this.sequences.appended(header);
    this.tail.push({ header, data });
    this.nextOffset = this.durableOffset = header.lastOffset + 1;
    return { added: true, gap };
  }

  /** Writes the batches that are only in the journal to the partition's files, and syncs. After a failure nothing is lost, and it can be repeated. */
  settle(): Promise<void> {
    return this.exclusive(async () => {
      const batches = [...this.tail];
      for (let at = 0; at < batches.length;) {
        if (this.isFullFor(batches[at]!.header)) await this.roll(batches[at]!.header.baseOffset);
        const end = this.firstThatDoesNotFit(batches, at);
        this.unsynced = true;
        await this.segments.at(-1)!.append(batches.slice(at, end));
        this.settledOffset = batches[end - 1]!.header.lastOffset + 1;
        this.tail = this.tail.slice(end - at);
        at = end;
      }
      if (this.unsynced) await this.segments.at(-1)!.sync();
      this.unsynced = false;
    });
  }

  /** Reads whole batches, beginning with the one that holds `offset`: at least one batch, and others up to `maxBytes` in total. Empty at the end of the log. */
  async read(offset: number, maxBytes: number): Promise<readonly Buffer[]> {
    if (offset >= this.durableOffset) return [];
    if (offset >= this.settledOffset) return this.readTail(offset, maxBytes);
    const end = this.settledOffset;
    const first = this.segments.findLastIndex(({ baseOffset }) => baseOffset <= offset);
    for (const segment of this.segments.slice(first)) {
      const records = await segment.read(offset, end, maxBytes);
      if (records.length > 0) return [records]; // else there is a gap up to the next one, see recovered
    }
    return this.readTail(offset, maxBytes);
  }

  /** Finds the first record at or after a time; undefined if all are older. */
  async recordAt(timestampMs: number): Promise<RecordPosition | undefined> {
    for (const segment of this.segments.filter(({ maxTimestampMs }) => maxTimestampMs >= timestampMs)) {
      const found = await segment.recordAt(timestampMs);
      if (found !== undefined) return found;
    }
    const batch = this.tail.find(({ header }) => header.maxTimestampMs >= timestampMs);
    return batch && recordAt(batch.data, timestampMs);
  }

  /** Calls back whenever the log has grown. @returns a function that ends this */
  onGrowth(callback: () => void): () => void {
    this.waiters.add(callback);
    return () => this.waiters.delete(callback);
  }

  /**
   * Deletes segments from the oldest on while `isToGo` accepts them, read or not, and returns them. Before the segment in use is deleted, a new
   * one is begun at its end, so that offsets go on.
   */
  deleteOldest(isToGo: (segment: Segment) => boolean): Promise<Segment[]> {
    return this.exclusive(async () => {
      const deleted: Segment[] = [];
      for (let oldest = this.segments[0]!; oldest.bytes > 0 && isToGo(oldest); oldest = this.segments[0]!) {
        if (this.segments.length === 1) await this.roll(this.settledOffset);
        this.segments.shift();
        await oldest.remove();
        deleted.push(oldest);
      }
      return deleted;
    });
  }

  /** The oldest segment that is not empty. */
  get oldest(): Segment | undefined {
    const oldest = this.segments[0]!;
    return oldest.bytes > 0 ? oldest : undefined;
  }

  /** Takes no more appends. */
  refuseAppends(): void {
    this.isOpen = false;
  }

  async close(): Promise<void> {
    this.isOpen = false;
    await this.exclusive(() => this.segments.at(-1)!.close());
  }

  private async recover(): Promise<number> {
    const { directory, openFile } = this.options;
    const bases = (await readdir(directory)).flatMap((file) => Segment.baseOffsetIn(file) ?? []).toSorted((a, b) => a - b);
    const lastBase = bases.pop() ?? 0;
    this.segments = await Promise.all(bases.map((base) => Segment.existing(directory, base)));
    const last = await Segment.writable(directory, lastBase, openFile);
    this.segments.push(last);
    await syncDirectory(directory);
    this.nextOffset = lastBase;
    const take = (batch: BatchHeader): void => {
      this.sequences.appended(batch);
      this.nextOffset = batch.lastOffset + 1;
    };
    // A batch that a producer may still repeat is in the last segment or, if that one is new, in the one before. Only the last can be torn.
    await this.segments.at(-2)?.recover(false, take);
    this.nextOffset = lastBase;
    const { cutBytes } = await last.recover(true, take);
    this.settledOffset = this.durableOffset = this.nextOffset;
    return cutBytes;
  }

  /** Goes on at an offset beyond the lost records of a deleted file: an offset is never given to a second record. */
  private async startAt(baseOffset: number): Promise<void> {
    const empty = this.segments.at(-1)!.bytes === 0 ? this.segments.at(-1) : undefined;
    await this.roll(baseOffset);
    if (empty !== undefined) {
      this.segments.splice(this.segments.indexOf(empty), 1);
      await empty.remove();
    }
    this.settledOffset = baseOffset;
  }

  private readTail(offset: number, maxBytes: number): Buffer[] {
    const found: Buffer[] = [];
    let bytes = 0;
    for (let at = this.positionInTail(offset); at < this.tail.length; at += 1) {
      const { data } = this.tail[at]!;
      if (found.length > 0 && bytes + data.length > maxBytes) break;
      found.push(data);
      bytes += data.length;
    }
    return found;
  }

  /** Index of the first batch that ends at or after `offset`. */
  private positionInTail(offset: number): number {
    let low = 0;
    let high = this.tail.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.tail[middle]!.header.lastOffset < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private isFullFor(batch: BatchHeader): boolean {
    const { bytes, firstTimestampMs } = this.segments.at(-1)!;
    return this.wouldExceed(bytes, firstTimestampMs, batch);
  }

  private firstThatDoesNotFit(batches: readonly StoredBatch[], from: number): number {
    let { bytes, firstTimestampMs } = this.segments.at(-1)!;
    if (bytes === 0) firstTimestampMs = batches[from]!.header.firstTimestampMs;
    bytes += batches[from]!.header.bytes;
    let at = from + 1;
    for (; at < batches.length && !this.wouldExceed(bytes, firstTimestampMs, batches[at]!.header); at += 1)
      bytes += batches[at]!.header.bytes;
    return at;
  }

  /** True if the batch belongs into a new segment. As in Kafka, by size and by the time between the records. */
  private wouldExceed(usedBytes: number, firstTimestampMs: number, batch: BatchHeader): boolean {
    if (usedBytes === 0) return false;
    if (usedBytes + batch.bytes > this.options.segmentBytes) return true;
    return firstTimestampMs >= 0 && batch.maxTimestampMs - firstTimestampMs > this.options.segmentMs;
  }

  /** Begins the next segment. The last one is sealed first, because recovery trusts every segment but the last. */
  private async roll(baseOffset: number): Promise<void> {
    const full = this.segments.at(-1)!;
    await full.seal();
    this.segments.push(await Segment.writable(this.options.directory, baseOffset, this.options.openFile));
    await syncDirectory(this.options.directory);
    await full.close();
  }

  private exclusive<T>(work: () => Promise<T>): Promise<T> {
    const done = this.changing.then(work);
    this.changing = done.catch(() => undefined);
    return done;
  }
}

function refused(error: ErrorCode): AppendResult {
  return { error, baseOffset: -1 };
}
