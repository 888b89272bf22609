/** @module-tag both-logs Members that join, leave and die; a real Kafka is the judge. */
import { Socket, connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import fc from 'fast-check';
import { Kafka, logLevel } from 'kafkajs';
import type { Producer } from 'kafkajs';
import { expect, test } from 'vitest';
import { createTopics, testBrokers, uniqueName, waitFor } from '#libs/testing';
import { LogIds } from './log-ids.js';
import { LazyAdmin } from '../kafka/lazy-admin.js';
import { EarlierCommits } from './earlier-commits.js';
import { readCommitMetadata } from './commit-metadata.js';
import { GroupConsumer } from './group-consumer.js';
import { queueKeyOf } from '../holding/held-customers.js';
import { nobodyHeld } from '../holding/hold-store.js';
import '../kafka/kafkajs-repairs.js';
import type { DispatchResult } from '../dispatching/key-ordered-dispatcher.js';
import type { RecordWork } from '../handling/record-handling.js';

/**
 * The promises of a consumer group under random actions of its members, on the brokers of the test run:
 * - a record begins only when everything before it of its customer is finished;
 * - in the end every record is finished and committed;
 * - a committed offset never goes back, and every record below it, or named as finished above it, is finished;
 * - the next owner of a partition does not begin a record that a commit named as finished.
 *
 * `TEST_REBALANCE_RUNS=20 npx vitest run --project integration libs/messaging/src/consuming/rebalances` draws more of them, `TEST_REBALANCE_SEED` the same again.
 */

const runs = Number(process.env['TEST_REBALANCE_RUNS'] ?? 1);
const seed = Number(process.env['TEST_REBALANCE_SEED'] ?? Date.now() % 1_000_000);
/** Groups that run at the same time: they mostly wait for sessions and heartbeats. */
const atOnce = 8;
const partitions = 3;
/** Each death costs one session timeout. */
const mostDeaths = 2;
const mostMembers = 3;
const sessionTimeoutMs = 6_000;
const commitIntervalMs = 50;

type Step =
  | { do: 'produce'; customers: number[] }
  | { do: 'join' }
  | { do: 'leave' | 'die'; who: number }
  | { do: 'finish'; picks: number[] }
  | { do: 'fail'; pick: number }
  | { do: 'see a commit' };

const customer = fc.nat(6);
const produce = fc.record({ do: fc.constant('produce' as const), customers: fc.array(customer, { minLength: 1, maxLength: 40 }) });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: produce },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('join' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('leave' as const, 'die' as const), who: fc.nat() }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('finish' as const), picks: fc.array(fc.nat(), { minLength: 1, maxLength: 12 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('fail' as const), pick: fc.nat() }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('see a commit' as const) }) },
);
const scenario = fc
  .tuple(produce, fc.array(step, { minLength: 6, maxLength: 24 }))
  .map(([first, rest]): Step[] => [first, { do: 'join' }, ...rest]);

test(
  `whoever joins, leaves and dies, nothing is lost, overtaken or forgotten (seed ${seed})`,
  { timeout: 60_000 + runs * 120_000 },
  async () => {
    await Promise.all(
      Array.from({ length: atOnce }, (_, index) =>
        fc.assert(
          fc.asyncProperty(scenario, async (steps) => {
            const group = await Group.create();
            try {
              for (const one of steps) await group.carryOut(one);
              await group.finishAll();
              expect(group.violations).toEqual([]);
            } finally {
              await group.end();
            }
          }),
          { seed: seed + index, numRuns: runs, endOnFailure: true },
        ),
      ),
    );
  },
);

test('who cannot reach the log any more stops in seconds all the same', async () => {
  const group = await Group.create();
  await group.carryOut({ do: 'produce', customers: [1, 2, 3] });
  await group.carryOut({ do: 'join' });
  await group.carryOut({ do: 'die', who: 0 });
  const askedAt = performance.now();
  await group.end();
  expect(performance.now() - askedAt).toBeLessThan(20_000); // kafkajs by itself takes about a minute
});

const positionOf = (partition: number, offset: number): string => `${partition}/${offset}`;

/** A commit as read by an admin client. */
interface Commit {
  readonly offset: number;
  readonly finished: ReadonlySet<number>;
}

/** A handler that has begun and not ended. */
interface AtWork {
  readonly member: Member;
  readonly end: (result: DispatchResult) => void;
}

class Group {
  readonly violations: string[] = [];
  readonly topic = uniqueName('rebalances');
  readonly groupId = uniqueName('group');
  private readonly members: Member[] = [];
  private readonly stopped: Promise<void>[] = [];
  private deaths = 0;
  /** By customer, the positions of its records in log order. */
  private readonly produced = new Map<string, string[]>();
  private readonly ends = Array.from({ length: partitions }, () => 0);
  private readonly finished = new Set<string>();
  private readonly atWork: AtWork[] = [];
  private finishesAll = false;
  private readonly commits = new Map<number, Commit>();
  private looks = 0;
  private readonly ended = new AbortController();
  private readonly watching: Promise<void>;

  private constructor(
    private readonly kafka: Kafka,
    private readonly producer: Producer,
  ) {
    this.watching = this.watch();
  }

  static async create(): Promise<Group> {
    const kafka = new Kafka({ brokers: [...testBrokers()], clientId: 'rebalances', logLevel: logLevel.NOTHING });
    const producer = kafka.producer();
    await producer.connect();
    const group = new Group(kafka, producer);
    const admin = kafka.admin();
    await admin.connect();
    await createTopics(admin, [{ topic: group.topic, numPartitions: partitions, replicationFactor: 1 }]);
    await admin.disconnect();
    return group;
  }

  async carryOut(one: Step): Promise<void> {
    if (one.do === 'produce') await this.produce(one.customers);
    else if (one.do === 'join') await this.join();
    else if (one.do === 'leave') this.leave(one.who);
    else if (one.do === 'die') this.die(one.who);
    else if (one.do === 'finish') for (const pick of one.picks) await this.settle(pick, 'finished');
    else if (one.do === 'fail') await this.settle(one.pick, { againInMs: 1 });
    else await this.seeCommit();
  }

  /** Lets all present and later handlers finish, until every record is finished and committed. */
  async finishAll(): Promise<void> {
    this.finishesAll = true;
    this.atWork.slice().forEach(({ end }) => end('finished'));
    if (this.members.length === 0) await this.join();
    const all = [...this.produced.values()].flat();
    await waitFor(() => all.every((position) => this.finished.has(position)), { what: 'every record to be finished', deadlineMs: 40_000 });
    const isCommitted = (end: number, partition: number): boolean => end === 0 || this.commits.get(partition)?.offset === end;
    await waitFor(() => this.ends.every(isCommitted), { what: 'every record to be committed', deadlineMs: 20_000 });
  }

  async end(): Promise<void> {
    this.finishesAll = true;
    this.atWork.slice().forEach(({ end }) => end('finished'));
    await Promise.all([...this.stopped, ...this.members.map((member) => member.stop())]);
    this.ended.abort();
    await this.watching;
    await this.producer.disconnect();
  }

  /** Resolves when the test decides how the handling ends. */
  begin(member: Member, { record, signal }: RecordWork): Promise<DispatchResult> {
    const { partition, offset, key } = record;
    const position = positionOf(partition, offset);
    const own = this.produced.get(queueKeyOf(key!)) ?? [];
    const open = own.slice(0, own.indexOf(position)).filter((before) => !this.finished.has(before));
    if (open.length > 0) this.violations.push(`${position} of ${queueKeyOf(key!)} began before ${open.join(', ')} was finished`);
    const commit = member.knew.get(partition);
    if (commit !== undefined && (offset < commit.offset || commit.finished.has(offset))) {
      this.violations.push(`${position} began, and was told as finished to its new owner`);
    }
    const { promise, resolve } = Promise.withResolvers<DispatchResult>();
    const work: AtWork = {
      member,
      end: (result) => {
        if (member.isDead) return; // nobody will ever know what it would have done
        this.atWork.splice(this.atWork.indexOf(work), this.atWork.includes(work) ? 1 : 0);
        if (result === 'finished') this.finished.add(position);
        resolve(result);
      },
    };
    if (signal.aborted) return Promise.resolve('abandoned');
    signal.addEventListener('abort', () => work.end('abandoned'), { once: true });
    this.atWork.push(work);
    if (this.finishesAll) setImmediate(() => work.end('finished'));
    return promise;
  }

  /** The commits that a member sees at least if it asks now. */
  known(): Map<number, Commit> {
    return new Map(this.commits);
  }

  private async produce(customers: readonly number[]): Promise<void> {
    const byPartition = Map.groupBy(customers, (one) => one % partitions);
    for (const [partition, ofPartition] of byPartition) {
      const messages = ofPartition.map((one) => ({ key: `acme/c${one}`, value: '', partition }));
      for (const { key } of messages) {
        const own = this.produced.get(key) ?? [];
        this.produced.set(key, own);
        own.push(positionOf(partition, this.ends[partition]!));
        this.ends[partition]! += 1;
      }
      await this.producer.send({ topic: this.topic, messages });
    }
  }

  private async join(): Promise<void> {
    if (this.members.length === mostMembers) return;
    const member = new Member(this);
    this.members.push(member);
    await member.start();
  }

  private leave(who: number): void {
    const [member] = this.members.splice(who % this.members.length, 1);
    if (member !== undefined) this.stopped.push(member.stop());
  }

  private die(who: number): void {
    if (this.deaths === mostDeaths || this.members.length === 0) return;
    this.deaths += 1;
    const [member] = this.members.splice(who % this.members.length, 1);
    member!.die();
    this.stopped.push(member!.stop());
    for (let at = this.atWork.length - 1; at >= 0; at -= 1) if (this.atWork[at]!.member === member) this.atWork.splice(at, 1);
  }

  /** Ends one handler. There may be none, because everything is finished or its member has just died. */
  private async settle(pick: number, result: DispatchResult): Promise<void> {
    await waitFor(() => this.atWork.length > 0, { what: 'something at work', deadlineMs: 250 }).catch(() => undefined);
    this.atWork[pick % this.atWork.length]?.end(result);
  }

  private async seeCommit(): Promise<void> {
    const before = this.looks;
    await pause(2 * commitIntervalMs);
    await waitFor(() => this.looks >= before + 2, { what: 'a look at the commits' });
  }

  private async watch(): Promise<void> {
    const admin = this.kafka.admin();
    await admin.connect();
    while (!this.ended.signal.aborted) {
      const [fetched] = await admin.fetchOffsets({ groupId: this.groupId, topics: [this.topic] }).catch(() => []);
      for (const { partition, offset, metadata } of fetched?.partitions ?? []) this.see(partition, Number(offset), metadata);
      this.looks += 1;
      await pause(20);
    }
    await admin.disconnect();
  }

  private see(partition: number, offset: number, metadata: string | null): void {
    if (offset < 0) return;
    const before = this.commits.get(partition)?.offset ?? 0;
    if (offset < before) this.violations.push(`the commit of ${partition} went back from ${before} to ${offset}`);
    const told = readCommitMetadata(offset, metadata).finished;
    const done = [...Array.from({ length: offset }, (_, below) => below), ...told];
    const open = done.filter((one) => !this.finished.has(positionOf(partition, one)));
    if (open.length > 0) this.violations.push(`${partition}: ${open.join(', ')} committed at ${offset}, and not finished`);
    this.commits.set(partition, { offset, finished: new Set(told) });
  }
}

/** One process of the group, with its own connections, so that it can die. */
class Member {
  isDead = false;
  /** The commits that had been seen when it asked for them last. */
  knew = new Map<number, Commit>();
  private readonly sockets = new Set<Socket>();
  private readonly admin: LazyAdmin;
  private readonly consumer: GroupConsumer;

  constructor(group: Group) {
    const kafka = new Kafka({
      brokers: [...testBrokers()],
      clientId: 'member',
      logLevel: logLevel.NOTHING,
      retry: { retries: 5 },
      socketFactory: ({ host, port, onConnect }) => this.connect(host, port, onConnect),
    });
    this.admin = new LazyAdmin(kafka);
    const earlier = new EarlierCommits(this.admin, group.groupId);
    const topic = { name: group.topic, partitions, retentionMs: 3_600_000, types: [] };
    this.consumer = new GroupConsumer(
      {
        kafka,
        earlierCommits: {
          read: (topics) => {
            this.knew = group.known();
            return earlier.read(topics);
          },
        },
        logIds: new LogIds(this.admin),
        group: {
          group: group.groupId,
          order: 'customer',
          audience: 'one',
          poison: 'skip',
          fetchEveryMs: undefined,
          topics: [topic],
          handlerOf: () => undefined,
        },
        handling: { handle: (work) => (this.isDead ? new Promise<never>(() => undefined) : group.begin(this, work)) },
        holds: nobodyHeld,
      },
      {
        groupId: group.groupId,
        concurrency: 4,
        maxBufferedBytes: 1_048_576,
        sessionTimeoutMs,
        drainTimeoutMs: 300,
        commitIntervalMs,
        storeRetryMs: 50,
        handlerDeadlineMs: 600_000,
      },
    );
  }

  start(): Promise<void> {
    return this.consumer.start();
  }

  /** Cuts all connections, as a kill does. */
  die(): void {
    this.isDead = true;
    for (const socket of this.sockets) socket.destroy();
  }

  stop(): Promise<void> {
    return this.consumer.stop();
  }

  private connect(host: string, port: number, onConnect: () => void): Socket {
    if (this.isDead) return new Socket().destroy(new Error('dead'));
    const socket = connect({ host, port }, onConnect);
    this.sockets.add(socket);
    return socket.on('close', () => this.sockets.delete(socket));
  }
}
