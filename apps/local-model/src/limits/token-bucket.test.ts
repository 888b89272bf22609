import * as fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { TokenBucket } from './token-bucket.js';

let now: number;
let bucket: TokenBucket;
beforeEach(() => {
  now = 0;
  bucket = new TokenBucket(60, () => now);
});

describe('a token bucket', () => {
  it('gives what it has, then makes callers wait for the refill', () => {
    bucket.take(60);
    expect(bucket.waitMsFor(1)).toBe(1_000);
    now += 1_000;
    expect(bucket.waitMsFor(1)).toBe(0);
  });

  it('refills evenly, and never beyond its limit', () => {
    bucket.take(30);
    now += 10_000;
    expect(bucket.remaining).toBe(40);
    now += 3_600_000;
    expect(bucket.remaining).toBe(60);
    expect(bucket.resetMs).toBe(0);
  });

  it('can be overdrawn, and then takes longer', () => {
    bucket.take(120);
    expect(bucket.remaining).toBe(0);
    expect(bucket.waitMsFor(1)).toBe(61_000);
    expect(bucket.resetMs).toBe(120_000);
  });

  it('lets a cost above its limit through when it is full', () => {
    expect(bucket.waitMsFor(1_000)).toBe(0);
    bucket.take(10);
    expect(bucket.waitMsFor(1_000)).toBe(10_000);
  });

  it('never gives more than its limit and its refill together', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 1, max: 20 })), { maxLength: 200 }),
        (requests) => {
          now = 0;
          const fresh = new TokenBucket(60, () => now);
          let given = 0;
          for (const [pauseMs, cost] of requests) {
            now += pauseMs;
            if (fresh.waitMsFor(cost) > 0) continue;
            fresh.take(cost);
            given += cost;
          }
          expect(given).toBeLessThanOrEqual(60 + now / 1_000 + 1e-6);
        },
      ),
    );
  });
});
