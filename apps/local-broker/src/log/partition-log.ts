import { mkdir, open, readdir } from 'node:fs/promises';
import { errorCodes } from '../wire/error-codes.js';
import type { ErrorCode } from '../wire/error-codes.js';
import { ProducerSequences } from './producer-sequences.js';
import { isIntact, placeAt, readHeader } from './record-batch.js';
import type { BatchHeader } from './record-batch.js';
import { Segment } from './segment.js';

export interface PartitionLogOptions {
  /** A segment that has so many bytes is followed by a new one. */
  segmentBytes: number;
  maxBatchBytes: number;
}

interface PendingBatch {
  readonly header: BatchHeader;
  readonly data: Buffer;
  readonly resolve: (result: AppendResult) => void;
}

export type AppendResult = { error: ErrorCode; baseOffset: number };

/**
 * One partition on disk. Batches are numbered when they arrive and acknowledged when they are synced; those that arrive meanwhile share the
 * next sync. Readers see only what is synced, so nothing that was read can be lost again.
 */
export class PartitionLog {
  #segments: Segment[] = [];
  #sequences = new ProducerSequences();
  #nextOffset = 0;
  #syncedOffset = 0;
  #pending: PendingBatch[] = [];
  #flushing: Promise<void> | undefined;
  /** False while the log is read again after a failed write, and once it is closed. */
  #writable = true;
  readonly #waiters = new Set<() => void>();

  private constructor(
    private readonly directory: string,
    private readonly options: PartitionLogOptions,
  ) {}

  static async open(directory: string, options: PartitionLogOptions): Promise<{ log: PartitionLog; cutBytes: number }> {
    await mkdir(directory, { recursive: true });
    const log = new PartitionLog(directory, options);
    const cutBytes = await log.#recover();
    return { log, cutBytes };
  }

  /** The first offset that retention has left. */
  get startOffset(): number {
    return this.#segments[0]!.baseOffset;
  }

  /** The offset the next acknowledged record gets at the earliest; everything below can be read. */
  get endOffset(): number {
    return this.#syncedOffset;
  }

  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes, 0);
  }

  /** Resolves when the batch is on the disk, or refuses it. The batch's buffer becomes the log's. */
  async append(data: Buffer): Promise<AppendResult> {
    if (!this.#writable) return refused(errorCodes.storageError);
    const header = readHeader(data);
    if (header === undefined || header.bytes !== data.length || !isIntact(data)) return refused(errorCodes.corruptMessage);
    if (data.length > this.options.maxBatchBytes) return refused(errorCodes.messageTooLarge);
    const check = this.#sequences.check(header);
    if (check.kind === 'refused') return refused(errorCodes[check.reason]);
    if (check.kind === 'repeat') {
      await this.#flushing; // the first one may not be on the disk yet
      return check.baseOffset < this.#syncedOffset
        ? { error: errorCodes.none, baseOffset: check.baseOffset }
        : refused(errorCodes.storageError);
    }
    return new Promise((resolve) => {
      const count = header.lastOffset - header.baseOffset + 1;
      const placed = { ...header, baseOffset: this.#nextOffset, lastOffset: this.#nextOffset + count - 1 };
      placeAt(data, placed.baseOffset);
      this.#nextOffset += count;
      this.#sequences.appended(placed);
      this.#pending.push({ header: placed, data, resolve });
      this.#flushing ??= this.#flush();
    });
  }

  /** Whole batches from `offset` on; empty at the end of the log. */
  async read(offset: number, maxBytes: number): Promise<Buffer> {
    if (offset >= this.#syncedOffset) return Buffer.alloc(0);
    const segment = this.#segments.findLast(({ baseOffset }) => baseOffset <= offset)!;
    return segment.read(offset, this.#syncedOffset, maxBytes);
  }

  /** Calls back once per growth of the log until it is told to stop. */
  onGrowth(callback: () => void): () => void {
    this.#waiters.add(callback);
    return () => this.#waiters.delete(callback);
  }

  /** Closed segments that retention may remove, the oldest first. A segment still written to is closed once it is older than `olderThanMs`. */
  async removable(olderThanMs: number): Promise<{ segment: Segment; lastWrittenMs: number }[]> {
    const active = this.#segments.at(-1)!;
    const old = active.bytes > 0 && (await active.lastWrittenMs()) < olderThanMs;
    if (old && this.#flushing === undefined) {
      this.#flushing = this.#roll(this.#nextOffset).then(() => this.#flush());
      await this.#flushing;
    }
    return Promise.all(this.#segments.slice(0, -1).map(async (segment) => ({ segment, lastWrittenMs: await segment.lastWrittenMs() })));
  }

  /** Forgets the oldest segment, if that is what `segment` still is, and deletes its file. */
  async remove(segment: Segment): Promise<void> {
    if (this.#segments.length < 2 || this.#segments[0] !== segment) return;
    this.#segments.shift();
    await segment.remove();
  }

  async close(): Promise<void> {
    this.#writable = false;
    await this.#flushing;
    await this.#segments.at(-1)!.close();
  }

  async #recover(): Promise<number> {
    const bases = (await readdir(this.directory)).flatMap((file) => Segment.baseOffsetIn(file) ?? []).toSorted((a, b) => a - b);
    const lastBase = bases.pop() ?? 0;
    this.#segments = await Promise.all(bases.map((base) => Segment.existing(this.directory, base)));
    this.#segments.push(await Segment.writable(this.directory, lastBase));
    await syncDirectory(this.directory);
    this.#sequences = new ProducerSequences();
    const last = this.#segments.at(-1)!;
    this.#nextOffset = last.baseOffset;
    const take = (batch: BatchHeader): void => {
      this.#sequences.appended(batch);
      this.#nextOffset = batch.lastOffset + 1;
    };
    // A batch that a producer may still repeat stands in the last segment or, where that one is new, in the one before. Only the last can be torn.
    await this.#segments.at(-2)?.recover(false, take);
    const { cutBytes } = await last.recover(true, take);
    this.#nextOffset = Math.max(this.#nextOffset, last.baseOffset);
    this.#syncedOffset = this.#nextOffset;
    return cutBytes;
  }

  async #flush(): Promise<void> {
    while (this.#pending.length > 0) {
      const batches = this.#pending;
      this.#pending = [];
      try {
        if (this.#segments.at(-1)!.bytes >= this.options.segmentBytes) await this.#roll(batches[0]!.header.baseOffset);
        await this.#segments.at(-1)!.append(batches);
      } catch {
        await this.#startOver(batches);
        break;
      }
      this.#syncedOffset = batches.at(-1)!.header.lastOffset + 1;
      for (const { header, resolve } of batches) resolve({ error: errorCodes.none, baseOffset: header.baseOffset });
      for (const wake of this.#waiters) wake();
    }
    this.#flushing = undefined;
  }

  async #roll(baseOffset: number): Promise<void> {
    const full = this.#segments.at(-1)!;
    this.#segments.push(await Segment.writable(this.directory, baseOffset));
    await syncDirectory(this.directory);
    await full.close();
  }

  /** The disk refused a write: what is not acknowledged is taken back, and the log is read again as after a crash. */
  async #startOver(failed: readonly PendingBatch[]): Promise<void> {
    const lost = [...failed, ...this.#pending];
    this.#pending = [];
    this.#writable = false;
    const active = this.#segments.at(-1)!;
    await active.truncate(active.bytes);
    await active.close();
    await this.#recover();
    this.#writable = true;
    for (const { resolve } of lost) resolve(refused(errorCodes.storageError));
  }
}

function refused(error: ErrorCode): AppendResult {
  return { error, baseOffset: -1 };
}

/** Makes a new file's name survive a power cut. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
