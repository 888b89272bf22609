import type { EachBatchPayload } from 'kafkajs';
import { beforeAll, expect, test } from 'vitest';
import { setLogLevel } from '#libs/tracing';
import { KeyOrderedDispatcher } from '../dispatching/key-ordered-dispatcher.js';
import type { HoldableItem } from '../holding/held-customers.js';
import { readCommitMetadata } from './commit-metadata.js';
import { OffsetCommits } from './offset-commits.js';
import { OwnedPartition } from './owned-partition.js';

type Offsets = Parameters<EachBatchPayload['commitOffsetsIfNecessary']>[0];

beforeAll(() => setLogLevel('silent'));

/** Commits of one partition that has received the offsets 0 to 9. */
function commitsOf({ audience = 'one', receivedTo = 9 }: { audience?: 'one' | 'every-process'; receivedTo?: number } = {}) {
  const dispatcher = new KeyOrderedDispatcher<HoldableItem>({ concurrency: 1, handle: async () => 'finished' });
  const owned = new OwnedPartition('t', 3, dispatcher.createQueues());
  owned.logId = 'log';
  for (let offset = 0; offset <= receivedTo; offset += 1) owned.tracker.received(offset);
  const commits = new OffsetCommits({ group: 'g', audience }, { all: () => [owned] });
  const sent: Offsets[] = [];
  const ends: (() => void)[] = [];
  const log = { isAway: false, isSlow: false };
  commits.sendWith(async (offsets) => {
    sent.push(offsets);
    if (log.isSlow) await new Promise<void>((end) => ends.push(end));
    if (log.isAway) throw new Error('away');
  });
  const last = () => {
    const { offset, metadata } = sent.at(-1)!.topics[0]!.partitions[0]! as unknown as { offset: string; metadata: string };
    return [Number(offset), readCommitMetadata(Number(offset), metadata).finished];
  };
  return { commits, tracker: owned.tracker, sent, ends, log, last };
}

test('a commit says the low watermark and the finished offsets above it, and only what is new', async () => {
  const { commits, tracker, sent, last } = commitsOf();
  for (const offset of [0, 1, 4]) tracker.finished(offset);
  await commits.commit();
  expect(last()).toEqual([2, [4]]);
  await commits.commit();
  expect(sent).toHaveLength(1);
});

test('a failed commit is repeated by the next one, with what is finished by then', async () => {
  const { commits, tracker, sent, log, last } = commitsOf();
  log.isAway = true;
  tracker.finished(0);
  await commits.commit();
  log.isAway = false;
  tracker.finished(2);
  await commits.commit();
  expect(sent).toHaveLength(2);
  expect(last()).toEqual([1, [2]]);
});

test('one commit at a time; commitAll also commits what finished during the one under way', async () => {
  const { commits, tracker, sent, ends, log, last } = commitsOf();
  log.isSlow = true;
  tracker.finished(0);
  const underWay = commits.commit();
  expect(commits.commit()).toBe(underWay);
  tracker.finished(1);
  log.isSlow = false;
  const all = commits.commitAll();
  expect(sent).toHaveLength(1);
  ends[0]!();
  await all;
  expect(sent).toHaveLength(2);
  expect(last()).toEqual([2, []]);
});

test('nothing is committed while the owned partitions are not known, nor by a group of every process', async () => {
  const suspended = commitsOf();
  suspended.commits.suspend();
  suspended.tracker.finished(0);
  await suspended.commits.commit();
  expect(suspended.sent).toEqual([]);
  suspended.commits.resume();
  await suspended.commits.commit();
  expect(suspended.last()).toEqual([1, []]);
  const everyProcess = commitsOf({ audience: 'every-process' });
  everyProcess.tracker.finished(0);
  await everyProcess.commits.commit();
  expect(everyProcess.sent).toEqual([]);
});

test('a thousand finished records start a commit by themselves', async () => {
  const { commits, tracker, sent } = commitsOf({ receivedTo: 1_000 });
  for (let offset = 0; offset < 1_000; offset += 1) {
    expect(sent).toEqual([]);
    tracker.finished(offset);
    commits.countFinished();
  }
  expect(sent).toHaveLength(1);
});
