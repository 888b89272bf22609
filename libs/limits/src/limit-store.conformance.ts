import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { uniqueName } from '#libs/testing';
import type { Demand, LimitStore } from './limit-store.js';

interface Harness {
  create(): Promise<LimitStore>;
  /** Lets so much time pass for the store. */
  pass(ms: number): Promise<void>;
}

/** The rules for each {@link LimitStore}. */
export function limitStoreConformance(name: string, harness: Harness): void {
  describe(`the limits of ${name}`, () => {
    let store: LimitStore;
    let scope: string;
    const demand = (more: Partial<Demand> = {}): Demand => ({ key: 'requests', perMinute: 6_000, cost: 1, spare: 0, ...more });
    const take = (...demands: Demand[]): Promise<number> => store.take(scope, demands);
    /** The units that came, by the rate, while the last burst was taken: a store may have the clock of a server. */
    let came: number;
    /** Takes until a demand has to wait, 1 000 times at most. */
    const burst = async (more: Partial<Demand> & Pick<Demand, 'perMinute'>): Promise<number> => {
      const startedMs = performance.now();
      let taken = 0;
      while (taken < 1_000 && (await take(demand(more))) === 0) taken += 1;
      came = Math.ceil(((performance.now() - startedMs) * more.perMinute) / 60_000);
      return taken;
    };

    beforeEach(async () => {
      scope = uniqueName('scope');
      store = await harness.create();
    });
    afterEach(() => store.close());

    it('let three hundredths of a minute be taken at once, and say when the next unit comes', async () => {
      const taken = await burst({ perMinute: 600 });
      expect(taken).toBeGreaterThanOrEqual(18);
      expect(taken).toBeLessThanOrEqual(18 + came);
      expect(await take(demand({ perMinute: 600 }))).toBeLessThanOrEqual(104);
    });

    it('let as much be taken at once as a demand says, and in a minute no more than its limit', async () => {
      const wide = { perMinute: 600, burst: 300 };
      const taken = await burst(wide);
      expect(taken).toBeGreaterThanOrEqual(300);
      expect(taken).toBeLessThanOrEqual(300 + came);
      const others = await burst(wide);
      expect(others, 'the others come evenly').toBeLessThanOrEqual(5 + came);
    });

    it('let units come evenly after that', async () => {
      await burst({ perMinute: 600 });
      await harness.pass(210);
      const taken = await burst({ perMinute: 600 });
      expect(taken).toBeGreaterThanOrEqual(2);
      expect(taken).toBeLessThanOrEqual(4 + came);
    });

    it('leave a share of the burst to those who may take all of it', async () => {
      const modest = await burst({ perMinute: 600, spare: 0.5 });
      expect(modest).toBeLessThanOrEqual(9 + came);
      expect(await burst({ perMinute: 600 }), 'the rest is there for others').toBeGreaterThanOrEqual(7);
    });

    it('take from all resources or from none', async () => {
      const tokens = demand({ key: 'tokens', perMinute: 60, cost: 100 });
      expect(await take(demand({ perMinute: 60 }), tokens), 'a demand beyond the burst is met when nothing was taken').toBe(0);
      expect(await take(demand({ key: 'others', perMinute: 60 }), { ...tokens, cost: 1 })).toBeGreaterThan(50_000);
      expect(await take(demand({ key: 'others', perMinute: 60 })), 'what had to wait took nothing').toBe(0);
    });

    it('meet a demand beyond the burst again and again, as soon as the one before is worked off', async () => {
      const large = demand({ perMinute: 6_000, cost: 300 });
      for (let time = 0; time < 5; time += 1) {
        const waitMs = await take(large);
        if (waitMs === 0) continue;
        await harness.pass(waitMs + 2);
        expect(await take(large)).toBe(0);
      }
    });

    it('give back what a demand did not need', async () => {
      const tokens = { key: 'tokens', perMinute: 600 };
      expect(await take({ ...tokens, cost: 600, spare: 0 })).toBe(0);
      expect(await take({ ...tokens, cost: 10, spare: 0 })).toBeGreaterThan(30_000);
      await store.settle(scope, { ...tokens, cost: -600 });
      expect(await take({ ...tokens, cost: 10, spare: 0 })).toBe(0);
    });

    it('take afterwards what a demand needed beyond it', async () => {
      const tokens = { key: 'tokens', perMinute: 600 };
      await take({ ...tokens, cost: 1, spare: 0 });
      await store.settle(scope, { ...tokens, cost: 600 });
      expect(await take({ ...tokens, cost: 1, spare: 0 })).toBeGreaterThan(50_000);
    });

    it('spread what is left until the resource is whole again, and take no more', async () => {
      const wide = { perMinute: 600, burst: 100 };
      await store.note(scope, { key: 'requests', left: 10, forMs: 2_000 });
      expect(await take(demand(wide))).toBe(0);
      const waitMs = await take(demand(wide));
      expect(waitMs, 'nine more in two seconds').toBeGreaterThan(120);
      expect(waitMs).toBeLessThanOrEqual(300);
      for (let ms = waitMs; ms > 0; ms = await take(demand(wide))) await harness.pass(ms + 1);
      expect(await take(demand({ ...wide, cost: 9 })), 'more than is left').toBeGreaterThan(0);
      await harness.pass(2_000);
      expect(await burst(wide), 'it is whole again').toBeGreaterThan(50);
    });

    it('take nothing while nothing is left, also not with a demand that is larger than any burst', async () => {
      await store.note(scope, { key: 'tokens', left: 50, forMs: 400 });
      const tokens = demand({ key: 'tokens', perMinute: 600, cost: 51 });
      const waitMs = await take(demand(), tokens);
      expect(waitMs).toBeGreaterThan(200);
      await harness.pass(waitMs + 2);
      expect(await take(demand(), tokens)).toBe(0);
    });

    it('take what is left for less with time, by as much as others may have taken', async () => {
      await store.note(scope, { key: 'requests', left: 5, forMs: 2_000 });
      await harness.pass(600); // others may have taken 6 at 600 a minute
      expect(await take(demand({ perMinute: 600 }))).toBeGreaterThan(1_000);
    });

    it('go by the newest note, and change nothing where more is left than the rate takes', async () => {
      await store.note(scope, { key: 'requests', left: 0, forMs: 60_000 });
      expect(await take(demand({ perMinute: 600 }))).toBeGreaterThan(59_000);
      await store.note(scope, { key: 'requests', left: 590, forMs: 1_000 });
      const taken = await burst({ perMinute: 600 });
      expect(taken).toBeGreaterThanOrEqual(18);
      expect(taken).toBeLessThanOrEqual(18 + came);
    });

    it('hold everybody back while a scope is blocked, and no other scope', async () => {
      await store.block(scope, 5_000);
      await store.block(scope, 50);
      const waitMs = await take(demand());
      expect(waitMs).toBeGreaterThan(4_000);
      expect(waitMs).toBeLessThanOrEqual(5_000);
      expect(await store.take(`${scope}-other`, [demand()])).toBe(0);
    });

    it('end a block by themselves', async () => {
      await store.block(scope, 30);
      await harness.pass(40);
      expect(await take(demand())).toBe(0);
    });
  });
}
