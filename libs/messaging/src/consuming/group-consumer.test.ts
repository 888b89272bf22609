import fc from 'fast-check';
import type { EachBatchPayload, Kafka } from 'kafkajs';
import { afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { setLogLevel } from '#libs/tracing';
import { readCommitMetadata } from './commit-metadata.js';
import type { EarlierCommit } from './earlier-commits.js';
import { GroupConsumer } from './group-consumer.js';
import type { HandlerGroup } from '../handling/handler-groups.js';
import { nobodyHeld } from '../holding/hold-store.js';
import type { GroupListener } from '../kafka/kafkajs-repairs.js';
import type { DispatchResult } from '../dispatching/key-ordered-dispatcher.js';
import type { RecordWork } from '../handling/record-handling.js';

/**
 * The consumer under every order of events that a log, a coordinator and handlers can produce: a model of kafkajs and of the broker's side, in
 * which the test decides what happens next. Real rebalances and kills are in rebalances.conformance.int.test.ts and in test/chaos.
 */

const topic = 't';
const partitions = [0, 1, 2];
const keys = ['a', 'b', 'c', 'd', 'e', 'f'];
const valueBytes = 100;
const bufferBytes = 600;
const batchRecords = 4;

interface Logged {
  readonly offset: number;
  readonly key: string;
}

interface AtWork {
  readonly member: Member;
  readonly work: RecordWork;
  readonly end: (result: DispatchResult) => void;
}

type Commit = Parameters<EachBatchPayload['commitOffsetsIfNecessary']>[0];

/** The broker's side: the records, the group's members and what they committed. */
class Group {
  readonly log = new Map<number, Logged[]>();
  readonly committed = new Map<number, { offset: number; metadata: string }>();
  readonly finished = new Map<number, Set<number>>();
  readonly effects = new Map<string, number[]>();
  readonly atWork: AtWork[] = [];
  readonly violations: string[] = [];
  members: Member[] = [];
  generation = 0;
  repeats = 0;
  logId = 'log';
  /** Handlers that ended after their partition had gone to another member. */
  late = 0;

  constructor() {
    for (const partition of partitions) {
      this.log.set(partition, []);
      this.finished.set(partition, new Set());
    }
  }

  endOf(partition: number): number {
    return (this.log.get(partition)!.at(-1)?.offset ?? -1) + 1;
  }

  commit(member: Member, offsets: Commit): void {
    if (!this.members.includes(member) || member.generation !== this.generation) throw new Error('ILLEGAL_GENERATION');
    for (const { partition, offset: text, metadata } of partitionsOf(offsets)) {
      const offset = Number(text);
      const finished = this.finished.get(partition)!;
      const isOpen = (record: Logged): boolean => record.offset < offset && !finished.has(record.offset);
      this.hold(offset >= (this.committed.get(partition)?.offset ?? 0), 'a commit went back');
      this.hold(!this.log.get(partition)!.some(isOpen), 'a commit passed an open record');
      this.hold(
        readCommitMetadata(offset, metadata).finished.every((above) => finished.has(above)),
        'the metadata named an open record',
      );
      this.hold(member.assigned.includes(partition), 'someone who does not own the partition committed');
      this.committed.set(partition, { offset, metadata });
    }
  }

  begin(work: AtWork): void {
    const { partition, offset } = work.work.record;
    const committed = this.committed.get(partition);
    const isFinished =
      committed !== undefined &&
      (offset < committed.offset || readCommitMetadata(committed.offset, committed.metadata).finished.includes(offset));
    this.hold(!this.members.includes(work.member) || !isFinished, 'what was committed as finished was handled again');
    this.atWork.push(work);
  }

  /** Collected, because the consumer takes whatever a commit throws for an outage. */
  private hold(rule: boolean, violation: string): void {
    if (!rule) this.violations.push(violation);
  }

  end(at: number, result: DispatchResult): void {
    const [{ member, work, end }] = this.atWork.splice(at, 1) as [AtWork];
    const { partition, offset, key } = work.record;
    if (work.signal.aborted) this.late += 1;
    if (result === 'finished' && !member.dead) {
      const finished = this.finished.get(partition)!;
      if (finished.has(offset)) this.repeats += 1;
      else this.effects.set(key!.toString(), [...(this.effects.get(key!.toString()) ?? []), offset]);
      finished.add(offset);
    }
    end(work.signal.aborted ? 'abandoned' : result);
  }

  /** Everyone drains and joins again, with the partitions dealt anew. */
  async rebalance(deal: () => number): Promise<void> {
    await Promise.all(this.members.map((member) => member.beforeRejoin()));
    for (const member of this.members) member.assigned = [];
    if (this.atWork.length > 0) {
      this.late += 1; // it outlived the drain, and ends too late for the commit
      this.end(deal() % this.atWork.length, 'finished');
    }
    await vi.advanceTimersByTimeAsync(1_000); // a commit that comes due while nobody knows what is whose
    if (this.members.length === 0) return;
    for (const partition of partitions) this.members[deal() % this.members.length]!.assigned.push(partition);
    this.generation += 1;
    for (const member of this.members) member.joined();
  }

  /** The coordinator takes a member for dead, and it does not know. */
  async evict(member: Member, deal: () => number): Promise<void> {
    this.members = this.members.filter((other) => other !== member);
    await this.rebalance(deal);
  }

  /** It hears of that, with all it had still in its memory, and joins as someone new. */
  async takeBack(member: Member, deal: () => number): Promise<void> {
    member.id += 100;
    this.members.push(member);
    await this.rebalance(deal);
  }
}

/** A process with its consumer, and what it has of kafkajs. */
class Member {
  readonly consumer: GroupConsumer;
  id = 0;
  generation = 0;
  assigned: number[] = [];
  /** Nothing it does has an effect any more; one that is only evicted goes on until it hears of it. */
  dead = false;
  private assigner: GroupListener | undefined;
  private eachBatch: ((payload: EachBatchPayload) => Promise<void>) | undefined;
  private readonly listeners = new Map<string, (event: object) => void>();
  private readonly position = new Map<number, number>();
  private readonly paused = new Set<number>();
  private isRunning = false;

  constructor(private readonly group: Group) {
    const handlers = {
      group: 'g',
      order: 'customer',
      audience: 'one',
      topics: [{ name: topic }],
      handlerOf: () => ({}),
    } as unknown as HandlerGroup;
    const handle = (work: RecordWork) =>
      new Promise<DispatchResult>((end) => (work.signal.aborted ? end('abandoned') : group.begin({ member: this, work, end })));
    const parts = {
      kafka: { consumer: (config: object) => this.kafkajs(config) } as unknown as Kafka,
      earlierCommits: { read: async () => this.earlier() },
      logIds: { read: async () => ({ topics: new Map([[topic, group.logId]]), clusterId: undefined }) },
      group: handlers,
      handling: { handle },
      holds: nobodyHeld,
    };
    this.consumer = new GroupConsumer(parts, {
      groupId: 'g',
      concurrency: 3,
      maxBufferedBytes: bufferBytes,
      sessionTimeoutMs: 6_000,
      drainTimeoutMs: 1,
      commitIntervalMs: 1_000,
      storeRetryMs: 1_000,
      handlerDeadlineMs: 1e9,
    });
    void this.consumer.start();
  }

  async beforeRejoin(): Promise<void> {
    await this.assigner?.beforeRejoin?.(true);
  }

  /** kafkajs goes on from the committed offsets, also for partitions that were kept. */
  joined(): void {
    this.generation = this.group.generation;
    for (const partition of this.assigned) this.position.set(partition, this.group.committed.get(partition)?.offset ?? 0);
    this.listeners.get('join')?.({ payload: { memberAssignment: { [topic]: this.assigned } } });
  }

  readFrom(partition: number, offset: number): void {
    this.position.set(partition, offset);
  }

  /** False where there is nothing to fetch. */
  async fetch(pick: number): Promise<boolean> {
    const due = this.assigned.filter((partition) => !this.paused.has(partition) && this.next(partition).length > 0);
    const partition = due[pick % due.length];
    if (partition === undefined) return false;
    const records = this.next(partition).slice(0, 1 + (pick % batchRecords));
    const last = records.at(-1)!.offset;
    const messages = records.map(({ offset, key }) => ({
      offset: String(offset),
      timestamp: '0',
      key: Buffer.from(key),
      value: Buffer.alloc(valueBytes),
      headers: {},
    }));
    this.position.set(partition, last + 1);
    await this.eachBatch!({
      batch: { topic, partition, messages, highWatermark: String(this.group.endOf(partition)), lastOffset: () => String(last) },
      resolveOffset: () => undefined,
      isStale: () => false,
      commitOffsetsIfNecessary: async (offsets: Commit) => this.group.commit(this, offsets),
    } as unknown as EachBatchPayload);
    return true;
  }

  private next(partition: number): Logged[] {
    return this.group.log.get(partition)!.filter(({ offset }) => offset >= this.position.get(partition)!);
  }

  private earlier(): Map<string, EarlierCommit> {
    return new Map(
      [...this.group.committed].map(([partition, { offset, metadata }]) => [
        `${topic}/${partition}`,
        { offset, ...readCommitMetadata(offset, metadata) },
      ]),
    );
  }

  private kafkajs(config: object): object {
    const { partitionAssigners } = config as { partitionAssigners: ((config: object) => GroupListener)[] };
    this.assigner = partitionAssigners[0]!({ cluster: { findTopicPartitionMetadata: () => [] } });
    this.assigner.membership = () => ({ memberId: String(this.id), generationId: this.generation });
    return {
      events: { GROUP_JOIN: 'join', FETCH: 'fetch', CRASH: 'crash' },
      on: (event: string, listener: (event: object) => void) => this.listeners.set(event, listener),
      connect: async () => undefined,
      disconnect: async () => void (this.isRunning = false),
      subscribe: async () => undefined,
      run: async ({ eachBatch }: { eachBatch: (payload: EachBatchPayload) => Promise<void> }) => {
        this.eachBatch = eachBatch;
        this.isRunning = true;
      },
      seek: ({ partition, offset }: { partition: number; offset: string }) =>
        this.whileRunning(() => this.position.set(partition, Number(offset))),
      pause: ([{ partitions: paused }]: [{ partitions: number[] }]) =>
        this.whileRunning(() => paused.forEach((partition) => this.paused.add(partition))),
      resume: ([{ partitions: resumed }]: [{ partitions: number[] }]) =>
        this.whileRunning(() => resumed.forEach((partition) => this.paused.delete(partition))),
    };
  }

  /** kafkajs has no consumer any more when it reports a crash. */
  crash(): void {
    this.isRunning = false;
    this.listeners.get('crash')?.({ payload: { error: new Error('the broker is gone') } });
  }

  private whileRunning(act: () => void): void {
    if (!this.isRunning) throw new Error('Consumer group was not initialized, consumer#run must be called first');
    act();
  }
}

function partitionsOf(offsets: Commit): { partition: number; offset: string; metadata: string }[] {
  return offsets!.topics[0]!.partitions as { partition: number; offset: string; metadata: string }[];
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

beforeAll(() => setLogLevel('silent'));
beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

test('whatever is fetched, ends, fails, crashes and is dealt anew, in any order: effects in order, commits behind them, all of it in the end', async () => {
  const records = fc.array(fc.record({ key: fc.constantFrom(...keys), gap: fc.integer({ min: 1, max: 3 }) }), {
    minLength: 1,
    maxLength: 150,
    size: 'max',
  });
  await fc.assert(
    fc.asyncProperty(
      records,
      fc.array(fc.nat({ max: 10_000 }), { minLength: 50, maxLength: 300, size: 'max' }),
      fc.infiniteStream(fc.nat()),
      async (toLog, steps, picks) => {
        const pick = (): number => picks.next().value!;
        const group = new Group();
        let crashes = 0;
        const evicted: Member[] = [];
        const join = async (): Promise<void> => {
          group.members.push(new Member(group));
          await settled();
          await group.rebalance(pick);
        };
        for (const { key, gap } of toLog) {
          const log = group.log.get(keys.indexOf(key) % partitions.length)!;
          log.push({ offset: (log.at(-1)?.offset ?? 0) + gap, key });
        }
        await join();
        const step = async (kind: number): Promise<void> => {
          const member = group.members[pick() % Math.max(1, group.members.length)];
          if (kind < 4) await member?.fetch(pick());
          else if (kind < 7 && group.atWork.length > 0) group.end(pick() % group.atWork.length, 'finished');
          else if (kind === 7 && group.atWork.length > 0) group.end(pick() % group.atWork.length, { againInMs: 0 });
          else if (kind === 8) await vi.advanceTimersByTimeAsync(1_000);
          else if (kind === 9 && pick() % 4 === 0) await group.rebalance(pick);
          else if (kind === 10 && group.members.length < 3 && pick() % 4 === 0) await join();
          else if (kind === 11 && member !== undefined && group.members.length > 1 && pick() % 4 === 0) {
            crashes += 1;
            member.dead = pick() % 2 === 0;
            if (!member.dead) evicted.push(member);
            await group.evict(member, pick);
          } else if (kind === 9 && evicted.length > 0) {
            await group.takeBack(evicted.shift()!, pick);
          }
          await settled();
        };
        for (const kind of steps) {
          await step(kind % 12);
          const buffered = group.members.map(({ consumer }) => consumer.bufferedBytes);
          for (const bytes of buffered) expect(bytes).toBeLessThanOrEqual(bufferBytes + partitions.length * batchRecords * valueBytes);
        }
        for (let idle = 0; idle < 3;) {
          let moved = false;
          for (const member of group.members) while (await member.fetch(pick())) moved = true;
          for (; group.atWork.length > 0; moved = true) {
            group.end(pick() % group.atWork.length, 'finished');
            await settled();
          }
          await vi.advanceTimersByTimeAsync(1_000);
          await settled();
          idle = moved ? 0 : idle + 1;
        }

        expect(group.violations).toEqual([]);
        for (const [partition, logged] of group.log) {
          expect(group.finished.get(partition)!.size).toBe(logged.length);
          if (logged.length > 0) expect(group.committed.get(partition)).toEqual({ offset: logged.at(-1)!.offset + 1, metadata: 'log=log' });
        }
        for (const [key, offsets] of group.effects) expect(offsets, `the order of ${key}`).toEqual(offsets.toSorted((a, b) => a - b));
        if (crashes + group.late === 0)
          expect(group.repeats, 'nothing is handled twice without a crash or a handler that outlived its drain').toBe(0);
        for (const { consumer } of group.members) expect(consumer.bufferedBytes).toBe(0);
      },
    ),
    { numRuns: 20, endOnFailure: true },
  );
}, 60_000);

test('a partition that is paused because it is full hinders neither a crash nor a stop', async () => {
  const group = new Group();
  const member = new Member(group);
  group.members.push(member);
  await settled();
  group.log.set(
    0,
    Array.from({ length: 8 }, (_, offset) => ({ offset, key: 'a' })),
  );
  await group.rebalance(() => 0);
  await member.fetch(3);
  expect(await member.fetch(3), 'the partition is paused').toBe(false);
  member.crash();
  await vi.advanceTimersByTimeAsync(1_000); // a new consumer is made
  for (; group.atWork.length > 0; await settled()) group.end(0, 'finished');

  await group.rebalance(() => 0);
  await member.fetch(3);
  const stopped = member.consumer.stop();
  for (; group.atWork.length > 0; await settled()) group.end(0, 'finished');
  await vi.advanceTimersByTimeAsync(1_000);
  await expect(stopped).resolves.toBeUndefined();
});

test('a log that was replaced under a running consumer is read from its beginning', async () => {
  const group = new Group();
  const member = new Member(group);
  group.members.push(member);
  await settled();
  const logged = (count: number): void =>
    void group.log.set(
      0,
      Array.from({ length: count }, (_, offset) => ({ offset, key: 'a' })),
    );
  const finishAll = async (): Promise<void> => {
    while (await member.fetch(3)) for (; group.atWork.length > 0; await settled()) group.end(0, 'finished');
  };
  logged(8);
  await group.rebalance(() => 0);
  await finishAll();
  expect(group.effects.get('a')).toHaveLength(8);

  logged(3);
  for (const forgotten of [group.finished.get(0)!, group.committed, group.effects]) forgotten.clear();
  member.readFrom(0, 0); // what kafkajs does when the log answers OFFSET_OUT_OF_RANGE
  await finishAll();
  expect(group.effects.get('a')).toEqual([0, 1, 2]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(group.committed.get(0)).toMatchObject({ offset: 3 });
});

test('a topic that was created anew and is longer than before is read from its beginning, and so is one that a new owner finds', async () => {
  const group = new Group();
  const member = new Member(group);
  group.members.push(member);
  await settled();
  const createAnew = (logId: string): void => {
    group.logId = logId;
    group.log.set(
      0,
      Array.from({ length: 12 }, (_, offset) => ({ offset, key: 'a' })),
    );
    for (const forgotten of [group.finished.get(0)!, group.effects]) forgotten.clear();
  };
  const finishAll = async (of: Member): Promise<void> => {
    while (await of.fetch(3)) for (; group.atWork.length > 0; await settled()) group.end(0, 'finished');
  };
  const all = Array.from({ length: 12 }, (_, offset) => offset);
  createAnew('first');
  await group.rebalance(() => 0);
  await finishAll(member);
  await vi.advanceTimersByTimeAsync(1_000);

  createAnew('second');
  member.consumer.checkLogs(new Map([[topic, 'second']]));
  await settled();
  await finishAll(member);
  expect(group.effects.get('a')).toEqual(all);
  await vi.advanceTimersByTimeAsync(1_000);

  createAnew('third');
  const heir = new Member(group);
  group.members = [heir];
  await settled();
  await group.rebalance(() => 0);
  await settled();
  await finishAll(heir);
  expect(group.effects.get('a')).toEqual(all);
});
