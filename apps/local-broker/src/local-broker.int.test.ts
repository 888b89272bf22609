import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { Kafka, logLevel } from 'kafkajs';
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { z } from 'zod';
import { customerKey, name, recordType } from '#libs/contracts';
import type { Topic } from '#libs/contracts';
import { LogUnavailable, RecordProducer, ensureTopics } from '#libs/messaging';
import { SeededRandom, uniqueName, waitFor } from '#libs/testing';
import { startLocalBroker } from './local-broker.js';
import type { LocalBroker } from './local-broker.js';
import { FailingDisk } from './log/failing-disk.js';

const noteSchema = z.object({ tenant: name, customer: customerKey, n: z.number() });
const Noted = recordType('noted.v1', noteSchema);

/** Topics are called what they are called here. */
const log = { clientId: 'test', prefix: '' };

let directory: string;
let broker: LocalBroker | undefined;
let alone: BrokerProcess | undefined;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-broker-'));
});
afterEach(async () => {
  await Promise.all([broker?.stop(), alone?.end('SIGKILL')]);
  broker = alone = undefined;
  await rm(directory, { recursive: true });
});

async function newTopic(brokers: string[]): Promise<Topic> {
  const topic: Topic = { name: uniqueName('notes'), partitions: 4, retentionMs: 3_600_000, types: [Noted] };
  await ensureTopics({ ...log, brokers }, [topic]);
  return topic;
}

/** The `n` of every record of a topic, by partition, in order. */
async function numbersIn(address: string, topic: Topic, count: number): Promise<number[][]> {
  const numbers: number[][] = Array.from({ length: topic.partitions }, () => []);
  const consumer = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING }).consumer({
    groupId: uniqueName('reader'),
    maxWaitTimeInMs: 100,
  });
  await consumer.connect();
  await consumer.subscribe({ topic: topic.name, fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      numbers[partition]!.push(noteSchema.parse(JSON.parse(message.value!.toString())).n);
    },
  });
  await waitFor(() => numbers.flat().length >= count, { what: `${count} records`, deadlineMs: 20_000 });
  await consumer.disconnect();
  return numbers;
}

/** A member of a group that does nothing but commit. */
async function committerOf(address: string, topic: Topic, groupId: string) {
  const retry = { retries: 0, restartOnFailure: async () => false };
  const consumer = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING, retry }).consumer({ groupId });
  await consumer.connect();
  await consumer.subscribe({ topic: topic.name });
  await consumer.run({ autoCommit: false, eachMessage: async () => undefined });
  consumer.pause([{ topic: topic.name }]); // kafkajs would reset a committed offset that it fetches from and that has no record yet
  return {
    commit: (partition: number, offset: number, metadata = '') =>
      consumer.commitOffsets([{ topic: topic.name, partition, offset: String(offset), metadata }]),
    leave: () => consumer.disconnect(),
  };
}

async function committedIn(address: string, topic: Topic, groupId: string) {
  const admin = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  const [offsets] = await admin.fetchOffsets({ groupId, topics: [topic.name] });
  await admin.disconnect();
  return offsets!.partitions.map(({ offset, metadata }) => [Number(offset), metadata]);
}

test('records, topics and committed offsets outlive the broker', async () => {
  broker = await startLocalBroker({ directory });
  const topic = await newTopic([broker.address]);
  const producer = new RecordProducer({ ...log, brokers: [broker.address] });
  for (let n = 0; n < 10; n += 1) await producer.append(topic, Noted, { tenant: 'acme', customer: 'c', n });
  await producer.disconnect();
  const group = uniqueName('group');
  const committer = await committerOf(broker.address, topic, group);
  await committer.commit(2, 5, 'v1');
  await committer.leave();
  await broker.stop();

  broker = await startLocalBroker({ directory });
  expect((await numbersIn(broker.address, topic, 10)).flat()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(await committedIn(broker.address, topic, group)).toEqual([
    [-1, null],
    [-1, null],
    [5, 'v1'],
    [-1, null],
  ]);
});

test('it listens on loopback only', async () => {
  await expect(startLocalBroker({ directory, host: '0.0.0.0' })).rejects.toThrow(
    'The local broker has no credentials and listens on loopback only (127.0.0.1, ::1, localhost), not on 0.0.0.0',
  );
});

test('a port that is taken is named, and the directory is free again', async () => {
  broker = await startLocalBroker({ directory });
  const port = Number(broker.address.split(':')[1]);
  const other = await mkdtemp(join(tmpdir(), 'millrace-broker-'));
  await expect(startLocalBroker({ directory: other, port })).rejects.toThrow(`Port ${port} on 127.0.0.1 is taken`);
  await (await startLocalBroker({ directory: other })).stop();
  await rm(other, { recursive: true });
});

test('a second broker on the same directory is refused', async () => {
  broker = await startLocalBroker({ directory });
  await expect(startLocalBroker({ directory })).rejects.toThrow(`The log in ${directory} is in use by process ${process.pid}`);
});

test('a client that speaks something else is disconnected, and the others go on', async () => {
  broker = await startLocalBroker({ directory });
  const [host, port] = broker.address.split(':') as [string, string];
  for (const nonsense of ['GET / HTTP/1.1\r\n\r\n', Buffer.from([0, 0, 0, 10, 0, 99, 0, 1, 0, 0, 0, 1, 255, 255])]) {
    const stranger = connect(Number(port), host);
    stranger.write(nonsense);
    await once(stranger, 'close');
  }
  await newTopic([broker.address]);
});

test(
  'kill -9 at random moments, again and again: what was acknowledged is there once and in the order of its producer, and appends go on',
  { timeout: 240_000 },
  async () => {
    const random = new SeededRandom(Number(process.env['KILL_SEED'] ?? 20_261_121));
    alone = await BrokerProcess.start(directory);
    const { address } = alone;
    const port = address.split(':')[1]!;
    const topic = await newTopic([address]);
    const loads = await Promise.all([0, 1, 2, 3].map((producer) => Load.start(address, topic, producer)));
    for (let kill = 0; kill < 10; kill += 1) {
      await Promise.all(loads.map((load) => load.progress()));
      await delay(random.next() * 150);
      await alone.end('SIGKILL');
      alone = await BrokerProcess.start(directory, port);
    }
    await Promise.all(loads.map((load) => load.progress()));
    await Promise.all(loads.map((load) => load.stop()));

    const acknowledged = loads.flatMap((load) => [...load.acknowledged]);
    const stored = await numbersIn(address, topic, acknowledged.length);
    expect(new Set(stored.flat()).size).toBe(stored.flat().length);
    const places = new Map(stored.flatMap((numbers, partition) => numbers.map((n, offset) => [n, `${partition}/${offset}`] as const)));
    expect(acknowledged.filter(([n, place]) => places.get(n) !== place)).toEqual([]);
    for (const numbers of stored) {
      for (const ofProducer of Map.groupBy(numbers, (n) => n % loads.length).values()) {
        expect(ofProducer).toEqual(ofProducer.toSorted((a, b) => a - b));
      }
    }
    expect(await alone.end('SIGTERM')).toBe(0);
  },
);

test('commits and their notes outlive kill -9', async () => {
  alone = await BrokerProcess.start(directory);
  const { address } = alone;
  const topic = await newTopic([address]);
  const group = uniqueName('group');
  const committer = await committerOf(address, topic, group);
  for (let offset = 1; offset <= 50; offset += 1) await committer.commit(1, offset, `v1|${offset}`);
  await alone.end('SIGKILL');
  await committer.leave().catch(() => undefined);
  alone = await BrokerProcess.start(directory, address.split(':')[1]);
  expect((await committedIn(address, topic, group))[1]).toEqual([50, 'v1|50']);
});

test('a full disk: appends and commits are refused, readiness says so, what was acknowledged can be read, and all goes on when there is room', async () => {
  const disk = new FailingDisk();
  broker = await startLocalBroker({ directory, openFile: disk.openFile });
  const topic = await newTopic([broker.address]);
  const producer = new RecordProducer({ ...log, brokers: [broker.address], ackTimeoutMs: 1_000 });
  const append = (n: number) => producer.append(topic, Noted, { tenant: 'acme', customer: 'c', n });
  for (let n = 0; n < 5; n += 1) await append(n);
  const committer = await committerOf(broker.address, topic, uniqueName('group'));
  disk.freeBytes = 50;
  await producer.ready();
  await expect(append(5)).rejects.toThrow(LogUnavailable);
  await expect(producer.ready()).rejects.toThrow(LogUnavailable);
  await expect(committer.commit(0, 3)).rejects.toThrow('The group coordinator is not available');
  expect((await numbersIn(broker.address, topic, 5)).flat()).toEqual([0, 1, 2, 3, 4]);
  disk.freeBytes = Infinity;
  await waitFor(
    () =>
      append(6).then(
        () => true,
        () => false,
      ),
    { what: 'an append', deadlineMs: 20_000 },
  );
  await producer.ready();
  await committer.commit(0, 3);
  const numbers = (await numbersIn(broker.address, topic, 6)).flat();
  expect(numbers.filter((n) => n < 5)).toEqual([0, 1, 2, 3, 4]);
  await Promise.all([committer.leave(), producer.disconnect()]);
});

test('a process that appends nothing more is ready again after the log is', async () => {
  const disk = new FailingDisk();
  broker = await startLocalBroker({ directory, openFile: disk.openFile });
  const topic = await newTopic([broker.address]);
  const producer = new RecordProducer({ ...log, brokers: [broker.address], ackTimeoutMs: 300 });
  await producer.connect();
  disk.freeBytes = 0;
  await expect(producer.append(topic, Noted, { tenant: 'acme', customer: 'c', n: 1 })).rejects.toThrow(LogUnavailable);
  await expect(producer.ready()).rejects.toThrow(LogUnavailable);
  disk.freeBytes = Infinity;
  await waitFor(() => producer.ready().then(() => true), { what: 'readiness', deadlineMs: 20_000 });
  await producer.disconnect();
});

test('a group that retention has passed goes on from the earliest record that is left', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  onTestFinished(() => void vi.useRealTimers());
  broker = await startLocalBroker({ directory, nowMs: () => Date.now() });
  const topic = await newTopic([broker.address]);
  const producer = new RecordProducer({ ...log, brokers: [broker.address] });
  const append = (n: number) => producer.append(topic, Noted, { tenant: 'acme', customer: 'c', n });
  const { partition } = await append(0);
  for (let n = 1; n < 20; n += 1) await append(n);
  const kafka = new Kafka({ brokers: [broker.address], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  const groupId = uniqueName('group');
  const committer = await committerOf(broker.address, topic, groupId);
  await committer.commit(partition, 3);
  await committer.leave();
  vi.setSystemTime(Date.now() + topic.retentionMs + 60_000); // of the broker and of its clients
  await broker.applyRetention();
  await append(20);
  await append(21);
  expect((await admin.fetchTopicOffsets(topic.name)).find((each) => each.partition === partition)).toMatchObject({ low: '20', high: '22' });
  const read: number[] = [];
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 100 });
  await consumer.connect();
  await consumer.subscribe({ topic: topic.name, fromBeginning: true });
  await consumer.run({ eachMessage: async ({ message }) => void read.push(noteSchema.parse(JSON.parse(message.value!.toString())).n) });
  await waitFor(() => read.length >= 2, { what: 'the records that are left', deadlineMs: 20_000 });
  expect(read).toEqual([20, 21]);
  await Promise.all([consumer.disconnect(), admin.disconnect(), producer.disconnect()]);
});

test('a log that was wiped is another cluster', async () => {
  const clusterId = async (): Promise<string> => {
    const admin = new Kafka({ brokers: [broker!.address], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    const cluster = await admin.describeCluster();
    await admin.disconnect();
    return cluster.clusterId;
  };
  broker = await startLocalBroker({ directory });
  const first = await clusterId();
  await broker.stop();
  broker = await startLocalBroker({ directory });
  expect(await clusterId()).toBe(first);
  await broker.stop();
  await rm(directory, { recursive: true });
  broker = await startLocalBroker({ directory });
  expect(await clusterId()).not.toBe(first);
});

/** One producer that appends without end, over all partitions, and remembers what was acknowledged. */
class Load {
  readonly acknowledged = new Map<number, string>();
  private readonly open = new Set<Promise<void>>();
  private sent = 0;
  private timer: NodeJS.Timeout | undefined;

  private constructor(
    private readonly producer: RecordProducer,
    private readonly topic: Topic,
    private readonly number: number,
  ) {}

  static async start(address: string, topic: Topic, number: number): Promise<Load> {
    const producer = new RecordProducer({ ...log, brokers: [address], ackTimeoutMs: 20_000 });
    await producer.connect();
    const load = new Load(producer, topic, number);
    load.timer = setInterval(() => load.appendSome(), 2);
    return load;
  }

  /** Resolves when something more was acknowledged. */
  async progress(): Promise<void> {
    const before = this.acknowledged.size;
    await waitFor(() => this.acknowledged.size > before + 50, { what: 'acknowledgements', deadlineMs: 30_000 });
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await Promise.all(this.open);
    await this.producer.disconnect();
  }

  private appendSome(): void {
    for (let at = 0; at < 10 && this.open.size < 500; at += 1) {
      const n = 4 * this.sent + this.number;
      this.sent += 1;
      const append = this.producer
        .append(this.topic, Noted, { tenant: 'acme', customer: `c${this.sent % 10}`, n })
        .then(
          ({ partition, offset }) => void this.acknowledged.set(n, `${partition}/${offset}`),
          () => undefined, // it may be in the log or not
        )
        .finally(() => this.open.delete(append));
      this.open.add(append);
    }
  }
}

/** The broker as a process of its own, from the build of this test run. */
class BrokerProcess {
  private constructor(
    private readonly child: ChildProcess,
    readonly address: string,
  ) {}

  static async start(logDirectory: string, port = '0'): Promise<BrokerProcess> {
    const child = spawn(process.execPath, ['dist/apps/local-broker/src/main.js'], {
      env: { LOCAL_BROKER_DIRECTORY: logDirectory, LOCAL_BROKER_PORT: port },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    for await (const line of createInterface({ input: child.stdout })) {
      const { address } = JSON.parse(line) as { address?: string };
      if (address !== undefined) return new BrokerProcess(child, address);
    }
    throw new Error('the broker ended before it was ready');
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return this.child.exitCode;
    const exited = once(this.child, 'exit');
    this.child.kill(signal);
    const [code] = (await exited) as [number | null];
    return code;
  }
}
