import { mkdtemp, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { errorCodes } from '../wire/error-codes.js';
import { batchOf, batchesIn } from './batches-for-tests.js';
import { FailingDisk } from './failing-disk.js';
import type { PartitionLog } from './partition-log.js';
import { TopicStore, topicDefaults } from './topic-store.js';
import type { TopicSpec } from './topic-store.js';

let directory: string;
let notes: string[];
const opened: TopicStore[] = [];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-partition-'));
  notes = [];
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((store) => store.close()));
  await rm(directory, { recursive: true });
});

/** Partition 0 of a topic of 24. */
async function openLog(spec: Partial<TopicSpec> = {}, disk = new FailingDisk()) {
  const store = await TopicStore.open({
    directory,
    retentionBytes: 1e9,
    onNote: (note) => notes.push(note),
    openFile: disk.openFile,
    nowMs: () => 1_000_000,
  });
  opened.push(store);
  await store.create({ ...topicDefaults, name: 'notes', partitions: 24, maxBatchBytes: 1_000_000, ...spec });
  const stop = async (): Promise<void> => {
    opened.splice(opened.indexOf(store), 1);
    await store.close();
  };
  return { store, log: store.partition('notes', 0)!, disk, stop };
}

const partitionDirectory = () => join(directory, 'notes', '0');
const lastSegment = async (): Promise<string> => join(partitionDirectory(), (await readdir(partitionDirectory())).toSorted().at(-1)!);

async function readFrom(log: PartitionLog, offset: number, maxBytes = 10_000) {
  return batchesIn(await log.read(offset, maxBytes));
}

test('batches are numbered one after the other and read back from any offset in them, before and after they are settled', async () => {
  const { store, log } = await openLog();
  const appended = await Promise.all(
    [batchOf(3, { payload: 'a' }), batchOf(2, { payload: 'b' }), batchOf(1, { payload: 'c' })].map((each) => log.append(each)),
  );
  expect(appended.map(({ baseOffset }) => baseOffset)).toEqual([0, 3, 5]);
  expect(log.endOffset).toBe(6);
  for (const settle of [async () => undefined, () => store.applyRetention()]) {
    await settle();
    expect(await readFrom(log, 4)).toEqual([
      [3, 'b'],
      [5, 'c'],
    ]);
    expect(await log.read(6, 10_000)).toHaveLength(0);
  }
});

test('a read gives as many whole batches as fit, and at least one', async () => {
  const { store, log } = await openLog();
  for (const payload of ['x'.repeat(1_000), 'y'.repeat(1_000), 'z'.repeat(1_000)]) await log.append(batchOf(1, { payload }));
  for (const settle of [async () => undefined, () => store.applyRetention()]) {
    await settle();
    expect(await readFrom(log, 0, 10)).toHaveLength(1);
    expect(await readFrom(log, 0, 2_200)).toHaveLength(2);
  }
});

test('appends to any partitions that arrive together cost one write and one sync', async () => {
  const { store, disk } = await openLog();
  const before = disk.operations;
  await Promise.all(Array.from({ length: 240 }, (_, n) => store.partition('notes', n % 24)!.append(batchOf(1))));
  expect(disk.operations - before).toBe(2);
});

test('after a restart everything acknowledged is there, and numbering goes on', async () => {
  const first = await openLog({ segmentBytes: 500 });
  for (let n = 0; n < 20; n += 1) await first.log.append(batchOf(2, { payload: `record ${n}` }));
  await first.stop();
  const { log } = await openLog();
  expect(notes).toEqual([]);
  expect(log.endOffset).toBe(40);
  const read: [number, string][] = [];
  for (let offset = 0; offset < 40; offset = read.at(-1)![0] + 2) read.push(...(await readFrom(log, offset, 300)));
  expect(read).toEqual(Array.from({ length: 20 }, (_, n) => [2 * n, `record ${n}`]));
  expect(await log.append(batchOf(1))).toMatchObject({ baseOffset: 40 });
});

test('no segment grows beyond its size, nor beyond its time', async () => {
  const { store, log } = await openLog({ segmentBytes: 500, segmentMs: 1_000 });
  for (let n = 0; n < 10; n += 1) await log.append(batchOf(1, { payload: 'x'.repeat(60), timestampMs: 0 }));
  await store.applyRetention();
  const files = await readdir(partitionDirectory());
  expect(files.length).toBeGreaterThan(2);
  for (const file of files) expect((await stat(join(partitionDirectory(), file))).size).toBeLessThanOrEqual(500);
  await log.append(batchOf(1, { timestampMs: 500 }));
  await log.append(batchOf(1, { timestampMs: 1_001 }));
  await store.applyRetention();
  expect(await readdir(partitionDirectory())).toContain('00000000000000000011.log');
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
])('a damaged end is cut off, said, and written on: %s', async (_, damage) => {
  const first = await openLog();
  await first.log.append(batchOf(2, { payload: 'whole' }));
  await first.log.append(batchOf(2, { payload: 'torn' }));
  await first.stop();
  await damage(await lastSegment());
  const { log } = await openLog();
  expect(notes[0]).toMatch(/^notes\/0: cut off \d+ bytes of a write that a crash had torn$/);
  expect(log.endOffset).toBe(2);
  await log.append(batchOf(1, { payload: 'next' }));
  expect(await readFrom(log, 0)).toEqual([[0, 'whole']]);
  expect(await readFrom(log, 2)).toEqual([[2, 'next']]);
});

test('what is in the journal and in no file any more keeps its offsets', async () => {
  const first = await openLog();
  await first.log.append(batchOf(5, { payload: 'settled' }));
  await first.stop();
  const disk = new FailingDisk();
  const second = await openLog({}, disk);
  await second.log.append(batchOf(1, { payload: 'journalled' }));
  disk.powerCutAt = 0;
  await expect(second.stop()).rejects.toThrow('the power is gone');
  await rm(await lastSegment());

  const { log } = await openLog();
  expect(notes[0]).toBe('notes/0: records are missing in its files; it goes on where the journal does');
  expect([log.startOffset, log.endOffset]).toEqual([5, 6]);
  expect(await readFrom(log, 5)).toEqual([[5, 'journalled']]);
});

test('a batch that a producer repeats is acknowledged where it stands, also after a restart', async () => {
  const first = await openLog();
  const send = (log: PartitionLog, sequence: number) => log.append(batchOf(2, { producerId: 9, sequence }));
  await send(first.log, 0);
  const [once, again] = await Promise.all([send(first.log, 2), send(first.log, 2)]);
  expect(once).toEqual({ error: errorCodes.none, baseOffset: 2 });
  expect(again).toEqual(once);
  await first.stop();
  const { log } = await openLog();
  expect(await send(log, 2)).toEqual(once);
  expect(await send(log, 8)).toMatchObject({ error: errorCodes.outOfOrderSequenceNumber });
  expect(log.endOffset).toBe(4);
});

test('what is no intact batch, too large, or from the future, is refused', async () => {
  const { log } = await openLog({ maxBatchBytes: 200 });
  const flipped = batchOf(1);
  flipped.writeUInt8(flipped.at(-1)! ^ 1, flipped.length - 1);
  const refusals = [flipped, Buffer.alloc(10), Buffer.concat([batchOf(1), batchOf(1)])].map((data) => log.append(data));
  expect((await Promise.all(refusals)).map(({ error }) => error)).toEqual(Array(3).fill(errorCodes.corruptMessage));
  expect(await log.append(batchOf(1, { payload: 'x'.repeat(200) }))).toMatchObject({ error: errorCodes.messageTooLarge });
  expect(await log.append(batchOf(1, { timestampMs: 4_600_001 }))).toMatchObject({ error: errorCodes.invalidTimestamp });
  expect(log.endOffset).toBe(0);
});

test('a log that is closed takes nothing more, and what arrived before is on the disk', async () => {
  const { log, stop } = await openLog();
  const last = log.append(batchOf(1));
  await stop();
  expect(await last).toEqual({ error: errorCodes.none, baseOffset: 0 });
  expect(await log.append(batchOf(1))).toMatchObject({ error: errorCodes.storageError });
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

test('a full disk acknowledges nothing, loses nothing, and goes on when there is room', async () => {
  const { log, disk } = await openLog();
  const send = (sequence: number) => log.append(batchOf(1, { payload: `record ${sequence}`, producerId: 9, sequence }));
  await send(0);
  disk.freeBytes = 50;
  const refused = { error: errorCodes.storageError, baseOffset: -1 };
  expect(await Promise.all([send(1), send(2), send(1)])).toEqual([refused, refused, refused]);
  expect(await send(1)).toEqual(refused);
  expect(log.endOffset).toBe(1);
  expect(await readFrom(log, 0)).toEqual([[0, 'record 0']]);
  disk.freeBytes = Infinity;
  expect(await Promise.all([send(1), send(2)])).toEqual([
    { error: errorCodes.none, baseOffset: 1 },
    { error: errorCodes.none, baseOffset: 2 },
  ]);
  expect(await readFrom(log, 0)).toEqual([
    [0, 'record 0'],
    [1, 'record 1'],
    [2, 'record 2'],
  ]);
  expect(notes[0]).toMatch(/batches could not be stored and were refused/);
});
