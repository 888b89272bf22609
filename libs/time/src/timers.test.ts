import { afterEach, beforeEach, describe, expect, it, test, vi } from 'vitest';
import { longestTimerMs, sleep, startInterval, startTimer, timeoutSignal, waitAtMost } from './timers.js';

describe('sleep', () => {
  it('resolves after its time', async () => {
    await expect(sleep(1)).resolves.toBeUndefined();
  });

  it('throws the reason of a signal that aborts meanwhile, at once', async () => {
    const controller = new AbortController();
    const waiting = sleep(3_600_000, controller.signal);
    controller.abort(new Error('shutting down'));
    await expect(waiting).rejects.toThrow('shutting down');
  });

  it('does not begin under a signal that has already aborted', async () => {
    await expect(sleep(0, AbortSignal.abort(new Error('too late')))).rejects.toThrow('too late');
  });
});

describe('a delay beyond the longest one of Node', () => {
  const warnings: string[] = [];
  const note = (warning: Error): void => void warnings.push(warning.name);
  beforeEach(() => {
    warnings.length = 0;
    process.on('warning', note);
  });
  afterEach(() => void process.off('warning', note));

  it.each([2 ** 31, 3_000_000_000, 31_536_000_000, Infinity])('of %d ms does not end at once, and Node does not warn', async (ms) => {
    const stop = new AbortController();
    const ended = vi.fn();
    const timers = [startTimer(ended, ms), startInterval(ended, ms)];
    const timeout = timeoutSignal(ms);
    const slept = sleep(ms, stop.signal).then(ended, () => undefined);
    const waited = waitAtMost(ms, new Promise((resolve) => stop.signal.addEventListener('abort', () => resolve(ended))));
    await sleep(5);
    expect([ended.mock.calls.length, timeout.aborted, warnings]).toEqual([0, false, []]);
    for (const timer of timers) clearTimeout(timer);
    stop.abort();
    await Promise.all([slept, waited]);
  });
});

describe('a delay that is not a number', () => {
  it.each([
    ['startTimer', () => startTimer(() => undefined, Number.NaN)],
    ['startInterval', () => startInterval(() => undefined, Number.NaN)],
    ['timeoutSignal', () => timeoutSignal(Number.NaN)],
  ])('is a defect of the caller of %s', (_, start) => {
    expect(start).toThrow(RangeError);
  });
});

describe('with time moved by hand', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
  afterEach(() => void vi.useRealTimers());

  test('the longest timer ends after the longest time, not before', async () => {
    const ended = vi.fn();
    startTimer(ended, Infinity);
    await vi.advanceTimersByTimeAsync(longestTimerMs - 1);
    expect(ended).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(ended).toHaveBeenCalledOnce();
  });

  test('work that takes longer is not waited for, and leaves no timer', async () => {
    const waiting = waitAtMost(1_000, new Promise(() => undefined));
    await vi.advanceTimersByTimeAsync(1_000);
    await waiting;
    await waitAtMost(1_000, Promise.resolve());
    expect(vi.getTimerCount()).toBe(0);
    await expect(waitAtMost(1_000, Promise.reject(new Error('refused')))).rejects.toThrow('refused');
  });
});
