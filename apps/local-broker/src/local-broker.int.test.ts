import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { build } from 'vite';
import { z } from 'zod';
import { customerKey, name, recordType } from '#libs/contracts';
import type { Topic } from '#libs/contracts';
import { RecordProducer, ensureTopics } from '#libs/messaging';
import { uniqueName, waitFor } from '#libs/testing';
import { startLocalBroker } from './local-broker.js';
import type { LocalBroker } from './local-broker.js';

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

test('records, topics and committed offsets outlive the broker', async () => {
  broker = await startLocalBroker({ directory });
  const topic = await newTopic([broker.address]);
  const producer = new RecordProducer({ ...log, brokers: [broker.address] });
  for (let n = 0; n < 10; n += 1) await producer.append(topic, Noted, { tenant: 'acme', customer: 'c', n });
  await producer.disconnect();
  const group = uniqueName('group');
  const kafka = new Kafka({ brokers: [broker.address], logLevel: logLevel.NOTHING });
  const committer = kafka.consumer({ groupId: group });
  await committer.connect();
  await committer.subscribe({ topic: topic.name });
  await committer.run({ autoCommit: false, eachMessage: async () => undefined });
  await committer.commitOffsets([{ topic: topic.name, partition: 2, offset: '5', metadata: 'v1' }]);
  await committer.disconnect();
  await broker.stop();

  broker = await startLocalBroker({ directory });
  expect((await numbersIn(broker.address, topic, 10)).flat()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const after = new Kafka({ brokers: [broker.address], logLevel: logLevel.NOTHING }).admin();
  await after.connect();
  const [offsets] = await after.fetchOffsets({ groupId: group, topics: [topic.name] });
  await after.disconnect();
  expect(offsets!.partitions.map(({ offset }) => offset)).toEqual(['-1', '-1', '5', '-1']);
  expect(offsets!.partitions[2]!.metadata).toBe('v1');
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

beforeAll(() => BrokerProcess.bundle());
afterAll(() => BrokerProcess.removeBundle());

test('kill -9 in the middle of appends, again and again: what was acknowledged is there once and in order, and appends go on', async () => {
  alone = await BrokerProcess.start(directory);
  const { address } = alone;
  const port = address.split(':')[1]!;
  const topic = await newTopic([address]);
  const producer = new RecordProducer({ ...log, brokers: [address], ackTimeoutMs: 20_000 });
  await producer.connect();
  const acknowledged = new Map<number, string>();
  const appends: Promise<void>[] = [];
  const appendSome = (): void => {
    for (let at = 0; at < 20; at += 1) {
      const n = appends.length;
      const append = producer.append(topic, Noted, { tenant: 'acme', customer: `c${n % 10}`, n });
      const unknown = (): void => undefined; // it may be in the log or not
      appends.push(append.then(({ partition, offset }) => void acknowledged.set(n, `${partition}/${offset}`), unknown));
    }
  };
  for (let kill = 0; kill < 3; kill += 1) {
    const before = acknowledged.size;
    const load = setInterval(appendSome, 2);
    await waitFor(() => acknowledged.size > before + 300, { what: 'acknowledgements', deadlineMs: 20_000 });
    await alone.end('SIGKILL');
    clearInterval(load);
    alone = await BrokerProcess.start(directory, port);
  }
  await Promise.all(appends);
  await producer.disconnect();

  const stored = await numbersIn(address, topic, acknowledged.size);
  expect(new Set(stored.flat()).size).toBe(stored.flat().length);
  const places = new Map(stored.flatMap((numbers, partition) => numbers.map((n, offset) => [n, `${partition}/${offset}`] as const)));
  for (const [n, place] of acknowledged) expect(places.get(n)).toBe(place);
  for (const ofCustomer of Map.groupBy(stored.flat(), (n) => n % 10).values()) {
    expect(ofCustomer).toEqual(ofCustomer.toSorted((a, b) => a - b));
  }
  expect(await alone.end('SIGTERM')).toBe(0);
});

/** The broker as a process of its own, bundled from the sources: a stale build would prove nothing. */
class BrokerProcess {
  static #bundle: string | undefined;

  private constructor(
    private readonly child: ChildProcess,
    readonly address: string,
  ) {}

  static async bundle(): Promise<void> {
    const outDir = await mkdtemp(join(await cacheDirectory(), 'broker-'));
    await build({
      configFile: false,
      logLevel: 'error',
      resolve: { conditions: ['source', 'module', 'node'] },
      ssr: { resolve: { conditions: ['source', 'module', 'node'] } },
      build: { ssr: new URL('main.ts', import.meta.url).pathname, outDir, minify: false },
    });
    BrokerProcess.#bundle = outDir;
  }

  static async removeBundle(): Promise<void> {
    await rm(BrokerProcess.#bundle!, { recursive: true });
  }

  static async start(logDirectory: string, port = '0'): Promise<BrokerProcess> {
    const child = spawn(process.execPath, [join(BrokerProcess.#bundle!, 'main.js')], {
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

/** Inside node_modules, so that the bundle finds the packages it leaves out. */
async function cacheDirectory(): Promise<string> {
  const cache = new URL('../../../node_modules/.cache/millrace', import.meta.url).pathname;
  await mkdir(cache, { recursive: true });
  return cache;
}
