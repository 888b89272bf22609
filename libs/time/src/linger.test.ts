import { expect, test } from 'vitest';
import { Linger } from './linger.js';

/** The wait after a second of items in these intervals. */
function waitAt(intervalMs: number): number {
  const linger = new Linger(2);
  for (let now = 0; now < 1_000; now += intervalMs) linger.arrived(now);
  return linger.waitMs;
}

test('a batch waits while further items are to be expected within the time', () => {
  expect([20, 10, 5].map(waitAt)).toEqual([0, 0, 0]);
  expect([3, 1, 0.5].map(waitAt)).toEqual([2, 2, 2]);
});

test('an item after a pause does not wait', () => {
  const linger = new Linger(2);
  linger.arrived(0);
  expect(linger.waitMs).toBe(0);
  for (let now = 0; now < 100; now += 1) linger.arrived(now);
  linger.arrived(300);
  expect(linger.waitMs).toBe(0);
});

test('without a time to linger, none does', () => {
  const linger = new Linger(0);
  for (let now = 0; now < 100; now += 1) linger.arrived(now);
  expect(linger.waitMs).toBe(0);
});
