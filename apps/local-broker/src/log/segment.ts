import { open, rm, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { OpenFile } from './durable-file.js';
import { headerBytes, isIntact, readHeader, recordAt } from './record-batch.js';
import type { BatchHeader } from './record-batch.js';

/** The index has one position per this many bytes. Reading scans from there to the offset. */
const indexEveryBytes = 65_536;
const chunkBytes = 262_144;

export interface RecordPosition {
  readonly offset: number;
  readonly timestampMs: number;
}

/**
 * One file of a partition: the batches from its base offset up to the next segment's. Only the segment that is written to keeps its file open;
 * the others open it per read, so a long log does not use up the process's file handles.
 */
export class Segment {
  private readonly offsets: number[] = [];
  private readonly positions: number[] = [];
  private writing: FileHandle | undefined;
  private indexed: Promise<void> | undefined;
  private sizeBytes = 0;
  private firstMs = -1;
  private latestMs = -1;

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

  /** An existing segment that is only read. Its latest timestamp is its file's mtime, which {@link seal} set. */
  static async existing(directory: string, baseOffset: number): Promise<Segment> {
    const segment = new Segment(join(directory, Segment.nameOf(baseOffset)), baseOffset);
    const { size, mtimeMs } = await stat(segment.path);
    segment.sizeBytes = size;
    segment.latestMs = Math.round(mtimeMs);
    return segment;
  }

  /** A new segment, or an existing one for further writes. */
  static async writable(directory: string, baseOffset: number, openFile: OpenFile): Promise<Segment> {
    const segment = new Segment(join(directory, Segment.nameOf(baseOffset)), baseOffset);
    await (await openFile(segment.path, 'a')).close(); // `r+` writes at a position, and needs the file to exist
    segment.writing = await openFile(segment.path, 'r+');
    segment.sizeBytes = (await segment.writing.stat()).size;
    return segment;
  }

  get bytes(): number {
    return this.sizeBytes;
  }

  /** Timestamp of the first record; -1 if there is none. */
  get firstTimestampMs(): number {
    return this.firstMs;
  }

  /** The highest timestamp of its records; -1 if there is none. */
  get maxTimestampMs(): number {
    return this.latestMs;
  }

  /**
   * Reads every header, and with `verify` checks the checksum of every batch. Cuts off everything after the last good batch: a write that a
   * crash tore apart.
   */
  async recover(verify: boolean, onBatch: (batch: BatchHeader) => void): Promise<{ cutBytes: number }> {
    let goodBytes = 0;
    await this.withFile((file) =>
      this.scan(file, 0, verify, (batch, position) => {
        this.remember(batch, position);
        goodBytes = position + batch.bytes;
        onBatch(batch);
        return true;
      }),
    );
    this.indexed = Promise.resolve();
    const cutBytes = this.sizeBytes - goodBytes;
    if (cutBytes > 0 && this.writing !== undefined) {
      await this.writing.truncate(goodBytes);
      await this.writing.datasync();
      this.sizeBytes = goodBytes;
    }
    return { cutBytes };
  }

  /** Writes whole batches to the end. They are on the disk after the next {@link sync}. After a failure, the next write overwrites them. */
  async append(batches: readonly { header: BatchHeader; data: Buffer }[]): Promise<void> {
    const file = this.writableFile();
    const data = Buffer.concat(batches.map((batch) => batch.data));
    for (let written = 0; written < data.length;) {
      written += (await file.write(data, written, data.length - written, this.sizeBytes + written)).bytesWritten;
    }
    for (const { header } of batches) {
      this.remember(header, this.sizeBytes);
      this.sizeBytes += header.bytes;
    }
  }

  async sync(): Promise<void> {
    await this.writableFile().datasync();
  }

  /** Reads whole batches below `end`, beginning with the one that holds `offset`: at least one batch, and others up to `maxBytes` in total. */
  async read(offset: number, end: number, maxBytes: number): Promise<Buffer> {
    this.indexed ??= this.buildIndex();
    await this.indexed;
    let from = -1;
    let to = -1;
    return this.withFile(async (file) => {
      await this.scan(file, this.positionBefore(offset), false, (batch, position) => {
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

  /** The first record at or after a time. */
  async recordAt(timestampMs: number): Promise<RecordPosition | undefined> {
    return this.withFile(async (file) => {
      let found: { position: number; bytes: number } | undefined;
      await this.scan(file, 0, false, ({ bytes, maxTimestampMs }, position) => {
        if (maxTimestampMs < timestampMs) return true;
        found = { position, bytes };
        return false;
      });
      return found && recordAt(await readExactly(file, found.position, found.bytes), timestampMs);
    });
  }

  /** Syncs the file and cuts off the leftovers of failed writes. Sets its mtime to the latest record, which retention reads after a restart. */
  async seal(): Promise<void> {
    const file = this.writableFile();
    await file.truncate(this.sizeBytes);
    if (this.latestMs >= 0) await file.utimes(this.latestMs / 1_000, this.latestMs / 1_000);
    else this.latestMs = Math.round((await file.stat()).mtimeMs);
    await file.sync();
  }

  /** Ends the writing; the segment can still be read. */
  async close(): Promise<void> {
    const file = this.writing;
    this.writing = undefined;
    await file?.close();
  }

  async remove(): Promise<void> {
    await this.close();
    await rm(this.path, { force: true });
  }

  private writableFile(): FileHandle {
    if (this.writing === undefined) throw new Error(`${this.path} is closed`);
    return this.writing;
  }

  private async withFile<T>(work: (file: FileHandle) => Promise<T>): Promise<T> {
    const file = await open(this.path, 'r');
    try {
      return await work(file);
    } finally {
      await file.close();
    }
  }

  private async buildIndex(): Promise<void> {
    await this.withFile((file) =>
      this.scan(file, 0, false, (batch, position) => {
        this.remember(batch, position);
        return true;
      }),
    );
  }

  private remember({ baseOffset, firstTimestampMs, maxTimestampMs }: BatchHeader, position: number): void {
    if (this.firstMs < 0) this.firstMs = firstTimestampMs;
    this.latestMs = Math.max(this.latestMs, maxTimestampMs);
    const last = this.positions.at(-1);
    if (last !== undefined && position - last < indexEveryBytes) return;
    this.offsets.push(baseOffset);
    this.positions.push(position);
  }

  /** The last remembered position whose batch starts at or before `offset`. */
  private positionBefore(offset: number): number {
    let low = 0;
    let high = this.offsets.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.offsets[middle]! <= offset) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : this.positions[low - 1]!;
  }

  /** Visits batch after batch until the visitor returns false, the file ends, or the next bytes are no intact batch. */
  private async scan(
    file: FileHandle,
    from: number,
    verify: boolean,
    visit: (batch: BatchHeader, position: number) => boolean,
  ): Promise<void> {
    let position = from;
    let chunk: Buffer = Buffer.alloc(0);
    let chunkFrom = from;
    while (position + headerBytes <= this.sizeBytes) {
      if (position + headerBytes > chunkFrom + chunk.length) {
        chunk = await readExactly(file, position, Math.min(chunkBytes, this.sizeBytes - position));
        chunkFrom = position;
      }
      const header = readHeader(chunk.subarray(position - chunkFrom));
      if (header === undefined || position + header.bytes > this.sizeBytes) return;
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
