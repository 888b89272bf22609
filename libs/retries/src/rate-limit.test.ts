import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { afterCalls, callsAllowed, untilAllowedMs } from './rate-limit.js';

test('one per second is one now, and the next a second later', () => {
  const limit = { perSecond: 1 };
  expect(callsAllowed(limit, 0, 10_000)).toBe(1);
  const nextDueMs = afterCalls(limit, 0, 10_000, 1);
  expect(callsAllowed(limit, nextDueMs, 10_999)).toBe(0);
  expect(untilAllowedMs(limit, nextDueMs, 10_400)).toBe(600);
  expect(callsAllowed(limit, nextDueMs, 11_000)).toBe(1);
});

test('what was not used for hours is no more than a tenth of a second’s worth', () => {
  expect(callsAllowed({ perSecond: 200 }, 0, 3_600_000)).toBe(20);
});

test('over any time no more calls begin than the rate says and the tenth of a second that is kept', () => {
  const asks = fc.array(fc.tuple(fc.integer({ min: 0, max: 500 }), fc.integer({ min: 1, max: 50 })), { minLength: 1 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 500 }), asks, (perSecond, steps) => {
      let [nowMs, nextDueMs, begun] = [0, 0, 0];
      for (const [passMs, wanted] of steps) {
        nowMs += passMs;
        const calls = Math.min(wanted, callsAllowed({ perSecond }, nextDueMs, nowMs));
        nextDueMs = afterCalls({ perSecond }, nextDueMs, nowMs, calls);
        begun += calls;
        expect(begun).toBeLessThanOrEqual((nowMs * perSecond) / 1_000 + Math.max(1, perSecond / 10) + 0.001);
      }
    }),
  );
});

test('when the wait is over, a call may begin', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1_000 }), fc.integer({ min: 0, max: 5_000 }), (perSecond, aheadMs) => {
      const waitMs = untilAllowedMs({ perSecond }, 1_000_000 + aheadMs, 1_000_000);
      expect(callsAllowed({ perSecond }, 1_000_000 + aheadMs, 1_000_000 + waitMs)).toBeGreaterThanOrEqual(1);
    }),
  );
});
