import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { concurrencyShares } from './concurrency-shares.js';

test('what a destination would not take is left to the others', () => {
  const calm = { underWay: 0, concurrency: 16 };
  expect(concurrencyShares([calm, calm, { underWay: 10, concurrency: 16 }], 128, 128)).toEqual([16, 16, 6]);
});

test('one alone gets half of the process, and keeps to it', () => {
  expect(concurrencyShares([{ underWay: 0, concurrency: 100 }], 128, 128)).toEqual([64]);
  expect(concurrencyShares([{ underWay: 64, concurrency: 100 }], 64, 128)).toEqual([0]);
});

test('however many hang, one that has nothing under way gets through', () => {
  const underWay: number[] = [];
  for (;;) {
    const free = 128 - underWay.reduce((sum, some) => sum + some, 0);
    const [share] = concurrencyShares([{ underWay: 0, concurrency: 16 }], free, 128);
    underWay.push(share!);
    if (underWay.length === 16) break;
  }
  const free = 128 - underWay.reduce((sum, some) => sum + some, 0);
  expect(free).toBeGreaterThan(0);
  const waiting = underWay.map((some) => ({ underWay: some, concurrency: 16 }));
  expect(concurrencyShares([...waiting, { underWay: 0, concurrency: 16 }], free, 128)).toEqual([...waiting.map(() => 0), 1]);
});

test('nobody gets more than is free, and whatever is due, somebody with nothing under way gets something', () => {
  const loads = fc.array(fc.record({ underWay: fc.integer({ min: 0, max: 64 }), concurrency: fc.integer({ min: 1, max: 100 }) }), {
    minLength: 1,
    maxLength: 200,
  });
  fc.assert(
    fc.property(loads, fc.integer({ min: 1, max: 256 }), fc.integer({ min: 0, max: 256 }), (some, total, busy) => {
      const free = Math.max(0, total - busy);
      const shares = concurrencyShares(some, free, total);
      expect(shares.reduce((sum, share) => sum + share, 0)).toBeLessThanOrEqual(free);
      expect(Math.min(...shares)).toBeGreaterThanOrEqual(0);
      if (free > 0 && some.some(({ underWay }) => underWay === 0)) expect(Math.max(...shares)).toBeGreaterThan(0);
    }),
  );
});
