import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { batchOf, batchesIn } from './batches-for-tests.js';
import { TopicStore, topicDefaults } from './topic-store.js';
import type { TopicSpec } from './topic-store.js';

const hourMs = 3_600_000;
let directory: string;
let notes: string[];
let nowMs: number;
let store: TopicStore | undefined;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-retention-'));
  notes = [];
  nowMs = Date.parse('2030-01-01');
});
afterEach(async () => {
  await store?.close();
  store = undefined;
  await rm(directory, { recursive: true });
});

async function open(retentionBytes = 1e9): Promise<TopicStore> {
  store = await TopicStore.open({ directory, retentionBytes, onNote: (note) => notes.push(note), nowMs: () => nowMs });
  return store;
}

async function create(name: string, spec: Partial<TopicSpec> = {}) {
  await store!.create({ ...topicDefaults, name, partitions: 1, segmentBytes: 300, ...spec });
  return store!.partition(name, 0)!;
}

/** `count` batches of 121 bytes with the time they are appended at. */
async function append(topic: string, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await store!.partition(topic, 0)!.append(batchOf(1, { payload: 'x'.repeat(60), timestampMs: nowMs }));
}

const partition = (topic: string) => store!.partition(topic, 0)!;

test('a segment is deleted once its latest record is older than the topic keeps, the one that is written to as well', async () => {
  await open();
  const log = await create('notes', { retentionMs: 24 * hourMs });
  await append('notes', 4);
  nowMs += 12 * hourMs;
  await append('notes', 4);
  nowMs += 12 * hourMs;
  await store!.applyRetention();
  expect([log.startOffset, log.endOffset]).toEqual([0, 8]);
  nowMs += 1;
  await store!.applyRetention();
  expect([log.startOffset, log.endOffset]).toEqual([4, 8]);
  nowMs += 12 * hourMs;
  await store!.applyRetention();
  expect([log.startOffset, log.endOffset]).toEqual([8, 8]);
  expect(await readdir(join(directory, 'notes', '0'))).toEqual(['00000000000000000008.log']);
  expect(await log.append(batchOf(1, { payload: 'next', timestampMs: nowMs }))).toMatchObject({ baseOffset: 8 });
  expect(batchesIn(await log.read(8, 1_000))).toEqual([[8, 'next']]);
});

test('how old records are, and where the log starts, outlives a restart', async () => {
  await open();
  await create('notes', { retentionMs: 24 * hourMs });
  await append('notes', 6);
  nowMs += 12 * hourMs;
  await append('notes', 6);
  await store!.close();
  await open();
  nowMs += 12 * hourMs + 1;
  await store!.applyRetention();
  expect([partition('notes').startOffset, partition('notes').endOffset]).toEqual([6, 12]);
  await store!.close();
  await open();
  expect([partition('notes').startOffset, partition('notes').endOffset]).toEqual([6, 12]);
  nowMs += 12 * hourMs;
  await store!.applyRetention();
  await store!.close();
  await open();
  expect([partition('notes').startOffset, partition('notes').endOffset]).toEqual([12, 12]);
});

test('a topic that keeps everything keeps everything', async () => {
  await open();
  const log = await create('notes', { retentionMs: -1 });
  await append('notes', 10);
  nowMs += 1e6 * hourMs;
  await store!.applyRetention();
  expect(log.startOffset).toBe(0);
});

test('by size, a partition keeps at least as many bytes as it is allowed', async () => {
  await open();
  const log = await create('notes', { retentionBytes: 500 });
  await append('notes', 20);
  await store!.applyRetention();
  expect(log.bytes).toBeGreaterThanOrEqual(500);
  expect(log.bytes).toBeLessThan(500 + 300);
  expect(log.endOffset).toBe(20);
});

test('when all topics together exceed the size of the log, the oldest records go first, whichever topic they are in, and it is said', async () => {
  await open(1_500);
  const old = await create('old');
  const fresh = await create('fresh');
  await append('old', 8);
  nowMs += hourMs;
  await append('fresh', 8);
  await store!.applyRetention();
  expect(old.bytes + fresh.bytes).toBeLessThanOrEqual(1_500);
  expect(old.startOffset).toBeGreaterThan(0);
  expect(fresh.startOffset).toBe(0);
  expect(notes[0]).toMatch(
    /deleted .*old\/0\/0{20}\.log, 242 bytes, before its time and whether or not it was read: all topics together exceed 1500 bytes/,
  );
});

test('a log that is full of what is written right now gives that up too, rather than fill the disk', async () => {
  await open(200);
  const log = await create('notes', { segmentBytes: 1_000_000 });
  await append('notes', 5);
  await store!.applyRetention();
  expect([log.bytes, log.startOffset, log.endOffset]).toEqual([0, 5, 5]);
});

test('who reads while segments are deleted gets whole batches from where the log starts', async () => {
  await open();
  const log = await create('notes', { retentionMs: hourMs });
  await append('notes', 50);
  nowMs += hourMs + 1;
  await append('notes', 10);
  const reads = Array.from({ length: 50 }, (_, offset) => log.read(offset, 200).then(batchesIn, () => 'deleted'));
  await store!.applyRetention();
  for (const read of await Promise.all(reads)) expect(read === 'deleted' || read.length >= 1).toBe(true);
  expect(log.startOffset).toBe(50);
  expect(batchesIn(await log.read(50, 10_000))[0]![0]).toBe(50);
});
