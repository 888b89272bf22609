import { expect, test } from 'vitest';
import { FairQueue } from './fair-queue.js';

function queueOf(...items: string[]): FairQueue<string> {
  const queue = new FairQueue<string>();
  for (const item of items) queue.push(item.slice(0, 1), item);
  return queue;
}

test('owners take turns, and the items of one keep their order', () => {
  const queue = queueOf('a1', 'a2', 'a3', 'b1', 'c1', 'b2');
  expect([queue.lengthOf('a'), queue.lengthOf('x')]).toEqual([3, 0]);
  expect(Array.from({ length: 7 }, () => queue.shift())).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3', undefined]);
  expect(queue.isEmpty).toBe(true);
});

test('an owner who is blocked keeps the place', () => {
  const queue = queueOf('a1', 'b1', 'b2');
  const isBlocked = (owner: string): boolean => owner === 'a';
  expect([queue.shift(isBlocked), queue.shift(), queue.shift(isBlocked), queue.shift()]).toEqual(['b1', 'a1', 'b2', undefined]);
});

test('first items can be taken without a turn', () => {
  const queue = queueOf('a1', 'a2', 'b2', 'b1', 'c1');
  expect([...queue.takeFirst((item) => item.endsWith('1'))]).toEqual([
    ['a', 'a1'],
    ['c', 'c1'],
  ]);
  expect([...queue.firsts()]).toEqual(['a2', 'b2']);
});
