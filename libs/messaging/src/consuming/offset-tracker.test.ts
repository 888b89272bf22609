import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeFinished } from './finished-offsets.js';
import { OffsetTracker } from './offset-tracker.js';

test('the watermark is the lowest unfinished offset, whatever is finished above it', () => {
  const tracker = new OffsetTracker();
  for (const offset of [10, 11, 12, 20]) tracker.received(offset);
  tracker.finished(11);
  tracker.finished(20);
  expect(tracker.snapshot()).toMatchObject({ offset: 10 });
  tracker.finished(10);
  expect(tracker.snapshot()).toMatchObject({ offset: 12 });
  tracker.finished(12);
  expect(tracker.snapshot()).toMatchObject({ offset: 21, metadata: '' });
});

test('a commit carries what is finished above the watermark, and its reader handles only the rest', () => {
  const before = new OffsetTracker();
  for (const offset of [10, 11, 12, 13, 20]) before.received(offset);
  for (const offset of [11, 13, 20]) before.finished(offset);
  const { offset: committed, metadata } = before.snapshot()!;
  const after = new OffsetTracker();
  after.restore(committed, decodeFinished(committed, metadata));
  expect([10, 11, 12, 13, 20, 21].map((offset) => after.received(offset))).toEqual([true, false, true, false, false, true]);
  for (const offset of [12, 10]) after.finished(offset);
  expect(after.snapshot()).toMatchObject({ offset: 21, metadata: '' });
});

test('the oldest open record is the lowest unfinished one, and what is finished above it is counted', () => {
  const tracker = new OffsetTracker();
  for (const offset of [1, 2, 3]) tracker.received(offset, offset * 100);
  tracker.finished(2);
  expect([tracker.oldestOpenMs, tracker.finishedAboveWatermark]).toEqual([100, 1]);
  tracker.finished(1);
  expect([tracker.oldestOpenMs, tracker.finishedAboveWatermark]).toEqual([300, 0]);
  tracker.finished(3);
  expect(tracker.oldestOpenMs).toBeUndefined();
});

test('a log that begins again before the commit is read as a new one', () => {
  const tracker = new OffsetTracker();
  tracker.restore(12, [14]);
  expect([3, 14].map((offset) => tracker.received(offset))).toEqual([true, true]);
});

test('a commit is due once, and the next one only when something new is finished', () => {
  const tracker = new OffsetTracker();
  tracker.received(5);
  expect(tracker.snapshot()).toBeUndefined();
  tracker.finished(5);
  tracker.committed(tracker.snapshot()!);
  expect(tracker.snapshot()).toBeUndefined();
  for (const offset of [6, 7]) tracker.received(offset);
  expect(tracker.snapshot()).toBeUndefined();
  tracker.finished(7);
  expect(tracker.snapshot()).toMatchObject({ offset: 6 });
});

test('what finishes while a commit is under way is committed by the next one', () => {
  const tracker = new OffsetTracker();
  for (const offset of [5, 6]) tracker.received(offset);
  tracker.finished(5);
  const underWay = tracker.snapshot()!;
  tracker.finished(6);
  tracker.committed(underWay);
  expect(tracker.snapshot()).toMatchObject({ offset: 7 });
});

test('an offset that was seen before is recognised, finished or not', () => {
  const tracker = new OffsetTracker();
  expect([3, 4, 5].map((offset) => tracker.received(offset))).toEqual([true, true, true]);
  tracker.finished(4);
  expect([3, 4, 5, 6].map((offset) => tracker.received(offset))).toEqual([false, false, false, true]);
});

test('in any order of completion, with any gaps and crashes: never past an open offset, never backwards, nothing committed twice, all of it in the end', () => {
  const gaps = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(gaps, fc.infiniteStream(fc.nat()), (steps, picks) => {
      const log: number[] = [];
      for (const step of steps) log.push((log.at(-1) ?? 100) + step);
      const last = log.at(-1)!;
      const finished = new Set<number>();
      let tracker = new OffsetTracker();
      let open: number[] = [];
      let toReceive = [...log];
      let committed = { offset: 0, metadata: '' };
      while (toReceive.length + open.length > 0) {
        const pick = picks.next().value!;
        if (pick % 23 === 0) {
          // The process dies, and the next one reads from the last commit.
          tracker = new OffsetTracker();
          tracker.restore(committed.offset, decodeFinished(committed.offset, committed.metadata));
          open = [];
          toReceive = log.filter((offset) => offset >= committed.offset);
        } else if (pick % 2 === 0 && toReceive.length > 0) {
          const offset = toReceive.shift()!;
          if (tracker.received(offset)) open.push(offset);
          else expect(finished).toContain(offset);
        } else if (open.length > 0) {
          const [offset] = open.splice(pick % open.length, 1) as [number];
          tracker.finished(offset);
          finished.add(offset);
        }
        const snapshot = tracker.snapshot();
        if (snapshot === undefined || pick % 3 !== 0) continue;
        expect(snapshot.offset).toBeGreaterThanOrEqual(committed.offset);
        expect(snapshot.offset).toBeLessThanOrEqual(Math.min(...open, ...toReceive, last + 1));
        expect(log.filter((offset) => offset < snapshot.offset && !finished.has(offset))).toEqual([]);
        for (const offset of decodeFinished(snapshot.offset, snapshot.metadata)) expect(finished).toContain(offset);
        tracker.committed((committed = snapshot));
      }
      expect(tracker.watermark).toBe(last + 1);
      expect(tracker.span).toBe(0);
    }),
  );
});
