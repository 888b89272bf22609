import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { RenewingLease } from './renewing-lease.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

class LeaseLost extends Error {}

const leaseOf = (renew: () => Promise<boolean>, outer: AbortSignal = new AbortController().signal): RenewingLease =>
  new RenewingLease({ leaseMs: 9_000, renew, outer, lost: () => new LeaseLost() });

test('a claim is renewed three times within its length, for as long as the work lasts', async () => {
  const renew = vi.fn(() => Promise.resolve(true));
  const lease = leaseOf(renew);
  await vi.advanceTimersByTimeAsync(9_000);
  expect(renew).toHaveBeenCalledTimes(3);
  lease[Symbol.dispose]();
  await vi.advanceTimersByTimeAsync(9_000);
  expect(renew).toHaveBeenCalledTimes(3);
  expect(lease.signal.aborted).toBe(false);
});

test('a claim that is gone ends the work at once', async () => {
  using lease = leaseOf(() => Promise.resolve(false));
  await vi.advanceTimersByTimeAsync(3_000);
  expect(lease.isLost).toBe(true);
  expect(lease.signal.reason).toBeInstanceOf(LeaseLost);
});

test('one renewal may fail; when storage stays away, the work ends while the claim still holds', async () => {
  using lease = leaseOf(() => Promise.reject(new Error('away')));
  await vi.advanceTimersByTimeAsync(3_000);
  expect(lease.isLost).toBe(false);
  await vi.advanceTimersByTimeAsync(3_000);
  expect(lease.isLost).toBe(true);
});

test.each([-7_200_000, 7_200_000])('the length of a claim does not depend on a clock of the day that steps by %d ms', async (stepMs) => {
  using lease = leaseOf(() => Promise.reject(new Error('away')));
  vi.setSystemTime(Date.now() + stepMs);
  await vi.advanceTimersByTimeAsync(3_000);
  expect(lease.isLost).toBe(false);
  await vi.advanceTimersByTimeAsync(3_000);
  expect(lease.isLost).toBe(true);
});

test('a process that stood still sees that its claim ran out before its timers run', async () => {
  using lease = leaseOf(() => Promise.resolve(true));
  await vi.advanceTimersByTimeAsync(3_000);
  lease.requireHeld();
  vi.spyOn(performance, 'now').mockReturnValueOnce(performance.now() + 9_000);
  expect(() => lease.requireHeld()).toThrow(LeaseLost);
});

test('the work also ends with the outer signal, and that is no lost claim', () => {
  const stop = new AbortController();
  using lease = leaseOf(() => Promise.resolve(true), stop.signal);
  stop.abort(new Error('stopping'));
  expect(lease.signal.aborted).toBe(true);
  expect(lease.isLost).toBe(false);
});
