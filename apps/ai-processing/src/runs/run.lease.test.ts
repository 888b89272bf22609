import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { RunLeaseLost } from './run.errors.js';
import { RunLease } from './run.lease.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const outer = (): AbortSignal => new AbortController().signal;

test('a claim is renewed three times within its length, for as long as the work lasts', async () => {
  const renew = vi.fn(() => Promise.resolve(true));
  const lease = new RunLease('run_1', 9_000, renew, outer());
  await vi.advanceTimersByTimeAsync(9_000);
  expect(renew).toHaveBeenCalledTimes(3);
  lease[Symbol.dispose]();
  await vi.advanceTimersByTimeAsync(9_000);
  expect(renew).toHaveBeenCalledTimes(3);
  expect(lease.signal.aborted).toBe(false);
});

test('a claim that is gone ends the work at once', async () => {
  using lease = new RunLease('run_1', 9_000, () => Promise.resolve(false), outer());
  await vi.advanceTimersByTimeAsync(3_000);
  expect(lease.isLost).toBe(true);
  expect(lease.signal.reason).toBeInstanceOf(RunLeaseLost);
});

test('one renewal may fail; when storage stays away, the work ends while the claim still holds', async () => {
  using lease = new RunLease('run_1', 9_000, () => Promise.reject(new Error('away')), outer());
  await vi.advanceTimersByTimeAsync(3_000);
  expect(lease.isLost).toBe(false);
  await vi.advanceTimersByTimeAsync(3_000);
  expect(lease.isLost).toBe(true);
});

test('the work also ends with the signal of the record, and that is no lost claim', () => {
  const stop = new AbortController();
  using lease = new RunLease('run_1', 9_000, () => Promise.resolve(true), stop.signal);
  stop.abort(new Error('stopping'));
  expect(lease.signal.aborted).toBe(true);
  expect(lease.isLost).toBe(false);
});
