import { expect, test, vi } from 'vitest';
import { BoundedQueue } from './bounded-queue.js';

const queueOf = (limit: number, onEnd = vi.fn<() => void>()) => ({
  queue: new BoundedQueue<string>(limit, () => 'too slow', onEnd),
  onEnd,
});

test('a waiting reader gets an item at once, and others are kept in order', async () => {
  const { queue } = queueOf(2);
  const waiting = queue.next();
  queue.push('a');
  queue.push('b');
  queue.push('c');
  expect(await waiting).toEqual({ value: 'a', done: false });
  expect(await queue.next()).toEqual({ value: 'b', done: false });
  expect(await queue.next()).toEqual({ value: 'c', done: false });
});

test('a reader that falls behind the limit is told so, and then the queue ends', async () => {
  const { queue, onEnd } = queueOf(2);
  for (const item of ['a', 'b', 'c', 'd']) queue.push(item);
  expect(await queue.next()).toEqual({ value: 'too slow', done: false });
  expect(await queue.next()).toEqual({ value: undefined, done: true });
  expect(onEnd).toHaveBeenCalledTimes(1);
});

test('a reader that leaves ends the queue, also while it waits', async () => {
  const { queue, onEnd } = queueOf(2);
  const waiting = queue.next();
  await queue.return();
  expect(await waiting).toEqual({ value: undefined, done: true });
  queue.push('late');
  expect(await queue.next()).toEqual({ value: undefined, done: true });
  expect(onEnd).toHaveBeenCalledTimes(1);
});
