import { expect, test, vi } from 'vitest';
import { KeyOrderedDispatcher } from '../dispatching/key-ordered-dispatcher.js';
import type { HoldableItem } from '../holding/held-customers.js';
import { partitionName } from '../logged-record.js';
import type { LoggedRecord, TopicPartition } from '../logged-record.js';
import type { EarlierCommit } from './earlier-commits.js';
import { OwnedPartitions } from './owned-partitions.js';

const [first, second] = [0, 1].map((partition): TopicPartition => ({ topic: 't', partition })) as [TopicPartition, TopicPartition];

function partitionsOf(options: { audience?: 'one' | 'every-process'; committed?: Map<string, EarlierCommit>; logId?: string } = {}) {
  const { audience = 'one', committed = new Map(), logId = 'log' } = options;
  const calls: string[] = [];
  const dispatcher = new KeyOrderedDispatcher<HoldableItem>({ concurrency: 1, handle: async () => 'finished' });
  const createQueues = vi.fn(dispatcher.createQueues.bind(dispatcher));
  const read = vi.fn(async () => committed);
  const partitions = new OwnedPartitions({
    group: { group: 'g', audience, topics: [{ name: 't', priority: 'high', partitions: 2, retentionMs: 1, types: [] }] },
    fetching: {
      pause: (partition) => calls.push(`pause ${partitionName(partition)}`),
      resume: (partition) => calls.push(`resume ${partitionName(partition)}`),
      seek: (partition, offset) => calls.push(`seek ${partitionName(partition)} to ${offset}`),
      logEnd: ({ partition }) => (partition === 0 ? 9 : undefined),
    },
    earlierCommits: { read },
    logIds: { read: async () => ({ topics: new Map([['t', logId]]), clusterId: 'here' }) },
    held: { load: async (gained) => void calls.push(`load ${gained.map(partitionName).join(' ')}`) },
    createQueues,
    maxBufferedBytes: 100,
  });
  return { partitions, calls, read, createQueues };
}

const record = (offset: number, bytes: number): LoggedRecord => ({
  ...first,
  offset,
  logId: 'log',
  timestampMs: 0,
  key: null,
  value: Buffer.alloc(bytes),
  headers: undefined,
});

test('an assignment loses what is not in it, keeps what is, and takes over the rest in the lane of its topic', async () => {
  const { partitions, calls, createQueues } = partitionsOf();
  partitions.assign([first]);
  const kept = partitions.find(first)!;
  kept.tracker.received(7);
  partitions.assign([first, second]);
  expect(partitions.find(first)).toBe(kept);
  expect(calls).toEqual(['load t/0', 'seek t/0 to 8', 'load t/1']);
  expect(createQueues).toHaveBeenCalledWith('high');
  partitions.assign([second]);
  expect(partitions.find(first)).toBeUndefined();
  expect(kept.lost.reason).toEqual(new Error('t/0 belongs to another process now'));
});

test('a partition that is taken over begins with what its former owner had finished', async () => {
  const { partitions } = partitionsOf({ committed: new Map([['t/0', { offset: 5, logId: 'log', clusterId: 'here', finished: [6] }]]) });
  partitions.assign([first, second]);
  const owned = partitions.find(first)!;
  await owned.restored;
  expect([5, 6, 7].map((offset) => owned.tracker.received(offset))).toEqual([true, false, true]);
  const progress = { logId: 'log', watermark: 5, finishedAbove: 1, oldestOpenMs: 0, lastReadMs: 0, logEnd: 9 };
  expect(partitions.progress()).toContainEqual({ ...first, ...progress });
});

test('a group of every process asks for no commits', () => {
  const { partitions, read } = partitionsOf({ audience: 'every-process' });
  partitions.assign([first]);
  expect(read).not.toHaveBeenCalled();
});

test('a partition with as much as the buffer has left is paused until half of that is free', () => {
  const { partitions, calls } = partitionsOf();
  partitions.assign([first, second]);
  const owned = partitions.find(first)!;
  calls.length = 0;
  for (const offset of [0, 1]) {
    owned.tracker.received(offset);
    owned.countQueued(record(offset, 24));
  }
  partitions.pauseWhenFull(owned);
  expect(calls).toEqual([]);
  expect(partitions.crowded()).toEqual([owned]);
  owned.tracker.received(2);
  owned.countQueued(record(2, 2));
  partitions.pauseWhenFull(owned);
  partitions.pauseWhenFull(owned);
  expect(calls).toEqual(['pause t/0']);
  expect(partitions.bufferedBytes).toBe(50);
  owned.finished(record(2, 2));
  partitions.resumeWhenDrained(owned);
  expect(calls).toEqual(['pause t/0']);
  owned.finished(record(0, 24));
  partitions.resumeWhenDrained(owned);
  expect(calls).toEqual(['pause t/0', 'resume t/0']);
});

test('what others have waiting leaves a partition less, and what is handled takes nothing from any', () => {
  const { partitions, calls } = partitionsOf();
  partitions.assign([first, second]);
  const [owned, other] = [partitions.find(first)!, partitions.find(second)!];
  calls.length = 0;
  other.countQueued(record(0, 60));
  owned.countQueued(record(0, 15));
  partitions.pauseWhenFull(owned);
  expect(calls).toEqual([]);
  owned.countQueued(record(1, 6));
  partitions.pauseWhenFull(owned);
  expect(calls).toEqual(['pause t/0']);
  other.began(record(0, 60));
  partitions.resumeWhenDrained(owned);
  expect(calls).toEqual(['pause t/0', 'resume t/0']);
  other.ended(record(0, 60));
  expect(other.waitingBytes).toBe(60); // it waits for a retry
});

test('a lost partition is resumed, so that it is fetched should it come back', () => {
  const { partitions, calls } = partitionsOf();
  partitions.assign([first]);
  const owned = partitions.find(first)!;
  owned.tracker.received(0);
  owned.countQueued(record(0, 200));
  partitions.pauseWhenFull(owned);
  partitions.loseAll();
  expect(calls.slice(1)).toEqual(['pause t/0', 'resume t/0']);
  expect(partitions.all()).toEqual([]);
});

test('a partition whose log was replaced starts over with new state', () => {
  const { partitions, calls } = partitionsOf();
  partitions.assign([first]);
  const before = partitions.find(first)!;
  before.tracker.received(9);
  const after = partitions.startOver(before);
  expect(partitions.find(first)).toBe(after);
  expect(before.lost.aborted).toBe(true);
  expect(after.tracker.next).toBeUndefined();
  expect(calls).toEqual(['load t/0', 'load t/0']);
});

test('a commit that was translated from another cluster counts, but nothing above it is taken for finished', async () => {
  const committed = new Map([['t/0', { offset: 5, logId: 'log', clusterId: 'elsewhere', finished: [6] }]]);
  const { partitions, calls } = partitionsOf({ committed, logId: 'mirror' });
  partitions.assign([first]);
  const owned = partitions.find(first)!;
  await owned.restored;
  expect(calls).not.toContain('seek t/0 to 0');
  expect([5, 6].map((offset) => owned.tracker.received(offset))).toEqual([true, true]);
});

test.each([['here'], [undefined]])(
  'a commit of a log that was replaced does not count, and the partition is read from its beginning (cluster: %s)',
  async (clusterId) => {
    const committed = new Map([['t/0', { offset: 5, logId: 'old', clusterId, finished: [6] }]]);
    const { partitions, calls } = partitionsOf({ committed, logId: 'new' });
    partitions.assign([first]);
    const owned = partitions.find(first)!;
    await owned.restored;
    expect(owned.logId).toBe('new');
    expect([0, 6].map((offset) => owned.tracker.received(offset))).toEqual([true, true]);
    expect(calls).toContain('seek t/0 to 0');
  },
);

test('a partition starts over once its topic has another identity, and only then', async () => {
  const { partitions, calls } = partitionsOf();
  partitions.assign([first]);
  const owned = partitions.find(first)!;
  await owned.restored;
  partitions.checkLogs(new Map([['t', 'log']]));
  expect(partitions.find(first)).toBe(owned);
  partitions.checkLogs(new Map([['t', 'another']]));
  expect(owned.lost.aborted).toBe(true);
  expect(calls).toContain('seek t/0 to 0');
});
