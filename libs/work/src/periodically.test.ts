import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Periodically } from './periodically.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('a chore that fails comes again all the same', async () => {
  const chore = vi.fn(() => Promise.reject(new Error('storage is away')));
  const periodically = new Periodically('a chore', 1_000, chore);
  periodically.start();
  await vi.advanceTimersByTimeAsync(3_000);
  expect(chore).toHaveBeenCalledTimes(3);
  await periodically.stop();
});

test('one at a time: the next one starts its wait when this one is over, and a stop waits for it', async () => {
  const over = Promise.withResolvers<void>();
  const chore = vi.fn(() => over.promise);
  const periodically = new Periodically('a chore', 1_000, chore);
  periodically.start();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(chore).toHaveBeenCalledTimes(1);
  const stopped = periodically.stop();
  over.resolve();
  await stopped;
  await vi.advanceTimersByTimeAsync(5_000);
  expect(chore).toHaveBeenCalledTimes(1);
});

test('a chore that is asked for at once begins at the start, and its signal aborts at the stop', async () => {
  const chore = vi.fn((signal: AbortSignal) => new Promise<void>((end) => signal.addEventListener('abort', () => end())));
  const periodically = new Periodically('a chore', 1_000, chore, { atOnce: true });
  periodically.start();
  expect(chore).toHaveBeenCalledTimes(1);
  await periodically.stop();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(chore).toHaveBeenCalledTimes(1);
});
