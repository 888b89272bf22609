import { mkdtemp, open, readFile, readdir, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { errorCodes } from '../wire/error-codes.js';
import { crc32c } from '#libs/checksums';
import { PartitionLog } from './partition-log.js';
import { headerBytes, readHeader } from './record-batch.js';

let directory: string;
const opened: PartitionLog[] = [];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-partition-'));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(opened.splice(0).map((log) => log.close()));
  await rm(directory, { recursive: true });
});

async function openLog(options: { segmentBytes?: number; maxBatchBytes?: number } = {}) {
  const result = await PartitionLog.open(directory, { segmentBytes: 1_000_000, maxBatchBytes: 1_000_000, ...options });
  opened.push(result.log);
  return result;
}

/** A batch as a producer would send it; the broker never looks past the header. */
function batchOf(count: number, options: { payload?: string; producerId?: number; sequence?: number } = {}): Buffer {
  const payload = Buffer.from(options.payload ?? 'records');
  const batch = Buffer.alloc(headerBytes + payload.length);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt8(2, 16);
  batch.writeInt32BE(count - 1, 23);
  batch.writeBigInt64BE(BigInt(options.producerId ?? -1), 43);
  batch.writeInt32BE(options.sequence ?? -1, 53);
  batch.writeInt32BE(count, 57);
  payload.copy(batch, headerBytes);
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}

/** First offset and payload of each batch in a fetched buffer. */
function batchesIn(data: Buffer): [number, string][] {
  const found: [number, string][] = [];
  for (let at = 0; at < data.length;) {
    const header = readHeader(data.subarray(at))!;
    found.push([header.baseOffset, data.subarray(at + headerBytes, at + header.bytes).toString()]);
    at += header.bytes;
  }
  return found;
}

const lastSegment = async (): Promise<string> => join(directory, (await readdir(directory)).toSorted().at(-1)!);

test('batches are numbered one after the other and read back from any offset in them', async () => {
  const { log } = await openLog();
  const appended = await Promise.all(
    [batchOf(3, { payload: 'a' }), batchOf(2, { payload: 'b' }), batchOf(1, { payload: 'c' })].map((each) => log.append(each)),
  );
  expect(appended.map(({ baseOffset }) => baseOffset)).toEqual([0, 3, 5]);
  expect(log.endOffset).toBe(6);
  expect(batchesIn(await log.read(4, 10_000))).toEqual([
    [3, 'b'],
    [5, 'c'],
  ]);
  expect(await log.read(6, 10_000)).toHaveLength(0);
});

test('a read gives as many whole batches as fit, and at least one', async () => {
  const { log } = await openLog();
  for (const payload of ['x'.repeat(1_000), 'y'.repeat(1_000), 'z'.repeat(1_000)]) await log.append(batchOf(1, { payload }));
  expect(batchesIn(await log.read(0, 10))).toHaveLength(1);
  expect(batchesIn(await log.read(0, 2_200))).toHaveLength(2);
});

test('appends that arrive together share one sync', async () => {
  const { log } = await openLog();
  const handle = await open(await lastSegment(), 'r');
  const datasync = vi.spyOn(Object.getPrototypeOf(handle) as { datasync(): Promise<void> }, 'datasync');
  await handle.close();
  await Promise.all(Array.from({ length: 100 }, () => log.append(batchOf(1))));
  expect(datasync).toHaveBeenCalledTimes(2);
});

test('after a restart everything acknowledged is there, and numbering goes on', async () => {
  const first = await openLog({ segmentBytes: 500 });
  for (let n = 0; n < 20; n += 1) await first.log.append(batchOf(2, { payload: `record ${n}` }));
  await first.log.close();
  const { log, cutBytes } = await openLog({ segmentBytes: 500 });
  expect(cutBytes).toBe(0);
  expect(log.endOffset).toBe(40);
  const read: [number, string][] = [];
  for (let offset = 0; offset < 40; offset = read.at(-1)![0] + 2) read.push(...batchesIn(await log.read(offset, 300)));
  expect(read).toEqual(Array.from({ length: 20 }, (_, n) => [2 * n, `record ${n}`]));
  expect(await log.append(batchOf(1))).toMatchObject({ baseOffset: 40 });
});

test.each([
  ['the end of a batch is missing', async (path: string) => truncate(path, (await stat(path)).size - 3)],
  ['only half of a header was written', async (path: string) => truncate(path, (await stat(path)).size - 7 - 30)],
  [
    'the bytes are not those that were sent',
    async (path: string) => {
      const bytes = await readFile(path);
      bytes.writeUInt8(bytes.at(-1)! ^ 1, bytes.length - 1);
      await writeFile(path, bytes);
    },
  ],
])('a torn tail is cut off: %s', async (_, tear) => {
  const first = await openLog();
  await first.log.append(batchOf(2, { payload: 'whole' }));
  await first.log.append(batchOf(2, { payload: 'torn' }));
  await first.log.close();
  await tear(await lastSegment());
  const { log, cutBytes } = await openLog();
  expect(cutBytes).toBeGreaterThan(0);
  expect(log.endOffset).toBe(2);
  await log.append(batchOf(1, { payload: 'next' }));
  expect(batchesIn(await log.read(0, 10_000))).toEqual([
    [0, 'whole'],
    [2, 'next'],
  ]);
});

test('a batch that a producer repeats is acknowledged where it stands, also after a restart', async () => {
  const first = await openLog();
  const send = (log: PartitionLog, sequence: number) => log.append(batchOf(2, { producerId: 9, sequence }));
  await send(first.log, 0);
  const [once, again] = await Promise.all([send(first.log, 2), send(first.log, 2)]);
  expect(once).toEqual({ error: errorCodes.none, baseOffset: 2 });
  expect(again).toEqual(once);
  await first.log.close();
  const { log } = await openLog();
  expect(await send(log, 2)).toEqual(once);
  expect(await send(log, 8)).toMatchObject({ error: errorCodes.outOfOrderSequenceNumber });
  expect(log.endOffset).toBe(4);
});

test('what is no intact batch, or too large, is refused', async () => {
  const { log } = await openLog({ maxBatchBytes: 200 });
  const flipped = batchOf(1);
  flipped.writeUInt8(flipped.at(-1)! ^ 1, flipped.length - 1);
  const refusals = [flipped, Buffer.alloc(10), Buffer.concat([batchOf(1), batchOf(1)])].map((data) => log.append(data));
  expect((await Promise.all(refusals)).map(({ error }) => error)).toEqual(Array(3).fill(errorCodes.corruptMessage));
  expect(await log.append(batchOf(1, { payload: 'x'.repeat(200) }))).toMatchObject({ error: errorCodes.messageTooLarge });
});

test('a write that the disk refuses is not acknowledged, takes nothing along, and can be repeated', async () => {
  const { log } = await openLog();
  const send = (sequence: number) => log.append(batchOf(1, { payload: `record ${sequence}`, producerId: 9, sequence }));
  await send(0);
  const handle = await open(await lastSegment(), 'r');
  vi.spyOn(Object.getPrototypeOf(handle) as { datasync(): Promise<void> }, 'datasync').mockRejectedValueOnce(new Error('EIO'));
  await handle.close();
  const lost = { error: errorCodes.storageError, baseOffset: -1 };
  expect(await Promise.all([send(1), send(2)])).toEqual([lost, lost]);
  expect(log.endOffset).toBe(1);
  expect(await send(1)).toEqual({ error: errorCodes.none, baseOffset: 1 });
  expect(batchesIn(await log.read(0, 10_000))).toEqual([
    [0, 'record 0'],
    [1, 'record 1'],
  ]);
});

test('a log that is closed takes nothing more, and what arrived before is on the disk', async () => {
  const { log } = await openLog();
  const last = log.append(batchOf(1));
  await log.close();
  expect(await last).toEqual({ error: errorCodes.none, baseOffset: 0 });
  expect(await log.append(batchOf(1))).toMatchObject({ error: errorCodes.storageError });
});

test('retention removes the oldest whole segments and never the one that is written to, which it closes once it is old', async () => {
  const { log } = await openLog({ segmentBytes: 300 });
  for (let n = 0; n < 12; n += 1) await log.append(batchOf(1, { payload: 'x'.repeat(60) }));
  const [oldest] = await log.removable(0);
  await log.remove(oldest!.segment);
  expect(log.startOffset).toBeGreaterThan(0);
  expect(await log.append(batchOf(1))).toMatchObject({ baseOffset: 12 });

  const past = new Date('2020-01-01');
  for (const file of await readdir(directory)) await utimes(join(directory, file), past, past);
  const removable = await log.removable(Date.now() - 1_000);
  for (const { segment } of removable) await log.remove(segment);
  expect(log.startOffset).toBe(13);
  expect(await log.append(batchOf(1, { payload: 'new' }))).toMatchObject({ baseOffset: 13 });
  expect(batchesIn(await log.read(13, 1_000))).toEqual([[13, 'new']]);
});

test('who waits for growth is told once a batch can be read', async () => {
  const { log } = await openLog();
  const ends: number[] = [];
  const stop = log.onGrowth(() => ends.push(log.endOffset));
  await log.append(batchOf(2));
  stop();
  await log.append(batchOf(2));
  expect(ends).toEqual([2]);
});
