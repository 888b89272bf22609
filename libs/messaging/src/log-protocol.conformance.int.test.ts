/** @module-tag both-logs The protocol as our client uses it; a real Kafka is the judge. */
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { Kafka, logLevel } from 'kafkajs';
import type { Logger } from 'kafkajs';
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { customerKey, name, recordType } from '#libs/contracts';
import type { Topic } from '#libs/contracts';
import { createTopics, testBrokers, uniqueName, waitFor } from '#libs/testing';
import { ensureTopics } from './index.js';
import { fetchResponse } from './kafka/fetch-response.js';
import type { FetchResponse } from './kafka/fetch-response.js';
import { kafkaClient } from './kafka/kafka-client.js';
import { fetchLogIds } from './kafka/topic-ids.js';

/**
 * The responses to single requests below the client: cases that the client's own tests can only reach by accident. Runs on the local broker and
 * on real Kafka; where they differ, the local broker is wrong.
 */

const brokers = testBrokers();
const log = { brokers, clientId: 'protocol', prefix: '' };
const raw = new Kafka({ brokers: [...brokers], clientId: 'protocol', logLevel: logLevel.NOTHING });
const admin = raw.admin();

const require = createRequire(import.meta.url);

/** One connection of kafkajs, which has no types. */
interface Connection {
  readonly connectionPool: { send(request: object): Promise<unknown> };
  disconnect(): Promise<void>;
  initProducerId(request: object): Promise<{ producerId: string; producerEpoch: number }>;
  produce(request: object): Promise<{ topics: { partitions: { baseOffset: string }[] }[] }>;
  fetch(request: object): Promise<{ responses: { partitions: Fetched[] }[] }>;
  listOffsets(request: object): Promise<{ responses: { partitions: { offset: string; timestamp: string }[] }[] }>;
  createTopics(request: object): Promise<unknown>;
  joinGroup(request: object): Promise<{ generationId: number; memberId: string; leaderId: string; members: { memberId: string }[] }>;
  syncGroup(request: object): Promise<unknown>;
  findGroupCoordinator(request: object): Promise<unknown>;
  heartbeat(request: object): Promise<unknown>;
  leaveGroup(request: object): Promise<unknown>;
  offsetCommit(request: object): Promise<unknown>;
  offsetFetch(request: object): Promise<{ responses: { partitions: { offset: string; metadata: string | null }[] }[] }>;
}

interface Fetched {
  partition: number;
  highWatermark: string;
  messages: { offset: string; value: Buffer | null }[];
}

interface ClusterClass {
  new (options: object): Cluster;
}

interface Cluster {
  connect(): Promise<void>;
  refreshMetadata(): Promise<void>;
  disconnect(): Promise<void>;
  findControllerBroker(): Promise<Connection>;
}

const clusters: Cluster[] = [];

/** Opens a connection. A broker handles the requests of one connection in order, so a request that waits needs its own. */
async function connection(): Promise<Connection> {
  const KafkajsCluster = require('kafkajs/src/cluster/index.js') as ClusterClass;
  const createSocketFactory = require('kafkajs/src/network/socketFactory.js') as () => unknown;
  const cluster = new KafkajsCluster({
    logger: (raw as unknown as { logger(): Logger }).logger(),
    socketFactory: createSocketFactory(),
    brokers: () => [...brokers],
    clientId: 'protocol',
    connectionTimeout: 3_000,
    requestTimeout: 30_000,
    enforceRequestTimeout: true,
    metadataMaxAge: 300_000,
    retry: { retries: 0 },
    isolationLevel: 1,
  });
  clusters.push(cluster);
  await cluster.connect();
  await cluster.refreshMetadata();
  return cluster.findControllerBroker();
}

let broker: Connection;
beforeAll(async () => {
  await admin.connect();
  broker = await connection();
  await waitFor(coordinatorsAreReady, { what: 'the coordinators', deadlineMs: 30_000 });
});

/** Kafka creates the topics of the coordinators when they are first needed. */
async function coordinatorsAreReady(): Promise<boolean> {
  const groupIds = Array.from({ length: 12 }, (_, n) => `warm-${n}`); // some on each of their partitions
  await Promise.all(groupIds.map((groupId) => answer(broker.findGroupCoordinator({ groupId, coordinatorType: 0 }))));
  const answers = await Promise.all(
    groupIds.map((groupId) => answer(broker.heartbeat({ groupId, memberId: 'nobody', groupGenerationId: 1 }))),
  );
  return answers.every((each) => each === 'UNKNOWN_MEMBER_ID') && (await answer(newProducer())) === 'NONE';
}
afterAll(async () => {
  await admin.disconnect();
  await Promise.all(clusters.map((cluster) => cluster.disconnect()));
});

const Noted = recordType('noted.v1', z.object({ tenant: name, customer: customerKey }));

async function newTopic(partitions = 1): Promise<string> {
  const topic: Topic = { name: uniqueName('protocol'), partitions, retentionMs: 3_600_000, types: [Noted] };
  await ensureTopics(log, [topic]);
  // A broker of Kafka shows a topic some time before it leads its partitions.
  await waitFor(() => admin.fetchTopicOffsets(topic.name), { what: `the leaders of ${topic.name}` });
  return topic.name;
}

/** The error name of a response, or `NONE`. */
async function answer(request: Promise<unknown>): Promise<string> {
  return request.then(
    () => 'NONE',
    (error: Error & { type?: string; errors?: readonly { type: string }[] }) => error.type ?? error.errors?.[0]?.type ?? error.message,
  );
}

interface Producer {
  producerId: string;
  producerEpoch: number;
}

function newProducer(): Promise<Producer> {
  return broker.initProducerId({ transactionalId: null, transactionTimeout: 30_000 });
}

/** `count` records from `firstSequence` on, in one batch. */
async function produce(
  topic: string,
  { producerId, producerEpoch }: Producer,
  firstSequence: number,
  options: { count?: number; partition?: number; values?: string[]; timestampsMs?: number[] } = {},
): Promise<number> {
  const {
    count = 1,
    partition = 0,
    values = Array.from({ length: count }, (_, n) => String(firstSequence + n)),
    timestampsMs = [],
  } = options;
  const messages = values.map((value, at) => ({
    key: null,
    value,
    headers: {},
    ...(timestampsMs[at] !== undefined && { timestamp: String(timestampsMs[at]) }),
  }));
  const { topics } = await broker.produce({
    acks: -1,
    timeout: 5_000,
    compression: 0,
    producerId,
    producerEpoch,
    topicData: [{ topic, partitions: [{ partition, firstSequence, messages }] }],
  });
  return Number(topics[0]!.partitions[0]!.baseOffset);
}

const anonymous: Producer = { producerId: '-1', producerEpoch: -1 };

async function fetchFrom(
  topic: string,
  offset: number,
  options: { minBytes?: number; maxBytes?: number; maxWaitTime?: number; partitions?: number[] } = {},
) {
  const { minBytes = 1, maxBytes = 1_000_000, maxWaitTime = 100, partitions = [0] } = options;
  const connectionOfItsOwn = await connection();
  const { responses } = await connectionOfItsOwn.fetch({
    replicaId: -1,
    isolationLevel: 1,
    maxWaitTime,
    minBytes,
    maxBytes,
    topics: [
      {
        topic,
        partitions: partitions.map((partition) => ({
          partition,
          currentLeaderEpoch: -1,
          fetchOffset: String(offset),
          maxBytes: 1_000_000,
        })),
      },
    ],
  });
  return responses.flatMap((response) => response.partitions);
}

async function valuesFrom(topic: string, offset: number): Promise<string[]> {
  const [fetched] = await fetchFrom(topic, offset);
  return fetched!.messages.filter((message) => Number(message.offset) >= offset).map(({ value }) => String(value));
}

test('a producer’s batches are taken in their order, and a repeat is where it was', async () => {
  const topic = await newTopic();
  const producer = await newProducer();
  const offsets = [];
  for (const sequence of [0, 2, 4, 6, 8, 10]) offsets.push(await produce(topic, producer, sequence, { count: 2 }));
  expect(offsets).toEqual([0, 2, 4, 6, 8, 10]);
  for (const sequence of [2, 4, 6, 8, 10]) expect(await produce(topic, producer, sequence, { count: 2 })).toBe(sequence);
  expect(await answer(produce(topic, producer, 14, { count: 2 }))).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
  expect(await answer(produce(topic, producer, 0, { count: 2 }))).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER'); // too long ago to be known
  expect(await answer(produce(topic, producer, 10, { count: 1 }))).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER'); // half of a known one
  expect(await produce(topic, producer, 12)).toBe(12);
  expect(await valuesFrom(topic, 0)).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12']);
});

test('a newer epoch of a producer starts at 0 and ends the older one', async () => {
  const topic = await newTopic();
  const old = await newProducer();
  await produce(topic, old, 0);
  const bumped = { ...old, producerEpoch: old.producerEpoch + 1 };
  expect(await answer(produce(topic, bumped, 5))).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
  expect(await produce(topic, bumped, 0)).toBe(1);
  expect(await answer(produce(topic, old, 1))).toBe('INVALID_PRODUCER_EPOCH');
  expect(await produce(topic, bumped, 1)).toBe(2);
});

test('sequences count per partition, and a producer that a partition has never seen may start anywhere', async () => {
  const topic = await newTopic(2);
  const producer = await newProducer();
  await produce(topic, producer, 0, { partition: 0 });
  expect(await produce(topic, producer, 7, { partition: 1 })).toBe(0);
  expect((await newProducer()).producerId).not.toBe(producer.producerId);
});

test('a batch for a partition that is not there is refused, those beside it are not', async () => {
  const topic = await newTopic();
  expect(await answer(produce(topic, anonymous, -1, { partition: 9, count: 1, values: ['x'] }))).toBe('UNKNOWN_TOPIC_OR_PARTITION');
  expect(await answer(produce(uniqueName('nowhere'), anonymous, -1, { values: ['x'] }))).toBe('UNKNOWN_TOPIC_OR_PARTITION');
});

test('a record from the future is refused', async () => {
  const topic = await newTopic();
  expect(await answer(produce(topic, anonymous, -1, { values: ['x'], timestampsMs: [Date.now() + 2 * 3_600_000] }))).toBe(
    'INVALID_TIMESTAMP',
  );
  expect(await produce(topic, anonymous, -1, { values: ['x'], timestampsMs: [Date.now() + 1_800_000] })).toBe(0);
});

test('a topic may take records from further ahead, and none from too far behind', async () => {
  const topic = uniqueName('protocol');
  const [ahead, behind] = [7 * 86_400_000, 3 * 86_400_000];
  const configEntries = [
    { name: 'message.timestamp.after.max.ms', value: String(ahead) },
    { name: 'message.timestamp.before.max.ms', value: String(behind) },
  ];
  await createTopics(admin, [{ topic, numPartitions: 1, configEntries }]);
  const append = (offMs: number) => answer(produce(topic, anonymous, -1, { values: ['x'], timestampsMs: [Date.now() + offMs] }));
  expect(await append(ahead - 3_600_000)).toBe('NONE');
  expect(await append(ahead + 3_600_000)).toBe('INVALID_TIMESTAMP');
  expect(await append(3_600_000 - behind)).toBe('NONE');
  expect(await append(-3_600_000 - behind)).toBe('INVALID_TIMESTAMP');
});

test('a batch larger than the topic takes is refused', async () => {
  const topic = uniqueName('protocol');
  const configEntries = [{ name: 'max.message.bytes', value: '1048576' }];
  await createTopics(admin, [{ topic, numPartitions: 1, configEntries }]);
  expect(await answer(produce(topic, anonymous, -1, { values: ['x'.repeat(2 * 1_048_576)] }))).toBe('MESSAGE_TOO_LARGE');
});

test('a fetch answers from an offset on, waits at the end, and refuses what is beyond it', async () => {
  const topic = await newTopic();
  await produce(topic, anonymous, -1, { values: ['a', 'b'] });
  await produce(topic, anonymous, -1, { values: ['c'] });
  expect(await valuesFrom(topic, 1)).toEqual(['b', 'c']);
  const before = performance.now();
  expect(await valuesFrom(topic, 3)).toEqual([]);
  expect(performance.now() - before).toBeGreaterThan(90);
  expect(await answer(fetchFrom(topic, 4))).toBe('OFFSET_OUT_OF_RANGE');
  expect(await answer(fetchFrom(uniqueName('nowhere'), 0))).toBe('UNKNOWN_TOPIC_OR_PARTITION');
});

test('a fetch waits for as many bytes as it wants, no longer than it says, and is woken when they come', async () => {
  const topic = await newTopic();
  await produce(topic, anonymous, -1, { values: ['x'.repeat(1_000)] });
  const short = performance.now();
  expect((await fetchFrom(topic, 0, { minBytes: 5_000, maxWaitTime: 300 }))[0]!.messages).toHaveLength(1);
  expect(performance.now() - short).toBeGreaterThan(250);
  const long = performance.now();
  const waiting = fetchFrom(topic, 0, { minBytes: 5_000, maxWaitTime: 20_000 });
  for (let n = 0; n < 5; n += 1) await produce(topic, anonymous, -1, { values: ['x'.repeat(1_000)] });
  expect((await waiting)[0]!.messages.length).toBeGreaterThan(3);
  expect(performance.now() - long).toBeLessThan(15_000);
});

test('a fetch gives no more bytes than it may, but always a batch where there is one', async () => {
  const topic = await newTopic(4);
  for (const partition of [0, 1, 2, 3]) {
    for (let n = 0; n < 3; n += 1) await produce(topic, anonymous, -1, { partition, values: ['x'.repeat(1_000)] });
  }
  const sizesOf = (fetched: Fetched[]) => fetched.reduce((sum, { messages }) => sum + messages.length, 0);
  expect(sizesOf(await fetchFrom(topic, 0, { partitions: [0, 1, 2, 3], maxBytes: 10 }))).toBe(1);
  expect(sizesOf(await fetchFrom(topic, 0, { partitions: [0, 1, 2, 3], maxBytes: 2_300 }))).toBe(2);
  expect(sizesOf(await fetchFrom(topic, 0, { partitions: [0, 1, 2, 3] }))).toBe(12);
});

const encodeFetch = require('kafkajs/src/protocol/requests/fetch/v11/request.js') as (request: object) => object;

/** A client that fetches in a session, with the topic and what it names: `0@5` is offset 5 of partition 0. */
function sessionOn(topic: string, on: Connection = broker) {
  let [sessionId, sessionEpoch] = [0, 0];
  /** Sends a request. Returns the partitions that the response names, as `0@5: a b`: the end of the partition and its new values. */
  const request = async (named: string[], { forgotten = [] as number[], maxWaitTime = 0, id = sessionId, epoch = sessionEpoch } = {}) => {
    const partitions = named.map((text) => {
      const [partition, fetchOffset] = text.split('@') as [string, string];
      return { partition: Number(partition), currentLeaderEpoch: -1, fetchOffset, maxBytes: 1_000_000 };
    });
    const encoded = encodeFetch({
      replicaId: -1,
      maxWaitTime,
      minBytes: 1,
      maxBytes: 1_000_000,
      isolationLevel: 1,
      sessionId: id,
      sessionEpoch: epoch,
      topics: partitions.length === 0 ? [] : [{ topic, partitions }],
      forgottenTopics: forgotten.length === 0 ? [] : [{ topic, partitions: forgotten }],
    });
    const response = { decode: fetchResponse.decode, parse: (decoded: unknown) => decoded };
    const answered = (await on.connectionPool.send({ request: encoded, response })) as FetchResponse;
    const fetched = answered.responses.flatMap((each) => each.partitions).toSorted((a, b) => a.partition - b.partition);
    const texts = fetched.map(({ partition, errorCode, highWatermark, messages }) => {
      const values = (messages as { value: Buffer }[]).map(({ value }) => ` ${value.toString()}`).join('');
      return errorCode === 0 ? `${partition}@${highWatermark}:${values}` : `${partition} error ${errorCode}`;
    });
    return { error: answered.errorCode, sessionId: answered.sessionId, texts };
  };
  return {
    request,
    /** The next request of the session. */
    fetch: async (named: string[], options: { forgotten?: number[]; maxWaitTime?: number } = {}) => {
      const answered = await request(named, options);
      expect(answered.error).toBe(0);
      ({ sessionId } = answered);
      sessionEpoch = sessionId === 0 ? 0 : sessionEpoch + 1;
      return answered.texts;
    },
    get id() {
      return sessionId;
    },
  };
}

const [sessionNotFound, invalidEpoch, outOfRange] = [70, 71, 1];

test('a fetch session remembers what it was told, and answers with the partitions that have something new', async () => {
  const topic = await newTopic(3);
  const session = sessionOn(topic);
  expect(await session.fetch(['0@0', '1@0', '2@0'])).toEqual(['0@0:', '1@0:', '2@0:']);
  expect(session.id).toBeGreaterThan(0);
  expect(await session.fetch([])).toEqual([]);
  await produce(topic, anonymous, -1, { partition: 1, values: ['a', 'b'] });
  expect(await session.fetch([])).toEqual(['1@2: a b']);
  expect(await session.fetch([])).toEqual(['1@2: a b']); // its offset has not changed
  expect(await session.fetch(['1@2'])).toEqual([]);
  await produce(topic, anonymous, -1, { partition: 0, values: ['c'] });
  expect(await session.fetch([])).toEqual(['0@1: c']);
});

test('a fetch in a session waits for the first record of any of its partitions', async () => {
  const topic = await newTopic(2);
  const session = sessionOn(topic, await connection());
  await session.fetch(['0@0', '1@0']);
  const waiting = session.fetch([], { maxWaitTime: 20_000 });
  await produce(topic, anonymous, -1, { partition: 1, values: ['a'] });
  expect(await waiting).toEqual(['1@1: a']);
});

test('a forgotten partition is not read until it is named again, and a session without partitions ends', async () => {
  const topic = await newTopic(2);
  const session = sessionOn(topic);
  await session.fetch(['0@0', '1@0']);
  await produce(topic, anonymous, -1, { partition: 0, values: ['a'] });
  expect(await session.fetch([], { forgotten: [0] })).toEqual([]);
  expect(await session.fetch(['0@0'], { forgotten: [1] })).toEqual(['0@1: a']);
  const { id } = session;
  expect(await session.fetch([], { forgotten: [0], maxWaitTime: 20_000 })).toEqual([]); // answered at once
  expect(session.id).toBe(0);
  expect((await session.request([], { id, epoch: 4 })).error).toBe(sessionNotFound);
});

test('a session is refused in another order of its requests, when it is unknown, and after it has ended', async () => {
  const session = sessionOn(await newTopic());
  await session.fetch(['0@0']);
  const { id } = session;
  for (const epoch of [2, 7]) expect(await session.request([], { id, epoch })).toEqual({ error: invalidEpoch, sessionId: 0, texts: [] });
  expect(await session.fetch([])).toEqual([]);
  expect((await session.request([], { id, epoch: 1 })).error).toBe(invalidEpoch); // a repeat
  expect((await session.request([], { id: id === 1 ? 2_147_483_647 : id - 1, epoch: 1_000 })).error).toBeGreaterThanOrEqual(
    sessionNotFound,
  );
  expect(await session.request(['0@0'], { id, epoch: -1 })).toEqual({ error: 0, sessionId: 0, texts: ['0@0:'] });
  expect((await session.request([], { id, epoch: 2 })).error).toBe(sessionNotFound);
});

test('a session that begins in place of another ends it', async () => {
  const session = sessionOn(await newTopic());
  await session.fetch(['0@0']);
  const { id } = session;
  const next = await session.request(['0@0'], { id, epoch: 0 });
  expect([next.error, next.sessionId === id, next.texts]).toEqual([0, false, ['0@0:']]);
  expect((await session.request([], { id, epoch: 1 })).error).toBe(sessionNotFound);
});

test('a partition in error is named in every response of a session, and once more when it is readable', async () => {
  const topic = await newTopic(2);
  const session = sessionOn(topic);
  expect(await session.fetch(['0@0', '1@5'])).toEqual(['0@0:', `1 error ${outOfRange}`]);
  expect(await session.fetch([], { maxWaitTime: 20_000 })).toEqual([`1 error ${outOfRange}`]);
  expect(await session.fetch(['1@0'])).toEqual(['1@0:']);
  expect(await session.fetch([])).toEqual([]);
});

test('an offset is found by its time: the first record at or after it', async () => {
  const topic = await newTopic();
  const start = Date.now() - 100_000;
  await produce(topic, anonymous, -1, { values: ['a', 'b', 'c'], timestampsMs: [start, start + 10, start + 20] });
  await produce(topic, anonymous, -1, { values: ['d', 'e'], timestampsMs: [start + 50, start + 5] });
  const at = async (timestamp: number) => {
    const { responses } = await broker.listOffsets({
      replicaId: -1,
      isolationLevel: 1,
      topics: [{ topic, partitions: [{ partition: 0, timestamp }] }],
    });
    const [found] = responses[0]!.partitions;
    return [Number(found!.offset), Number(found!.timestamp)];
  };
  expect(await at(start - 1)).toEqual([0, start]);
  expect(await at(start + 1)).toEqual([1, start + 10]);
  expect(await at(start + 20)).toEqual([2, start + 20]);
  expect(await at(start + 21)).toEqual([3, start + 50]);
  expect(await at(start + 51)).toEqual([-1, -1]);
  expect(await at(-1)).toEqual([5, -1]);
  expect(await at(-2)).toEqual([0, -1]);
});

test('a topic is created once, and only as it can be', async () => {
  const topic = uniqueName('protocol');
  const create = (changes: object) =>
    answer(
      broker.createTopics({ topics: [{ topic, numPartitions: 2, replicationFactor: 1, configEntries: [], ...changes }], timeout: 5_000 }),
    );
  expect(await create({ topic: 'no/such name' })).toBe('INVALID_TOPIC_EXCEPTION');
  expect(await create({ numPartitions: 0 })).toBe('INVALID_PARTITIONS');
  expect(await create({ replicationFactor: 9 })).toBe('INVALID_REPLICATION_FACTOR');
  expect(await create({ configEntries: [{ name: 'retention.ms', value: 'soon' }] })).toBe('INVALID_CONFIG');
  expect(await create({ configEntries: [{ name: 'no.such.setting', value: '1' }] })).toBe('INVALID_CONFIG');
  expect(
    await create({
      configEntries: [
        { name: 'segment.ms', value: '60000' },
        { name: 'retention.bytes', value: '1000000' },
      ],
    }),
  ).toBe('NONE');
  expect(await create({})).toBe('TOPIC_ALREADY_EXISTS');
});

const protocols = [{ name: 'roundrobin', metadata: Buffer.from('any') }];

interface Membership {
  connection: Connection;
  group: string;
  memberId: string;
  generation: number;
}

async function join(group: string, member: { connection: Connection; memberId?: string }, sessionTimeout = 6_000): Promise<Membership> {
  const { generationId, memberId } = await member.connection.joinGroup({
    groupId: group,
    sessionTimeout,
    rebalanceTimeout: 10_000,
    memberId: member.memberId ?? '',
    groupProtocols: protocols,
  });
  return { connection: member.connection, group, memberId, generation: generationId };
}

const groupOf = ({ group, memberId }: Membership) => ({ groupId: group, memberId });

function sync(member: Membership, generationId = member.generation): Promise<string> {
  const groupAssignment = [{ memberId: member.memberId, memberAssignment: Buffer.from('all') }];
  return answer(member.connection.syncGroup({ ...groupOf(member), generationId, groupAssignment }));
}

function beat(member: Membership, groupGenerationId = member.generation): Promise<string> {
  return answer(member.connection.heartbeat({ ...groupOf(member), groupGenerationId }));
}

function commit(
  member: Membership,
  topic: string,
  offset: number,
  options: { generation?: number; metadata?: string; partition?: number } = {},
): Promise<string> {
  const { generation = member.generation, metadata, partition = 0 } = options;
  return answer(
    member.connection.offsetCommit({
      ...groupOf(member),
      groupGenerationId: generation,
      topics: [{ topic, partitions: [{ partition, offset: String(offset), ...(metadata !== undefined && { metadata }) }] }],
    }),
  );
}

async function committed(group: string, topic: string): Promise<[number, string | null]> {
  const { responses } = await broker.offsetFetch({ groupId: group, topics: [{ topic, partitions: [{ partition: 0 }] }] });
  const [found] = responses[0]!.partitions;
  return [Number(found!.offset), found!.metadata];
}

const members: Membership[] = [];
afterEach(async () => {
  await Promise.all(members.splice(0).map((member) => answer(member.connection.leaveGroup(groupOf(member)))));
});

/** A group of one, at work. */
async function alone(): Promise<Membership> {
  const member = await join(uniqueName('group'), { connection: await connection() });
  expect(await sync(member)).toBe('NONE');
  members.push(member);
  return member;
}

test('a member is fenced by its generation and its id: heartbeat, sync and commit', async () => {
  const topic = await newTopic();
  const member = await alone();
  expect([await beat(member), await commit(member, topic, 1)]).toEqual(['NONE', 'NONE']);
  for (const generation of [member.generation - 1, member.generation + 1]) {
    expect([await beat(member, generation), await sync(member, generation), await commit(member, topic, 2, { generation })]).toEqual(
      Array(3).fill('ILLEGAL_GENERATION'),
    );
  }
  const stranger = { ...member, memberId: 'stranger' };
  expect([await beat(stranger), await sync(stranger), await commit(stranger, topic, 2)]).toEqual(Array(3).fill('UNKNOWN_MEMBER_ID'));
  expect(await answer(join(member.group, stranger))).toBe('UNKNOWN_MEMBER_ID');
  const simple = { ...member, memberId: '' };
  expect(await commit(simple, topic, 2, { generation: -1 })).toBe('UNKNOWN_MEMBER_ID');
  expect(await committed(member.group, topic)).toEqual([1, '']);
});

test('while members join, the last generation may still commit; while the leader assigns, nobody may', async () => {
  const topic = await newTopic();
  const first = await alone();
  const joining = join(first.group, { connection: await connection() });
  await expect.poll(() => beat(first)).toBe('REBALANCE_IN_PROGRESS');
  expect(await commit(first, topic, 5)).toBe('NONE');
  expect(await sync(first)).toBe('REBALANCE_IN_PROGRESS');
  const [leader, follower] = await Promise.all([join(first.group, first), joining]);
  members.push(follower);
  expect(leader.generation).toBe(first.generation + 1);
  expect([await beat(leader), await commit(leader, topic, 6)]).toEqual(['NONE', 'REBALANCE_IN_PROGRESS']);
  expect(await commit(first, topic, 6)).toBe('ILLEGAL_GENERATION');
  expect(await sync(leader)).toBe('NONE');
  expect(await sync(follower)).toBe('NONE');
  expect(await commit(leader, topic, 7)).toBe('NONE');
  expect(await commit(follower, topic, 8)).toBe('NONE'); // nobody checks whose partition it is
  members.splice(0, members.length, leader, follower);
});

test('who leaves is unknown from then on, and the group goes on without it', async () => {
  const member = await alone();
  expect(await answer(member.connection.leaveGroup(groupOf(member)))).toBe('NONE');
  expect(await answer(member.connection.leaveGroup(groupOf(member)))).toBe('UNKNOWN_MEMBER_ID');
  expect(await beat(member)).toBe('UNKNOWN_MEMBER_ID');
  const next = await join(member.group, { connection: await connection() });
  members.push(next);
  expect(next.generation).toBeGreaterThan(member.generation);
});

test('who commits stays a member, who is silent for longer than its session does not', async () => {
  const topic = await newTopic();
  const member = await alone();
  const since = performance.now();
  await expect
    .poll(async () => [await commit(member, topic, 1), performance.now() - since > 8_000], { timeout: 20_000, interval: 1_000 })
    .toEqual(['NONE', true]);
  const asAnotherGeneration = member.generation + 1; // so that asking is no sign of life
  await expect.poll(() => beat(member, asAnotherGeneration), { timeout: 20_000, interval: 500 }).toBe('UNKNOWN_MEMBER_ID');
  expect(await commit(member, topic, 2)).toBe('UNKNOWN_MEMBER_ID');
});

test('a group without members takes offsets from whoever names no generation, and from nobody else', async () => {
  const topic = await newTopic();
  const nobody = { connection: broker, group: uniqueName('group'), memberId: '', generation: -1 };
  expect(await commit({ ...nobody, memberId: 'x', generation: 3 }, topic, 1)).toBe('ILLEGAL_GENERATION');
  expect(await commit(nobody, topic, 4)).toBe('NONE');
  expect(await committed(nobody.group, topic)).toEqual([4, '']);
  expect(await commit({ ...nobody, memberId: 'x', generation: 3 }, topic, 1)).toBe('UNKNOWN_MEMBER_ID');
});

test('groups are listed and described with their members, and deleted when they have none', async () => {
  const topic = await newTopic();
  const member = await alone();
  expect(await commit(member, topic, 1)).toBe('NONE');
  const listed = async (): Promise<unknown> => (await admin.listGroups()).groups.find(({ groupId }) => groupId === member.group);
  const described = async (groupId: string): Promise<unknown> => {
    const [group] = (await admin.describeGroups([groupId])).groups;
    const { state, protocolType, members: all } = group!;
    return {
      state,
      protocolType,
      members: all.map(({ memberId, clientId, memberAssignment }) => [memberId, clientId, memberAssignment.toString()]),
    };
  };
  expect(await listed()).toMatchObject({ protocolType: 'consumer' });
  expect(await described(member.group)).toEqual({
    state: 'Stable',
    protocolType: 'consumer',
    members: [[member.memberId, 'protocol', 'all']],
  });
  await expect(admin.deleteGroups([member.group])).rejects.toMatchObject({ groups: [{ error: { type: 'NON_EMPTY_GROUP' } }] });
  await member.connection.leaveGroup(groupOf(member));
  members.splice(0);
  expect(await listed()).toMatchObject({ protocolType: 'consumer' });
  expect(await described(member.group)).toEqual({ state: 'Empty', protocolType: 'consumer', members: [] });
  await admin.deleteGroups([member.group]);
  expect(await listed()).toBeUndefined();
  expect(await committed(member.group, topic)).toEqual([-1, '']);
  await expect(admin.deleteGroups([member.group])).rejects.toMatchObject({ groups: [{ error: { type: 'GROUP_ID_NOT_FOUND' } }] });
  expect(await described(uniqueName('nobody'))).toEqual({ state: 'Dead', protocolType: '', members: [] });
});

test('a session that is too short or too long is refused', async () => {
  for (const timeout of [1_000, 3_600_000]) {
    expect(await answer(join(uniqueName('group'), { connection: broker }, timeout))).toBe('INVALID_SESSION_TIMEOUT');
  }
});

test('a commit’s note comes back as it was written, up to 4096 characters, and one that is longer is refused', async () => {
  const topic = await newTopic(2);
  const member = await alone();
  expect(await committed(member.group, topic)).toEqual([-1, '']);
  for (const metadata of ['v1|12,14-17', 'ü€', '', 'x'.repeat(4_096)]) {
    expect(await commit(member, topic, 12, { metadata })).toBe('NONE');
    expect(await committed(member.group, topic)).toEqual([12, metadata]);
  }
  expect(await commit(member, topic, 13, { metadata: 'x'.repeat(4_097) })).toBe('OFFSET_METADATA_TOO_LARGE');
  expect((await committed(member.group, topic))[0]).toBe(12);
  expect(await commit(member, topic, -2)).toBe('NONE'); // kafkajs commits it after OFFSET_OUT_OF_RANGE
  expect(await committed(member.group, topic)).toEqual([-2, '']);
  expect(await commit(member, uniqueName('nowhere'), 1)).toBe('UNKNOWN_TOPIC_OR_PARTITION');
});

test('the admin’s view of a topic’s ends is that of its readers', async () => {
  const topic = await newTopic(2);
  await produce(topic, anonymous, -1, { partition: 1, values: ['a', 'b', 'c'] });
  const ends = await admin.fetchTopicOffsets(topic);
  expect(ends.toSorted((a, b) => a.partition - b.partition).map(({ partition, low, high }) => [partition, low, high])).toEqual([
    [0, '0', '0'],
    [1, '0', '3'],
  ]);
});

type Step = { kind: 'next' | 'repeat' | 'skip'; producer: number; count: number } | { kind: 'bump'; producer: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('next' as const), producer: fc.nat(2), count: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('repeat' as const), producer: fc.nat(2), count: fc.nat(7) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('skip' as const), producer: fc.nat(2), count: fc.constant(1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('bump' as const), producer: fc.nat(2) }) },
);

test('whatever producers send again, skip or start anew, the log has each record once and in order', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const topic = await newTopic();
      const producers = await Promise.all(
        [0, 1, 2].map(async () => ({
          ...(await newProducer()),
          next: 0,
          batches: [] as { first: number; count: number; offset: number }[],
        })),
      );
      const expected: string[] = [];
      for (const { producer: at, ...todo } of steps) {
        const producer = producers[at]!;
        const send = (first: number, count: number) =>
          produce(topic, producer, first, { values: valuesOf(at, producer.producerEpoch, first, count) });
        if (todo.kind === 'bump') {
          if (producer.batches.length > 0) Object.assign(producer, { producerEpoch: producer.producerEpoch + 1, next: 0, batches: [] });
        } else if (todo.kind === 'next') {
          const offset = await send(producer.next, todo.count);
          expect(offset).toBe(expected.length);
          producer.batches.push({ first: producer.next, count: todo.count, offset });
          expected.push(...valuesOf(at, producer.producerEpoch, producer.next, todo.count));
          producer.next += todo.count;
        } else if (todo.kind === 'skip') {
          if (producer.batches.length > 0) expect(await answer(send(producer.next + 1, 1))).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
        } else {
          const repeated = producer.batches.at(-1 - todo.count);
          if (repeated === undefined) continue;
          const sent = send(repeated.first, repeated.count);
          if (todo.count < 5) expect(await sent).toBe(repeated.offset);
          else expect(await answer(sent)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
        }
      }
      expect(await valuesFrom(topic, 0)).toEqual(expected);
    }),
    { numRuns: 15 },
  );
});

function valuesOf(producer: number, epoch: number, first: number, count: number): string[] {
  return Array.from({ length: count }, (_, n) => `${producer}/${epoch}/${first + n}`);
}

test('a topic has an identity that stays, and no other topic has it, not even one that is created anew under its name', async () => {
  const [one, other] = [uniqueName('topic'), uniqueName('topic')];
  const client = kafkaClient({ ...log, requestTimeoutMs: 10_000, retry: { retries: 5 } }).admin();
  await client.connect();
  try {
    await createTopics(
      client,
      [one, other].map((topic) => ({ topic, numPartitions: 2 })),
    );
    const { topics: ids, clusterId } = await fetchLogIds(client, [one, other]);
    expect([...ids.values()].every((id) => /^[\w-]{22}$/.test(id))).toBe(true);
    expect(ids.get(one)).not.toBe(ids.get(other));
    expect(await fetchLogIds(client, [one, other])).toEqual({ topics: ids, clusterId });
    expect(clusterId).toBe((await client.describeCluster()).clusterId);
    if (!inject('onKafka')) return; // the local broker deletes no topics
    await client.deleteTopics({ topics: [one] });
    const anew = await waitFor(
      async () => {
        await client.createTopics({ topics: [{ topic: one, numPartitions: 2 }], waitForLeaders: false });
        const id = (await fetchLogIds(client, [one])).topics.get(one);
        return id !== ids.get(one) && id;
      },
      { what: 'the topic to be created anew' },
    );
    expect(anew).toMatch(/^[\w-]{22}$/);
  } finally {
    await client.disconnect();
  }
});
