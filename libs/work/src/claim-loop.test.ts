/* eslint-disable vitest/no-standalone-expect -- the model checks itself within the one test */
import * as fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { setLogLevel } from '#libs/tracing';
import { ClaimLoop } from './claim-loop.js';
import type { Claimed } from './claim-loop.js';
import type { Lease } from './lease.js';

const leaseMs = 3_000;
const pollMs = 500;
const stopMs = 400;
const concurrency = 3;
/** Every statement of the model's storage takes this long: time in which other things happen. */
const statementMs = 7;

interface Item {
  readonly id: number;
  fence: number;
  leaseUntilMs: number;
  isDone: boolean;
}
interface ItemClaim {
  readonly item: Item;
  readonly fence: number;
}

class ClaimLost extends Error {}

const wait = (ms: number): Promise<void> => new Promise((over) => setTimeout(over, ms));

/** The table that the processes share: leases and fences, as `delivery` and `bulk_operation` have them. */
class ModelTable {
  readonly items: Item[] = [];
  isAway = false;
  awaySinceMs = -Infinity;

  add(): void {
    this.items.push({ id: this.items.length, fence: 0, leaseUntilMs: -1, isDone: false });
  }

  async claim(free: number): Promise<ItemClaim[]> {
    await this.statement();
    const due = this.items.filter(({ isDone, leaseUntilMs }) => !isDone && leaseUntilMs < performance.now()).slice(0, free);
    const claims = due.map((item) => this.take(item));
    await wait(statementMs);
    return claims;
  }

  take(item: Item): ItemClaim {
    item.fence += 1;
    item.leaseUntilMs = performance.now() + leaseMs;
    return { item, fence: item.fence };
  }

  async renew(claims: readonly ItemClaim[]): Promise<ItemClaim[]> {
    await this.statement();
    const held = claims.filter((claim) => this.holds(claim));
    for (const { item } of held) item.leaseUntilMs = performance.now() + leaseMs;
    await wait(statementMs);
    return held;
  }

  holds({ item, fence }: ItemClaim): boolean {
    return item.fence === fence && !item.isDone && item.leaseUntilMs >= 0;
  }

  settle(claim: ItemClaim, isDone: boolean): void {
    if (!this.holds(claim)) return;
    if (isDone) claim.item.isDone = true;
    else claim.item.leaseUntilMs = -1;
  }

  private async statement(): Promise<void> {
    await wait(statementMs);
    if (this.isAway) throw new Error('storage is away');
  }
}

interface Work {
  readonly claim: ItemClaim;
  readonly lease: Lease;
  readonly end: (isDone: boolean) => void;
  readonly crash: () => void;
}

/** One process: work goes on until the test ends it, or until its signal aborts. */
class Process {
  readonly works = new Set<Work>();
  readonly claimed = new Set<ItemClaim>();
  claimsAskedFor = 0;
  begun = 0;
  stopAskedAtMs: number | undefined;
  stopped: Promise<void> | undefined;
  isStopped = false;
  readonly loop: ClaimLoop<ItemClaim>;

  constructor(private readonly table: ModelTable) {
    this.loop = new ClaimLoop<ItemClaim>({
      what: 'items',
      concurrency,
      leaseMs,
      pollMs,
      stopMs,
      claim: async (free) => {
        expect(free).toBe(concurrency - this.works.size);
        expect(this.stopAskedAtMs).toBeUndefined();
        this.claimsAskedFor += 1;
        const claims = await table.claim(free);
        for (const claim of claims) this.claimed.add(claim);
        return { claims };
      },
      renew: (claims) => table.renew(claims),
      work: (claim, lease) => this.work(claim, lease),
      lost: () => new ClaimLost(),
    });
    this.loop.start();
  }

  stop(): void {
    if (this.stopped !== undefined) return;
    this.stopAskedAtMs = performance.now();
    this.stopped = this.loop.stop().then(() => void (this.isStopped = true));
  }

  private async work(claim: ItemClaim, lease: Lease): Promise<void> {
    expect(this.claimed.has(claim)).toBe(true);
    this.begun += 1;
    const over = Promise.withResolvers<boolean>();
    const work: Work = { claim, lease, end: over.resolve, crash: () => over.reject(new Error('a defect')) };
    this.works.add(work);
    lease.signal.addEventListener('abort', () => over.resolve(false));
    try {
      this.table.settle(claim, await over.promise);
    } finally {
      this.works.delete(work);
    }
  }
}

type Step =
  | { readonly what: 'add'; readonly wake: number | null }
  | { readonly what: 'pass'; readonly ms: number }
  | { readonly what: 'end' | 'giveBack' | 'crash' | 'steal'; readonly pick: number }
  | { readonly what: 'storage'; readonly isAway: boolean }
  | { readonly what: 'stop'; readonly process: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ what: fc.constant('add' as const), wake: fc.option(fc.nat(1)) }) },
  { weight: 6, arbitrary: fc.record({ what: fc.constant('pass' as const), ms: fc.oneof(fc.nat(30), fc.nat(leaseMs)) }) },
  {
    weight: 5,
    arbitrary: fc.record({ what: fc.constantFrom('end', 'end', 'giveBack', 'crash', 'steal'), pick: fc.nat(5) }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('storage' as const), isAway: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('stop' as const), process: fc.nat(1) }) },
);

/** The longest time until a process hears of a lost claim: a third of the lease, and one renewal under way at that moment. */
const heardOfLossMs = leaseMs / 3 + 4 * statementMs;

class Model {
  readonly table = new ModelTable();
  readonly processes = [new Process(this.table), new Process(this.table)];
  private readonly lostSinceMs = new Map<Work, number>();

  private works(): Work[] {
    return this.processes.flatMap(({ works }) => [...works]);
  }

  async run(one: Step): Promise<void> {
    if (one.what === 'add') await this.add(one.wake);
    else if (one.what === 'pass') await this.pass(one.ms);
    else if (one.what === 'stop') this.processes[one.process]!.stop();
    else if (one.what === 'storage') this.setAway(one.isAway);
    else this.actOn(one.what, one.pick);
    await vi.advanceTimersByTimeAsync(0); // what follows at once has followed
    this.check();
  }

  private async add(wake: number | null): Promise<void> {
    this.table.add();
    if (wake === null) return;
    const { loop, begun, works, stopAskedAtMs } = this.processes[wake]!;
    const hasRoom = works.size < concurrency && stopAskedAtMs === undefined && !this.table.isAway;
    const due = this.table.items.filter(({ isDone, leaseUntilMs }) => !isDone && leaseUntilMs < performance.now());
    loop.wake();
    if (!hasRoom) return;
    await this.pass(4 * statementMs); // the look under way ends, then the one that the wake asked for
    const taken = this.processes[wake]!.begun > begun || due.every(({ leaseUntilMs }) => leaseUntilMs >= 0);
    expect(taken, 'a loop that was woken claims at once').toBe(true);
  }

  private setAway(isAway: boolean): void {
    if (this.table.isAway === isAway) return;
    this.table.isAway = isAway;
    this.table.awaySinceMs = performance.now();
  }

  private actOn(what: 'end' | 'giveBack' | 'crash' | 'steal', pick: number): void {
    const works = this.works();
    const work = works[pick % Math.max(1, works.length)];
    if (work === undefined) return;
    if (what === 'crash') work.crash();
    else if (what === 'steal') this.table.take(work.claim.item);
    else work.end(what === 'end');
  }

  /** In small steps, so that the state is checked between any two events. */
  private async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 10) {
      await vi.advanceTimersByTimeAsync(Math.min(left, 10));
      this.check();
    }
  }

  private check(): void {
    for (const process of this.processes) {
      expect(process.works.size).toBeLessThanOrEqual(concurrency);
      expect(new Set(process.loop.underWay())).toEqual(new Set([...process.works].map(({ claim }) => claim)));
      if (process.isStopped) expect(process.works.size).toBe(0);
      const abortDueMs = (process.stopAskedAtMs ?? Infinity) + stopMs + 4 * statementMs;
      if (performance.now() > abortDueMs) expect(process.works.size, 'a stop aborts what does not end by itself').toBe(0);
    }
    for (const work of this.works()) this.checkHold(work);
  }

  private checkHold(work: Work): void {
    const { claim, lease } = work;
    const nowMs = performance.now();
    if (!this.table.holds(claim)) {
      if (!this.lostSinceMs.has(work)) this.lostSinceMs.set(work, nowMs);
      const sinceMs = Math.max(this.lostSinceMs.get(work)!, this.table.awaySinceMs);
      if (!this.table.isAway) expect(nowMs - sinceMs, 'work on a lost claim is aborted').toBeLessThanOrEqual(heardOfLossMs + 10);
      return;
    }
    // A process never believes that its lease lasts longer than storage does.
    expect(lease.endsAtMs).toBeLessThanOrEqual(claim.item.leaseUntilMs);
    if (!this.table.isAway && nowMs - this.table.awaySinceMs > heardOfLossMs)
      expect(lease.endsAtMs, 'a claim is renewed long before it ends').toBeGreaterThan(nowMs + leaseMs / 2);
  }

  /** Storage is back, and work ends by itself: everything gets done, and nothing is left running. */
  async finish(): Promise<void> {
    this.setAway(false);
    const isLive = this.processes.some(({ stopAskedAtMs }) => stopAskedAtMs === undefined);
    if (isLive) {
      for (let round = 0; round < 100 && this.table.items.some(({ isDone }) => !isDone); round += 1) {
        for (const work of this.works()) work.end(true);
        await this.pass(pollMs);
      }
      expect(this.table.items.every(({ isDone }) => isDone)).toBe(true);
    }
    const asked = this.processes.map((process) => {
      process.stop();
      return process.claimsAskedFor;
    });
    await this.pass(stopMs + 10 * statementMs);
    for (const { stopped } of this.processes) await stopped;
    expect(this.processes.map(({ claimsAskedFor }) => claimsAskedFor)).toEqual(asked);
    expect(this.processes.map(({ begun }) => begun)).toEqual(this.processes.map(({ claimed }) => claimed.size));
    expect(vi.getTimerCount()).toBe(0);
  }
}

beforeAll(() => setLogLevel('silent'));
afterAll(() => setLogLevel('info'));
beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('whatever happens in which order: claims are begun at once, renewed, aborted when lost, and ended by a stop', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      vi.clearAllTimers();
      const model = new Model();
      for (const one of steps) await model.run(one);
      await model.finish();
    }),
    { numRuns: 100 },
  );
}, 60_000);

/** A loop that notes when it looks, in ms since its start. */
function lookingLoop(answer: (look: number) => Claimed<object>, work = (): Promise<void> => Promise.resolve()) {
  const looks: number[] = [];
  const startedAtMs = performance.now();
  const loop = new ClaimLoop<object>({
    what: 'items',
    concurrency,
    leaseMs,
    pollMs,
    stopMs,
    claim: () => {
      looks.push(performance.now() - startedAtMs);
      return Promise.resolve(answer(looks.length));
    },
    renew: (claims) => Promise.resolve(claims),
    work,
    lost: () => new ClaimLost(),
  });
  loop.start();
  return { loop, looks };
}

test('a loop that nobody wakes looks again after the time that the last look named, and after the poll interval at the latest', async () => {
  const { loop, looks } = lookingLoop((look) => ({ claims: [], againInMs: look === 1 ? 100 : undefined }));
  await vi.advanceTimersByTimeAsync(1_200);
  expect(looks).toEqual([0, 100, 600, 1_100]);
  await loop.stop();
});

test('looks that find nothing although their time had come are ever further apart, until the loop is woken', async () => {
  const { loop, looks } = lookingLoop(() => ({ claims: [], againInMs: 0 }));
  await vi.advanceTimersByTimeAsync(400);
  expect(looks).toEqual([0, 0, 1, 3, 7, 15, 31, 63, 127, 227, 327]);
  loop.wake();
  await vi.advanceTimersByTimeAsync(1);
  expect(looks.slice(11)).toEqual([400, 400, 401]);
  await loop.stop();
});

test.each([
  ['all there is looks again when it is woken, and otherwise after the poll interval', true, [0, 500, 700, 1_200]],
  ['what it had room for looks again at once and when work ends', false, [0, 0, 100, 600, 700, 1_200]],
])('a loop that has claimed %s', async (_, isAll, expected) => {
  const ended = Promise.withResolvers<void>();
  const { loop, looks } = lookingLoop(
    (look) => ({ claims: look === 1 ? [{}] : [], isAll }),
    () => ended.promise,
  );
  await vi.advanceTimersByTimeAsync(100);
  ended.resolve();
  await vi.advanceTimersByTimeAsync(600);
  loop.wake();
  await vi.advanceTimersByTimeAsync(pollMs);
  expect(looks).toEqual(expected);
  await loop.stop();
});

test('when work ends, its room is given to what waits at once', async () => {
  const table = new ModelTable();
  for (let item = 0; item <= concurrency; item += 1) table.add();
  const { loop, works } = new Process(table);
  await vi.advanceTimersByTimeAsync(4 * statementMs);
  const [first] = works;
  first!.end(true);
  await vi.advanceTimersByTimeAsync(2 * statementMs);
  expect([...works].map(({ claim }) => claim.item.id)).toEqual([1, 2, 3]);
  const stopped = loop.stop();
  await vi.advanceTimersByTimeAsync(stopMs + 4 * statementMs);
  await stopped;
});
