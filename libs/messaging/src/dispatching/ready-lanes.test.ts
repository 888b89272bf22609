import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lanes as priorities } from '#libs/contracts';
import type { Lane as Priority } from '#libs/contracts';
import { ReadyLanes } from './ready-lanes.js';

test('of twelve turns eight are high, three normal and one low, and a class keeps its order', () => {
  const ready = new ReadyLanes<string>(() => 0);
  for (let n = 0; n < 24; n += 1) for (const priority of priorities) ready.push(`${priority} ${n}`, priority);
  const taken = Array.from({ length: 24 }, () => ready.shift()!);
  const of = (priority: Priority) => taken.filter((lane) => lane.startsWith(priority));
  expect([of('high').length, of('normal').length, of('low').length]).toEqual([16, 6, 2]);
  expect(of('normal')).toEqual(Array.from({ length: 6 }, (_, n) => `normal ${n}`));
});

test('no turn is lost where a class is empty', () => {
  const ready = new ReadyLanes<number>(() => 0);
  for (const n of [1, 2, 3]) ready.push(n, 'low');
  expect([ready.shift(), ready.shift(), ready.shift(), ready.shift()]).toEqual([1, 2, 3, undefined]);
});

test('a lane moves up one class per five seconds of waiting', () => {
  let now = 0;
  const ready = new ReadyLanes<string>(() => now);
  ready.push('old and low', 'low');
  now = 4_999;
  expect(ready.shift(true)).toBeUndefined();
  now = 5_000;
  expect(ready.shift(true)).toBeUndefined();
  now = 10_000;
  expect(ready.shift(true)).toBe('old and low');
});

test('however much more urgent work keeps coming, every lane gets its turn, and none is lost or doubled', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...priorities), fc.integer({ min: 0, max: 3 })), { maxLength: 200 }), (pushes) => {
      let now = 0;
      const ready = new ReadyLanes<number>(() => now);
      const taken: number[] = [];
      for (const [n, [priority, turnsAfter]] of pushes.entries()) {
        ready.push(n, priority);
        for (let turn = 0; turn < turnsAfter; turn += 1) {
          now += 700;
          const lane = ready.shift();
          if (lane !== undefined) taken.push(lane);
        }
      }
      for (let lane = ready.shift(); lane !== undefined; lane = ready.shift()) taken.push(lane);
      expect(taken.toSorted((a, b) => a - b)).toEqual(pushes.map((_, n) => n));
    }),
  );
});
