import { expect, test } from 'vitest';
import { DestinationWatch } from './destination-watch.js';

const windowMs = 30_000;
const watchOf = (breaker: 'calm' | 'troubled' | 'open'): DestinationWatch => {
  const watch = new DestinationWatch(windowMs);
  watch.see(breaker, 1, 0);
  return watch;
};
const note = (watch: DestinationWatch, success: boolean, nowMs: number) => {
  const answered = watch.note(success, nowMs);
  watch.noteEnded(nowMs);
  return answered;
};
const successes = (watch: DestinationWatch, times: readonly number[]): boolean[] =>
  times.map((nowMs) => {
    const notes = watch.notesSuccess(nowMs);
    if (notes) note(watch, true, nowMs);
    return notes;
  });

test('of a calm destination no success is noted, and a failure brings those of the window along', () => {
  const watch = watchOf('calm');
  expect(successes(watch, [1_000, 1_500, 2_000, 40_100, 40_900, 41_000])).toEqual(Array(6).fill(false));
  expect(note(watch, false, 41_500)).toEqual([
    { agoMs: 1_500, calls: 2 },
    { agoMs: 500, calls: 1 },
  ]);
  expect(note(watch, false, 41_600)).toEqual([]);
});

test('of a troubled one the first success after a failure is noted, and then one a second', () => {
  const watch = watchOf('troubled');
  expect(successes(watch, [1_000, 1_100, 1_900, 2_000])).toEqual([true, false, false, true]);
  expect(note(watch, false, 2_100)).toEqual([]);
  expect(successes(watch, [2_200, 2_300])).toEqual([true, false]);
  expect(note(watch, false, 2_400)).toEqual([{ agoMs: 400, calls: 1 }]);
});

test('of an open one each success is noted, because it may be a probe', () => {
  expect(successes(watchOf('open'), [1_000, 1_001, 1_002])).toEqual([true, true, true]);
});

test('a destination that is calm again has forgotten what was noted, so the next failure brings it along again', () => {
  const watch = watchOf('troubled');
  successes(watch, [1_000, 1_100]);
  watch.see('calm', 1, 1_500);
  expect(note(watch, false, 2_000)).toEqual([{ agoMs: 1_000, calls: 2 }]);
});

test('the successes of another version of the document count for nothing', () => {
  const watch = watchOf('calm');
  successes(watch, [1_000]);
  watch.see('calm', 2, 1_050);
  expect(note(watch, false, 1_100)).toEqual([]);
});

test('a look that began before a note ended says nothing, because it may not have seen what was noted', () => {
  const watch = watchOf('calm');
  successes(watch, [1_000]);
  expect(watch.note(false, 1_100)).toHaveLength(1);
  watch.see('calm', 1, 1_150);
  watch.noteEnded(1_200);
  watch.see('calm', 1, 1_190);
  expect(note(watch, false, 1_300)).toEqual([]);
});
