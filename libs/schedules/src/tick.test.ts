import { expect, test } from 'vitest';
import { jitterOf, tickEventId } from './tick.js';

test('the event of a tick is named by schedule and instant, in UTC', () => {
  expect(tickEventId({ schedule: 'nightly', atMs: Date.parse('2026-05-01T02:30:00+02:00') })).toBe(
    'schedule:nightly:2026-05-01T00:30:00.000Z',
  );
});

test('the jitter of a tick is the same each time, within its bound, and differs between schedules and ticks', () => {
  const tick = { tenant: 'acme', schedule: 'nightly', atMs: 0 };
  const drawn = Array.from({ length: 200 }, (_, at) => jitterOf({ ...tick, atMs: at * 60_000 }, 1_000));
  expect(drawn).toEqual(Array.from({ length: 200 }, (_, at) => jitterOf({ ...tick, atMs: at * 60_000 }, 1_000)));
  expect(Math.min(...drawn)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...drawn)).toBeLessThanOrEqual(1_000);
  expect(new Set(drawn).size).toBeGreaterThan(100);
  expect(jitterOf({ ...tick, schedule: 'other' }, 1_000_000)).not.toBe(jitterOf(tick, 1_000_000));
  expect(jitterOf(tick, 0)).toBe(0);
});
