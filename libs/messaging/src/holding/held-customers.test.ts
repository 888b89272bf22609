import { setImmediate as turn } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { heldAloneKey, unnamedCustomer } from '#libs/contracts';
import { HoldsInMemory, SeededRandom, waitFor } from '#libs/testing';
import { HeldCustomers, PartitionHolds, queueKeyOf } from './held-customers.js';
import type { HoldableItem, HoldableWork, Waiting } from './held-customers.js';
import { nobodyHeld } from './hold-store.js';
import type { HoldStore } from './hold-store.js';
import { KeyOrderedDispatcher } from '../dispatching/key-ordered-dispatcher.js';
import type { LoggedRecord } from '../logged-record.js';
import { OffsetTracker } from '../consuming/offset-tracker.js';
import { workOn } from '../handling/record-handling.js';
import type { HandlingResult, RecordWork } from '../handling/record-handling.js';

const unnamed = unnamedCustomer('billing');
const keys = ['a', 'b', 'c', unnamed];

/** Random records, poison, operators, crashes, rebalances and a store that fails at times, all from a seed. */
class Simulation {
  readonly log: LoggedRecord[] = [];
  readonly store = new HoldsInMemory();
  readonly effects: { owner: number; key: string; offset: number }[] = [];
  readonly poison = new Set<number>();
  /** The records that could not be handled at first. */
  wasPoison: ReadonlySet<number> = new Set();
  readonly skipped = new Set<number>();
  committed = 0;
  /** The clock, in turns of the event loop, so that the speed of the machine has no effect. */
  turns = 0;
  private readonly random: SeededRandom;

  constructor(seed: number, records: number) {
    this.random = new SeededRandom(seed);
    for (let offset = 0; offset < records; offset += 1) {
      this.log.push({
        topic: 't',
        partition: 0,
        offset,
        logId: 'log',
        timestampMs: 0,
        key: Buffer.from(`acme/${keys[this.below(4)]}`),
        value: null,
        headers: undefined,
      });
      if (this.below(8) === 0) this.poison.add(offset);
    }
    this.wasPoison = new Set(this.poison);
  }

  below(limit: number): number {
    return this.random.below(limit);
  }

  async turn(): Promise<void> {
    this.turns += 1;
    await turn();
  }

  async dawdle(): Promise<void> {
    for (let turns = this.below(4); turns > 0; turns -= 1) await this.turn();
  }

  /** The store as one process reaches it: calls are slow and sometimes fail, and a failed call may have taken effect. */
  reachable(lost: AbortSignal): HoldStore {
    const call = async <T>(work: () => Promise<T>): Promise<T> => {
      await this.dawdle();
      const fault = this.below(20);
      if (fault === 0 || lost.aborted) throw new Error('the store is away');
      const result = await work();
      if (fault === 1) throw new Error('the answer was lost');
      await this.dawdle();
      return result;
    };
    const { store } = this;
    return {
      hold: (...args) => call(() => store.hold(...args)),
      keep: (...args) => call(() => store.keep(...args)),
      holdsOf: (...args) => call(() => store.holdsOf(...args)),
      releasable: (...args) => call(() => store.releasable(...args)),
      next: (...args) => call(() => store.next(...args)),
      finished: (...args) => call(() => store.finished(...args)),
      close: (...args) => call(() => store.close(...args)),
    };
  }

  /** An operator repairs one of the records that hold a customer, or gives it up. */
  async operate(): Promise<void> {
    const letters = this.store.deadLetters;
    const letter = letters[this.below(Math.max(letters.length, 1))];
    if (letter === undefined || this.store.resolutionOf(letter) !== undefined) return;
    const offset = Number(letter.slice('dlq_'.length));
    if (this.below(2) === 0) {
      this.skipped.add(offset);
      this.store.resolve(letter, 'skipped');
      return;
    }
    if (this.below(4) > 0) this.poison.delete(offset); // else the retry fails
    await this.store.requestRetry('acme', letter);
  }
}

/** A process that owns the partition, from where the commit stands. */
class Owner {
  private readonly tracker = new OffsetTracker();
  private readonly lost = new AbortController();
  private readonly held: HeldCustomers;
  private readonly holds: PartitionHolds;
  private next: number;

  constructor(
    private readonly simulation: Simulation,
    private readonly number: number,
  ) {
    this.next = simulation.committed;
    const dispatcher = new KeyOrderedDispatcher<HoldableItem>({
      concurrency: 3,
      now: () => simulation.turns,
      schedule: (work) => {
        const immediate = setImmediate(work);
        return () => clearImmediate(immediate);
      },
      handle: async (item) => {
        const result = await this.held.handle(item);
        if (result === 'finished' && 'record' in item) this.tracker.finished(item.record.offset);
        return result;
      },
    });
    this.holds = new PartitionHolds(
      't',
      0,
      dispatcher.createQueues(),
      this.lost.signal,
      () => this.next,
      () => 'log',
    );
    this.held = new HeldCustomers({
      group: 'g',
      store: simulation.reachable(this.lost.signal),
      handle: (work) => this.work(work),
      retryMs: 0,
      now: () => simulation.turns,
      pause: () => simulation.turn(),
    });
    void this.held.load([this.holds]);
  }

  read(): void {
    const record = this.simulation.log[this.next];
    if (record === undefined) return;
    this.next += 1;
    this.tracker.received(record.offset);
    const work: HoldableWork = { ...workOn(record, this.lost.signal), holds: this.holds };
    this.holds.add(queueKeyOf(record.key!), work);
  }

  poll(): Promise<void> {
    return this.held.poll([this.holds]);
  }

  /** Moves the queued records of some customers to the store, as in a full partition. */
  moveOut(): void {
    if (!this.holds.isKnown) return;
    for (const { key } of this.holds.queues.depths()) if (this.simulation.below(3) === 0) this.holds.moveOut(key);
  }

  commit(): void {
    this.simulation.committed = this.tracker.watermark ?? this.simulation.committed;
  }

  get isDone(): boolean {
    return this.next === this.simulation.log.length && (this.tracker.watermark ?? this.next) === this.next;
  }

  end(): void {
    this.holds.queues.close();
    this.lost.abort();
  }

  private async work({ record, signal }: RecordWork): Promise<HandlingResult> {
    if (signal.aborted) return 'abandoned';
    await this.simulation.dawdle();
    if (this.simulation.below(5) === 0) return { againInMs: 0 };
    if (this.simulation.poison.has(record.offset)) return { heldBy: `dlq_${record.offset}` };
    if (signal.aborted) return 'abandoned';
    this.simulation.effects.push({ owner: this.number, key: record.key!.toString(), offset: record.offset });
    return 'finished';
  }
}

/** More than twice what the slowest of 4 500 simulations took. */
const stepLimit = 10_000;

async function live(seed: number, { zombies }: { zombies: boolean }): Promise<Simulation> {
  const simulation = new Simulation(seed, 60);
  const old: Owner[] = [];
  let owners = 1;
  let owner = new Owner(simulation, owners);
  for (let step = 0; !(owner.isDone && simulation.store.size === 0); step += 1) {
    if (step > stepLimit) throw new Error(`seed ${seed}: ${simulation.store.size} customers are still held after ${step} steps`);
    const dice = simulation.below(100);
    if (dice < 40) owner.read();
    else if (dice < 50) await owner.poll();
    else if (dice < 58) owner.commit();
    else if (dice < 60) owner.moveOut();
    else if (dice < 68) await simulation.operate();
    else if (dice < 70 && step < 2_000) {
      if (zombies) old.push(owner);
      else owner.end();
      owner = new Owner(simulation, (owners += 1));
    } else if (dice < 74) old.shift()?.end();
    else await simulation.turn();
    for (const zombie of old) {
      if (simulation.below(10) === 0) zombie.read();
      if (simulation.below(40) === 0) zombie.moveOut();
      if (simulation.below(3) === 0) await zombie.poll();
    }
  }
  for (const zombie of old) zombie.end();
  owner.end();
  return simulation;
}

/**
 * The effects by customer, without repeats and skipped records, and of an unnamed customer without those that were held, which wait alone. A skipped record that was repaired before may be handled when it is redelivered. */
function firstEffects({ effects, skipped, wasPoison, log }: Simulation): Map<string, number[]> {
  const seen = new Set<number>();
  const order = new Map<string, number[]>();
  for (const { offset } of effects) {
    const key = log[offset]!.key!.toString();
    if (seen.has(offset) || skipped.has(offset) || (key === `acme/${unnamed}` && wasPoison.has(offset))) continue;
    seen.add(offset);
    order.set(key, [...(order.get(key) ?? []), offset]);
  }
  return order;
}

function expectComplete(simulation: Simulation, seed: number): void {
  for (const [key, offsets] of firstEffects(simulation)) {
    expect(offsets, `seed ${seed}: the order of ${key}`).toEqual(offsets.toSorted((a, b) => a - b));
  }
  const done = new Set(simulation.effects.map(({ offset }) => offset));
  const lost = simulation.log.filter(({ offset }) => !done.has(offset) && !simulation.skipped.has(offset)).map(({ offset }) => offset);
  expect(lost, `seed ${seed}: lost`).toEqual([]);
}

const seeds = Array.from({ length: 150 }, (_, at) => at + 1);

test('whatever is held, released, skipped and crashes, each customer’s records take effect in order and none is lost', async () => {
  for (const seed of seeds) expectComplete(await live(seed, { zombies: false }), seed);
}, 60_000);

test('one owner handles no record twice, whatever the store does', async () => {
  for (const seed of seeds) {
    const { effects, wasPoison } = await live(seed, { zombies: false });
    // A record that is held alone has a queue of its own: if the answer of the store was lost, both its holds are released.
    const once = effects.filter(({ key, offset }) => !(key.startsWith(`acme/${unnamed}`) && wasPoison.has(offset)));
    const names = once.map(({ owner, offset }) => `${owner}/${offset}`);
    expect(names.length, `seed ${seed}`).toBe(new Set(names).size);
  }
}, 60_000);

/** Partition 0 of a topic that one owner holds, with a store in memory. */
function onePartition(handle: (record: LoggedRecord) => HandlingResult, { committed, logId }: { committed: number; logId: string }) {
  const store = new HoldsInMemory();
  const held = new HeldCustomers({ group: 'g', store, handle: async ({ record }) => handle(record), retryMs: 0 });
  const dispatcher = new KeyOrderedDispatcher<HoldableItem>({ concurrency: 2, handle: (item) => held.handle(item) });
  const partition = new PartitionHolds(
    't',
    0,
    dispatcher.createQueues(),
    new AbortController().signal,
    () => committed,
    () => logId,
  );
  const record = (key: string, offset: number, ofLog = logId): LoggedRecord => {
    return { topic: 't', partition: 0, offset, logId: ofLog, timestampMs: 0, key: Buffer.from(key), value: null, headers: undefined };
  };
  return { store, held, partition, record };
}

test('no record of an unnamed customer waits for one that was given up, which is held alone and can be retried', async () => {
  const poison = new Set([0, 2]);
  const handled: number[] = [];
  const allHandled = Promise.withResolvers<void>();
  const handle = ({ offset }: LoggedRecord): HandlingResult => {
    if (poison.has(offset)) return { heldBy: `dlq_${offset}` };
    handled.push(offset);
    if (handled.length === 4) allHandled.resolve();
    return 'finished';
  };
  const { store, held, partition, record } = onePartition(handle, { committed: 4, logId: 'log' });
  partition.know([]);
  const key = `acme/${unnamed}`;
  for (let offset = 0; offset < 4; offset += 1) {
    expect(await held.handle({ ...workOn(record(key, offset), partition.signal), holds: partition })).toBe('finished');
  }
  expect(handled).toEqual([1, 3]);
  expect([...partition.held]).toEqual([0, 2].map((offset) => heldAloneKey(key, { logId: 'log', offset })));
  poison.clear();
  for (const letter of store.deadLetters) await store.requestRetry('acme', letter);
  await held.poll([partition]);
  await allHandled.promise;
  expect(new Set(handled)).toEqual(new Set([0, 1, 2, 3]));
});

test('a tenant that fills most of a partition is moved to the store, however many customers it has, if there are others', async () => {
  const { store, held, partition, record } = onePartition(() => ({ againInMs: 60_000 }), { committed: 0, logId: 'log' });
  partition.know([]);
  const add = (key: string, offset: number): void => {
    partition.add(key, { ...workOn(record(key, offset), partition.signal), holds: partition });
  };
  for (let offset = 0; offset < 100; offset += 1) add(`greedy/${offset}`, offset);
  for (let offset = 100; offset < 130; offset += 1) add('patient/only', offset);
  const weightOf = ({ items }: Waiting): number => items;
  held.relieveOfTenants(partition, { weightOf, hasOthers: () => false });
  expect([...partition.queues.depths()]).toHaveLength(101);
  held.relieveOfTenants(partition, { weightOf, hasOthers: () => true });
  await waitFor(async () => (await store.holdsOf('g', [partition])).length === 98, { what: 'the records to be stored' });
  const left = [...partition.queues.depths()].map(({ tenant, items }) => ({ tenant, items }));
  expect(left).toEqual([...left.slice(0, -1).map(() => ({ tenant: 'greedy', items: 1 })), { tenant: 'patient', items: 30 }]);
  partition.queues.close();
});

test('a release reads ahead as many records as are small', async () => {
  const handled: number[] = [];
  const handle = ({ offset }: LoggedRecord): HandlingResult => {
    handled.push(offset);
    return 'finished';
  };
  const { store, held, partition, record } = onePartition(handle, { committed: 100, logId: 'log' });
  partition.know([]);
  const sizes = [10, 20_000, 20_000, 100_000, 100_000, 10];
  for (const [offset, bytes] of sizes.entries())
    await store.hold('g', { ...record('acme/c', offset), value: Buffer.alloc(bytes) }, 'overflow');
  const next = vi.spyOn(store, 'next');
  await held.poll([partition]);
  await waitFor(async () => (await store.holdsOf('g', [partition])).length === 0, { what: 'the release' });
  expect(handled).toEqual([0, 1, 2, 3, 4, 5]);
  expect(next.mock.calls.map(([, limit]) => limit)).toEqual([1, 20, 20]);
});

test('a seed tells the same story each time, however fast the machine is', async () => {
  const [once, again] = [await live(7, { zombies: true }), await live(7, { zombies: true })];
  expect(again.effects).toEqual(once.effects);
});

test('an owner that does not know that it lost the partition breaks no order and loses nothing', async () => {
  for (const seed of seeds) expectComplete(await live(seed, { zombies: true }), seed);
}, 30_000);

test('a search for what may go on that took minutes puts off the next one by seconds', async () => {
  let nowMs = 0;
  let searches = 0;
  const releasable: HoldStore['releasable'] = async () => {
    searches += 1;
    nowMs += 120_000;
    return [];
  };
  const held = new HeldCustomers({
    group: 'g',
    store: { ...nobodyHeld, releasable },
    handle: async () => 'finished',
    retryMs: 0,
    now: () => nowMs,
  });
  const queues = new KeyOrderedDispatcher<HoldableItem>({ concurrency: 1, handle: async () => 'finished' }).createQueues();
  const partition = new PartitionHolds(
    't',
    0,
    queues,
    new AbortController().signal,
    () => 0,
    () => 'log',
  );
  partition.know([]);
  await held.poll([partition]);
  nowMs += 9_999;
  await held.poll([partition]);
  expect(searches).toBe(1);
  nowMs += 1;
  await held.poll([partition]);
  expect(searches).toBe(2);
});

test('records of a log that was replaced are released at once, wherever they stood in it', async () => {
  const handled: string[] = [];
  const ended = Promise.withResolvers<void>();
  const handle = ({ logId, offset }: LoggedRecord): HandlingResult => {
    handled.push(`${logId}/${offset}`);
    if (handled.length === 3) ended.resolve();
    return 'finished';
  };
  const { store, held, partition, record } = onePartition(handle, { committed: 2, logId: 'new' });
  await store.hold('g', record('acme/a', 90, 'old'), { deadLetterId: 'dlq_1' });
  await store.keep('g', record('acme/a', 91, 'old'));
  await store.keep('g', record('acme/a', 1));
  await held.load([partition]);
  await store.requestRetry('acme', 'dlq_1');
  await held.poll([partition]);
  await ended.promise;
  expect(handled).toEqual(['old/90', 'old/91', 'new/1']);
});
