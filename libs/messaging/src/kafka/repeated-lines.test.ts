import { expect, test } from 'vitest';
import { RepeatedLines } from './repeated-lines.js';

test('the first of a kind is let through at once, and then one in five seconds with the number of those held back', () => {
  let now = 0;
  const lines = new RepeatedLines(5_000, () => now);
  const admitted: [number, number | null][] = [];
  for (; now <= 10_000; now += 1_000) admitted.push([now, lines.admit('connection error')]);
  expect(admitted.filter(([, count]) => count !== null)).toEqual([
    [0, 0],
    [5_000, 4],
    [10_000, 4],
  ]);
});

test('another kind does not wait for it', () => {
  const lines = new RepeatedLines(5_000, () => 0);
  expect([lines.admit('a'), lines.admit('b'), lines.admit('a')]).toEqual([0, 0, null]);
});
