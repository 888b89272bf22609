import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { onStopSignal } from './stop-signal.js';

let signal: () => void;
const exit = vi.fn();

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout'] });
  vi.spyOn(process, 'on').mockImplementation((_event, handle) => {
    signal = handle as () => void;
    return process;
  });
  vi.spyOn(process, 'exit').mockImplementation(exit as never);
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  exit.mockClear();
});

test('one Ctrl-C that comes from the terminal and once more from npm stops once, and in peace', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = vi.fn(() => promise);
  onStopSignal(stop, 25_000);
  signal();
  signal();
  expect([stop.mock.calls.length, exit.mock.calls.length]).toEqual([1, 0]);
  resolve();
  await vi.waitFor(() => expect(exit).toHaveBeenCalledExactlyOnceWith(0));
});

test('a person who asks again does not have to wait', () => {
  onStopSignal(() => new Promise(() => undefined), 25_000);
  signal();
  vi.advanceTimersByTime(1_000);
  signal();
  expect(exit).toHaveBeenCalledExactlyOnceWith(1);
});

test('a stop that hangs ends with the time it has', () => {
  onStopSignal(() => new Promise(() => undefined), 25_000);
  signal();
  vi.advanceTimersByTime(24_999);
  expect(exit).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(exit).toHaveBeenCalledExactlyOnceWith(1);
});
