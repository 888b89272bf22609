import { expect, test } from 'vitest';
import { Patience } from './quiet.js';

const left = (runs: number) => ({ runs, trials: 0, deliveries: 0, deadLetters: 0, holds: 0, lag: 0, entries: 0 });

test('work that gets less is waited for, and work that stands still is not', () => {
  const patience = new Patience(100, 0);
  expect([
    patience.isOver(left(9), 90),
    patience.isOver(left(8), 180),
    patience.isOver(left(8), 279),
    patience.isOver(left(8), 281),
  ]).toEqual([false, false, false, true]);
});

test('work that comes and goes stands still, and so does what cannot be read', () => {
  const patience = new Patience(100, 0);
  expect([patience.isOver(left(3), 10), patience.isOver(left(5), 60), patience.isOver(left(3), 100)]).toEqual([false, false, false]);
  expect([patience.isOver(undefined, 105), patience.isOver(left(4), 111)]).toEqual([false, true]);
});

test('the wait ends even if there is always a little less', () => {
  const patience = new Patience(100, 0);
  expect(Array.from({ length: 10 }, (_, at) => patience.isOver(left(100 - at), at * 60)).indexOf(true)).toBe(9);
});
