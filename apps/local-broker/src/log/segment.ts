import { open, rm, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { headerBytes, isIntact, readHeader } from './record-batch.js';
import type { BatchHeader } from './record-batch.js';

/** One position is remembered per so many bytes; the way from there to an offset is read from disk. */
const indexEveryBytes = 65_536;
const chunkBytes = 262_144;

/**
 * One file of a partition: the batches from its base offset up to the next segment's. Only the segment that is written to keeps its file open;
 * the others open it per read, so a long log does not use up the process's file handles.
 */
export class Segment {
  readonly #offsets: number[] = [];
  readonly #positions: number[] = [];
  #writing: FileHandle | undefined;
  #indexed: Promise<void> | undefined;
  #bytes = 0;

  private constructor(
    readonly path: string,
    readonly baseOffset: number,
  ) {}

  static nameOf(baseOffset: number): string {
    return `${String(baseOffset).padStart(20, '0')}.log`;
  }

  /** The base offset in a file's name; undefined where the file is no segment. */
  static baseOffsetIn(file: string): number | undefined {
    return /^\d{20}\.log$/.test(file) ? Number.parseInt(file, 10) : undefined;
  }

  /** A segment that is there and will only be read. */
  static async existing(directory: string, baseOffset: number): Promise<Segment> {
    const segment = new Segment(join(directory, Segment.nameOf(baseOffset)), baseOffset);
    segment.#bytes = (await stat(segment.path)).size;
    return segment;
  }

  /** A new segment, or one that is written on. */
  static async writable(directory: string, baseOffset: number): Promise<Segment> {
    const segment = new Segment(join(directory, Segment.nameOf(baseOffset)), baseOffset);
    segment.#writing = await open(segment.path, 'a+');
    segment.#bytes = (await segment.#writing.stat()).size;
    return segment;
  }

  get bytes(): number {
    return this.#bytes;
  }

  async lastWrittenMs(): Promise<number> {
    return (await stat(this.path)).mtimeMs;
  }

  /**
   * Reads every header, and checks every batch against its checksum where `verify` says so. What follows the last good batch is cut off:
   * a write that a crash tore apart, and that was never acknowledged.
   */
  async recover(verify: boolean, onBatch: (batch: BatchHeader) => void): Promise<{ cutBytes: number }> {
    this.#offsets.length = 0;
    this.#positions.length = 0;
    let goodBytes = 0;
    await this.#withFile((file) =>
      this.#scan(file, 0, verify, (batch, position) => {
        this.#remember(batch, position);
        goodBytes = position + batch.bytes;
        onBatch(batch);
        return true;
      }),
    );
    this.#indexed = Promise.resolve();
    const cutBytes = this.#bytes - goodBytes;
    if (cutBytes > 0) await this.truncate(goodBytes);
    return { cutBytes };
  }

  async truncate(bytes: number): Promise<void> {
    const file = this.#writable();
    await file.truncate(bytes);
    await file.datasync();
    this.#bytes = bytes;
    while ((this.#positions.at(-1) ?? -1) >= bytes) {
      this.#positions.pop();
      this.#offsets.pop();
    }
  }

  /** Appends whole batches and returns when they are on the disk. */
  async append(batches: readonly { header: BatchHeader; data: Buffer }[]): Promise<void> {
    const file = this.#writable();
    let position = this.#bytes;
    await file.appendFile(batches.length === 1 ? batches[0]!.data : Buffer.concat(batches.map(({ data }) => data)));
    await file.datasync();
    for (const { header } of batches) {
      this.#remember(header, position);
      position += header.bytes;
    }
    this.#bytes = position;
  }

  /** Whole batches from the one that holds `offset` on, below `end`: at least one, and no more than `maxBytes` beyond it. */
  async read(offset: number, end: number, maxBytes: number): Promise<Buffer> {
    this.#indexed ??= this.#buildIndex();
    await this.#indexed;
    let from = -1;
    let to = -1;
    return this.#withFile(async (file) => {
      await this.#scan(file, this.#positionBefore(offset), false, (batch, position) => {
        if (batch.baseOffset >= end) return false;
        if (batch.lastOffset < offset) return true;
        if (from === -1) from = position;
        else if (position + batch.bytes - from > maxBytes) return false;
        to = position + batch.bytes;
        return to - from < maxBytes;
      });
      return from === -1 ? Buffer.alloc(0) : readExactly(file, from, to - from);
    });
  }

  /** No more writes; it can still be read. */
  async close(): Promise<void> {
    const file = this.#writing;
    this.#writing = undefined;
    await file?.close();
  }

  async remove(): Promise<void> {
    await this.close();
    await rm(this.path, { force: true });
  }

  #writable(): FileHandle {
    if (this.#writing === undefined) throw new Error(`${this.path} is closed`);
    return this.#writing;
  }

  async #withFile<T>(work: (file: FileHandle) => Promise<T>): Promise<T> {
    if (this.#writing !== undefined) return work(this.#writing);
    const file = await open(this.path, 'r');
    try {
      return await work(file);
    } finally {
      await file.close();
    }
  }

  async #buildIndex(): Promise<void> {
    await this.#withFile((file) =>
      this.#scan(file, 0, false, (batch, position) => {
        this.#remember(batch, position);
        return true;
      }),
    );
  }

  #remember({ baseOffset }: BatchHeader, position: number): void {
    const last = this.#positions.at(-1);
    if (last !== undefined && position - last < indexEveryBytes) return;
    this.#offsets.push(baseOffset);
    this.#positions.push(position);
  }

  /** The last remembered position whose batch starts at or before `offset`. */
  #positionBefore(offset: number): number {
    let low = 0;
    let high = this.#offsets.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#offsets[middle]! <= offset) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : this.#positions[low - 1]!;
  }

  /** Visits batch after batch until the visitor returns false, the file ends, or what stands there is no intact batch. */
  async #scan(file: FileHandle, from: number, verify: boolean, visit: (batch: BatchHeader, position: number) => boolean): Promise<void> {
    let position = from;
    let chunk: Buffer = Buffer.alloc(0);
    let chunkFrom = from;
    while (position + headerBytes <= this.#bytes) {
      if (position + headerBytes > chunkFrom + chunk.length) {
        chunk = await readExactly(file, position, Math.min(chunkBytes, this.#bytes - position));
        chunkFrom = position;
      }
      const header = readHeader(chunk.subarray(position - chunkFrom));
      if (header === undefined || position + header.bytes > this.#bytes) return;
      if (verify) {
        const inChunk = position + header.bytes <= chunkFrom + chunk.length;
        const batch = inChunk
          ? chunk.subarray(position - chunkFrom, position - chunkFrom + header.bytes)
          : await readExactly(file, position, header.bytes);
        if (!isIntact(batch)) return;
      }
      if (!visit(header, position)) return;
      position += header.bytes;
    }
  }
}

async function readExactly(file: FileHandle, position: number, bytes: number): Promise<Buffer> {
  const data = Buffer.allocUnsafe(bytes);
  let read = 0;
  while (read < bytes) {
    const { bytesRead } = await file.read(data, read, bytes - read, position + read);
    if (bytesRead === 0) break;
    read += bytesRead;
  }
  return data.subarray(0, read);
}
