import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RedisLink } from '#libs/redis';
import { hasRedis, startRedis, uniqueName, waitFor } from '#libs/testing';
import type { RedisServer } from '#libs/testing';
import { sleep } from '#libs/time';
import { limitStoreConformance } from './limit-store.conformance.js';
import type { Demand } from './limit-store.js';
import { MemoryLimitStore } from './memory-limit.store.js';
import { RedisLimitStore } from './redis-limit.store.js';
import { SharedLimitStore } from './shared-limit.store.js';

let skippedMs = 0;
limitStoreConformance('one process', {
  create: () => Promise.resolve(new MemoryLimitStore(() => performance.now() + skippedMs)),
  pass: (ms) => Promise.resolve(void (skippedMs += ms)),
});

describe.runIf(hasRedis())('over Redis', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());
  const store = (process = uniqueName('process')): RedisLimitStore => new RedisLimitStore(new RedisLink({ url: redis.url }), process);
  // The clock is that of Redis.
  const pass = (ms: number): Promise<void> => sleep(ms);

  limitStoreConformance('Redis', { create: () => Promise.resolve(store()), pass });
  limitStoreConformance('processes that share them', { create: () => Promise.resolve(new SharedLimitStore(store())), pass });

  it('are shared by all processes: they take no more together than one would', async () => {
    const stores = Array.from({ length: 4 }, () => store());
    const scope = uniqueName('scope');
    const demand: Demand = { key: 'requests', perMinute: 600, cost: 1, spare: 0 };
    const answers = await Promise.all(Array.from({ length: 80 }, (_, at) => stores[at % 4]!.take(scope, [demand])));
    const taken = answers.filter((waitMs) => waitMs === 0).length;
    expect(taken).toBeGreaterThanOrEqual(18);
    expect(taken).toBeLessThanOrEqual(20);
    await Promise.all(stores.map((one) => one.close()));
  });

  it('leave nothing behind once it limits nothing any more', async () => {
    const one = store();
    const demand: Demand = { key: 'requests', perMinute: 60_000, cost: 1, spare: 0 };
    await one.take(uniqueName('scope'), [demand]);
    expect(await one.countProcesses()).toBeGreaterThan(0);
    await one.close();
  });

  describe('that is away', () => {
    let shared: SharedLimitStore;
    let scope: string;
    const demand: Demand = { key: 'requests', perMinute: 600, cost: 1, spare: 0 };
    const burst = async (): Promise<number> => {
      for (let taken = 0; ; taken += 1) if ((await shared.take(scope, [demand])) > 0) return taken;
    };
    beforeEach(() => {
      scope = uniqueName('scope');
      shared = new SharedLimitStore(store());
    });
    afterEach(() => shared.close());

    it('leaves each process its share, less a fifth, and is used again when it is back', async () => {
      await shared.take(scope, [demand]);
      await redis.stop();
      expect(await burst(), 'four fifths of the burst of 18').toBeLessThanOrEqual(16);
      await redis.restart();
      const other = store();
      await waitFor(
        async () => {
          await shared.take('back', [{ ...demand, perMinute: 1 }]);
          return (await other.take('back', [{ ...demand, perMinute: 1 }])) > 0;
        },
        { what: 'Redis to be used again' },
      );
      await other.close();
    });

    it('keeps no caller waiting if it does not answer', async () => {
      await shared.take(scope, [demand]);
      redis.pause();
      try {
        const startedAt = performance.now();
        expect(await burst()).toBeGreaterThan(0);
        expect(performance.now() - startedAt).toBeLessThan(5_000);
      } finally {
        redis.resume();
      }
    });

    it('keeps a block that was known before', async () => {
      await shared.block(scope, 60_000);
      await redis.stop();
      expect(await shared.take(scope, [demand])).toBeGreaterThan(1_000);
      await redis.restart();
    });
  });

  it('that was never there lets a process start, with all of the limit', async () => {
    const shared = new SharedLimitStore(new RedisLimitStore(new RedisLink({ url: 'redis://127.0.0.1:1' }), 'one'));
    expect(await shared.take('scope', [{ key: 'requests', perMinute: 600, cost: 1, spare: 0 }])).toBe(0);
    await shared.close();
  });
});
