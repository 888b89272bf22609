import fc from 'fast-check';
import { expect, test } from 'vitest';
import { OffsetTracker } from './offset-tracker.js';

test('the watermark is the lowest unfinished offset, whatever is finished above it', () => {
  const tracker = new OffsetTracker();
  for (const offset of [10, 11, 12, 20]) tracker.received(offset);
  tracker.finished(11);
  tracker.finished(20);
  expect(tracker.snapshot()).toBeUndefined();
  tracker.finished(10);
  expect(tracker.snapshot()).toEqual({ offset: 12 });
  tracker.finished(12);
  expect(tracker.snapshot()).toEqual({ offset: 21 });
});

test('a commit is due once, and the next one only when something new is finished', () => {
  const tracker = new OffsetTracker();
  tracker.received(5);
  tracker.finished(5);
  tracker.committed(6);
  expect(tracker.snapshot()).toBeUndefined();
  tracker.received(6);
  expect(tracker.snapshot()).toBeUndefined();
  tracker.finished(6);
  expect(tracker.snapshot()).toEqual({ offset: 7 });
});

test('an offset that was seen before is recognised, finished or not', () => {
  const tracker = new OffsetTracker();
  expect([3, 4, 5].map((offset) => tracker.received(offset))).toEqual([true, true, true]);
  tracker.finished(4);
  expect([3, 4, 5, 6].map((offset) => tracker.received(offset))).toEqual([false, false, false, true]);
});

test('in any order of completion, with any gaps: never past an open offset, never backwards, and all of it in the end', () => {
  const gaps = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(gaps, fc.infiniteStream(fc.nat()), fc.infiniteStream(fc.boolean()), (steps, picks, commits) => {
      const tracker = new OffsetTracker();
      const toReceive: number[] = [];
      for (const step of steps) toReceive.push((toReceive.at(-1) ?? 100) + step);
      const last = toReceive.at(-1)!;
      const open: number[] = [];
      let committed = 0;
      while (toReceive.length + open.length > 0) {
        const pick = picks.next().value!;
        const received = pick % 2 === 0 ? toReceive.shift() : undefined;
        if (received !== undefined) {
          expect(tracker.received(received)).toBe(true);
          open.push(received);
        } else if (open.length > 0) {
          tracker.finished(open.splice(pick % open.length, 1)[0]!);
        }
        const snapshot = tracker.snapshot();
        if (snapshot !== undefined) {
          expect(snapshot.offset).toBeGreaterThan(committed);
          expect(snapshot.offset).toBeLessThanOrEqual(Math.min(...open, last + 1));
          if (commits.next().value!) tracker.committed((committed = snapshot.offset));
        }
      }
      expect(tracker.watermark).toBe(last + 1);
      expect(tracker.span).toBe(0);
    }),
  );
});
