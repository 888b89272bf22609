import { mkdir } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32c } from '#libs/checksums';
import { syncDirectory } from './durable-file.js';
import type { OpenFile } from './durable-file.js';
import { isIntact, isPlacedAt, readHeader } from './record-batch.js';

/** A batch with its topic, partition and offset. */
export interface JournalEntry {
  readonly topic: string;
  readonly partition: number;
  readonly baseOffset: number;
  readonly batch: Buffer;
}

/** Fixed part of a frame's head: `MRJ1`, sequence, bytes of the head, bytes of the batches, checksum of the head. */
const fixedHeadBytes = 4 + 8 + 4 + 4 + 4;
const magic = 0x4d52_4a31;

/**
 * Makes appends durable. The batches of all partitions that arrived together are one write and one sync, instead of one sync per partition.
 * They are written to the partitions' files later; after a crash before that, they are read from the journal.
 *
 * Two files take turns: one is written while the batches of the other are settled into the partitions. A file is overwritten from its start, so
 * that it need not grow. Sequence numbers tell the frames of this round from those of the previous one, all of which are settled.
 */
export class Journal {
  private current = 0;
  private position = 0;
  private sequence = 1n;

  private constructor(
    private readonly files: readonly [FileHandle, FileHandle],
    private readonly limitBytes: number,
  ) {}

  /** @param limitBytes a file counts as full from this size on; its last frame may exceed it */
  static async open(directory: string, limitBytes: number, openFile: OpenFile): Promise<Journal> {
    await mkdir(directory, { recursive: true });
    const [first, second] = [await openFile(join(directory, '0'), 'a+'), await openFile(join(directory, '1'), 'a+')];
    await Promise.all([first.close(), second.close()]); // they exist; `a+` writes only at the end, `r+` needs them to exist
    await syncDirectory(directory);
    return new Journal([await openFile(join(directory, '0'), 'r+'), await openFile(join(directory, '1'), 'r+')], limitBytes);
  }

  get full(): boolean {
    return this.position >= this.limitBytes;
  }

  /** Every entry that was written whole, in offset order per partition. The partitions may have some of them already. */
  async entries(): Promise<JournalEntry[]> {
    const runs = await Promise.all(this.files.map(async (file) => framesIn(await file.readFile())));
    return runs
      .toSorted(([one], [other]) => Number((one?.sequence ?? 0n) - (other?.sequence ?? 0n)))
      .flatMap((frames) => frames.flatMap(({ entries }) => entries));
  }

  /** Resolves when all entries are on the disk. After a failure none of them counts, and the next frame overwrites them. */
  async write(entries: readonly JournalEntry[]): Promise<void> {
    const parts = [headOf(this.sequence, entries), ...entries.map(({ batch }) => batch)];
    const file = this.files[this.current]!;
    await writeAll(file, parts, this.position);
    await file.datasync();
    this.sequence += 1n;
    this.position += parts.reduce((bytes, part) => bytes + part.length, 0);
  }

  /** Switches to the other file. Everything in that file must be settled. */
  turn(): void {
    this.current = 1 - this.current;
    this.position = 0;
  }

  /** Empties both files. Everything in them must be settled. */
  async clear(): Promise<void> {
    for (const file of this.files) {
      await file.truncate(0);
      await file.datasync();
    }
    this.position = 0;
  }

  async close(): Promise<void> {
    await Promise.all(this.files.map((file) => file.close()));
  }
}

function headOf(sequence: bigint, entries: readonly JournalEntry[]): Buffer {
  const bytes = fixedHeadBytes + entries.reduce((sum, { topic }) => sum + 2 + topic.length + 4 + 8 + 4, 0);
  const head = Buffer.allocUnsafe(bytes);
  head.writeUInt32BE(magic, 0);
  head.writeBigUInt64BE(sequence, 4);
  head.writeUInt32BE(bytes, 12);
  head.writeUInt32BE(
    entries.reduce((sum, { batch }) => sum + batch.length, 0),
    16,
  );
  let at = fixedHeadBytes;
  for (const { topic, partition, baseOffset, batch } of entries) {
    at = head.writeUInt16BE(topic.length, at);
    at += head.write(topic, at, 'latin1'); // Kafka's names are ASCII
    at = head.writeUInt32BE(partition, at);
    at = head.writeBigInt64BE(BigInt(baseOffset), at);
    at = head.writeUInt32BE(batch.length, at);
  }
  head.writeUInt32BE(checksumOf(head), 20);
  return head;
}

/** Checksum of the head without the checksum field. The batches have checksums of their own. */
function checksumOf(head: Buffer): number {
  return (crc32c(head.subarray(0, 20)) ^ crc32c(head.subarray(fixedHeadBytes))) >>> 0;
}

interface Frame {
  readonly sequence: bigint;
  readonly bytes: number;
  readonly entries: readonly JournalEntry[];
}

/** The frames of the last round, up to the first that is torn or of an earlier round. */
function framesIn(file: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; ;) {
    const frame = frameAt(file.subarray(at));
    const last = frames.at(-1);
    if (frame === undefined || (last !== undefined && frame.sequence !== last.sequence + 1n)) return frames;
    frames.push(frame);
    at += frame.bytes;
  }
}

function frameAt(data: Buffer): Frame | undefined {
  if (data.length < fixedHeadBytes || data.readUInt32BE(0) !== magic) return undefined;
  const headBytes = data.readUInt32BE(12);
  const bytes = headBytes + data.readUInt32BE(16);
  if (headBytes < fixedHeadBytes || bytes > data.length) return undefined;
  const head = data.subarray(0, headBytes);
  if (checksumOf(head) !== head.readUInt32BE(20)) return undefined;
  const entries = entriesOf(head, data.subarray(headBytes, bytes));
  return entries.every(isWhole) ? { sequence: head.readBigUInt64BE(4), bytes, entries } : undefined;
}

function entriesOf(head: Buffer, batches: Buffer): JournalEntry[] {
  const entries: JournalEntry[] = [];
  let batchAt = 0;
  for (let at = fixedHeadBytes; at < head.length;) {
    const name = at + 2;
    const rest = name + head.readUInt16BE(at);
    const batchBytes = head.readUInt32BE(rest + 12);
    entries.push({
      topic: head.toString('latin1', name, rest),
      partition: head.readUInt32BE(rest),
      baseOffset: Number(head.readBigInt64BE(rest + 4)),
      batch: batches.subarray(batchAt, batchAt + batchBytes),
    });
    batchAt += batchBytes;
    at = rest + 16;
  }
  return entries;
}

/** The checksum of a batch does not cover its offset, so that is compared with the head. */
function isWhole({ batch, baseOffset }: JournalEntry): boolean {
  const header = readHeader(batch);
  return header !== undefined && header.bytes === batch.length && isPlacedAt(batch, baseOffset) && isIntact(batch);
}

/** Writes all parts: a disk that is nearly full writes only some of the bytes, without an error. */
async function writeAll(file: FileHandle, parts: readonly Buffer[], position: number): Promise<void> {
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  const { bytesWritten } = await file.writev(parts, position);
  if (bytesWritten === bytes) return;
  const rest = Buffer.concat(parts).subarray(bytesWritten);
  for (let written = 0; written < rest.length;) {
    written += (await file.write(rest, written, rest.length - written, position + bytesWritten + written)).bytesWritten;
  }
}
