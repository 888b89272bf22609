import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { delayBefore, standardRetry } from './retry-policy.js';

const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const policy = fc.record({
  retries: fc.integer({ min: 0, max: 20 }),
  initialDelayMs: fc.integer({ min: 1, max: 10_000 }),
  factor: fc.double({ min: 1, max: 4, noNaN: true }),
  maxDelayMs: fc.integer({ min: 10_000, max: 600_000 }),
  jitter: fc.double({ min: 0, max: 1, noNaN: true }),
});

describe('delayBefore', () => {
  it('doubles from one second up to sixteen under the standard policy when nothing is random', () => {
    const delays = [1, 2, 3, 4, 5].map((retry) => delayBefore(standardRetry, retry, { random: () => 0 }));
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 16_000]);
  });

  it('takes away at most half under the standard policy', () => {
    expect(delayBefore(standardRetry, 1, { random: () => 0.999_999 })).toBe(500);
  });

  it('never exceeds the cap of the policy, however many retries there were', () => {
    expect(delayBefore(standardRetry, 5_000, { random: () => 0 })).toBe(60_000);
  });

  it('keeps every delay between the unjittered one and its shortest form', () => {
    fc.assert(
      fc.property(policy, fc.integer({ min: 1, max: 100 }), fraction, (any, retry, random) => {
        const full = delayBefore({ ...any, jitter: 0 }, retry);
        const delay = delayBefore(any, retry, { random: () => random });
        expect(delay).toBeLessThanOrEqual(full);
        expect(delay).toBeGreaterThanOrEqual(Math.floor(full * (1 - any.jitter)) - 1);
      }),
    );
  });

  it('never comes back before the time the other side asked for, nor more than a fifth after it', () => {
    fc.assert(
      fc.property(
        policy,
        fc.integer({ min: 1, max: 20 }),
        fraction,
        fc.integer({ min: 0, max: 3_600_000 }),
        (any, retry, random, asked) => {
          const delay = delayBefore(any, retry, { retryAfterMs: asked, random: () => random });
          const own = delayBefore(any, retry, { random: () => random });
          expect(delay).toBeGreaterThanOrEqual(asked);
          expect(delay).toBeLessThanOrEqual(Math.max(own, Math.ceil(asked * 1.2) + 1));
        },
      ),
    );
  });

  it('waits no longer than a day and its jitter, whatever the other side asks for', () => {
    for (const retryAfterMs of [86_400_001, 3_000_000_000, 31_536_000_000, Infinity]) {
      expect(delayBefore(standardRetry, 1, { retryAfterMs, random: () => 0 })).toBe(86_400_000);
    }
  });

  it('spreads the callers that one Retry-After turned away', () => {
    const early = delayBefore(standardRetry, 1, { retryAfterMs: 30_000, random: () => 0 });
    const late = delayBefore(standardRetry, 1, { retryAfterMs: 30_000, random: () => 0.99 });
    expect(early).toBe(30_000);
    expect(late).toBeGreaterThan(early);
  });
});
