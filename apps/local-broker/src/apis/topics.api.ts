import type { RecordPosition } from '../log/segment.js';
import { readTopicConfig } from '../log/topic-config.js';
import type { TopicSpec } from '../log/topic-store.js';
import { errorCodes } from '../wire/error-codes.js';
import type { ErrorCode } from '../wire/error-codes.js';
import type { WireReader } from '../wire/wire-reader.js';
import { WireWriter } from '../wire/wire-writer.js';
import { nodeId } from './api.js';
import type { Api, Broker } from './api.js';

/** Version 6 is the newest of kafkajs itself; 12 has the ids of topics, which `libs/messaging` asks for. Those between differ in small things. */
export const metadata: Api = {
  key: 3,
  name: 'Metadata',
  minVersion: 6,
  maxVersion: 12,
  flexibleFrom: 9,
  async handle(request, broker, { version }) {
    return version < 9 ? metadataPlain(request, broker, version) : metadataCompact(request, broker, version);
  },
};

const partitionsOf = (topic: TopicSpec | undefined): number[] =>
  Array.from({ length: topic?.partitions ?? 0 }, (_, partition) => partition);
const existence = (topic: TopicSpec | undefined): ErrorCode => (topic === undefined ? errorCodes.unknownTopicOrPartition : errorCodes.none);
/** The value of the fields of authorized operations where they were not asked for. */
const noOperations = -2_147_483_648;
const leaderEpoch = 0;

function metadataPlain(request: WireReader, broker: Broker, version: number): WireWriter {
  const names = request.nullableArray(() => request.string()) ?? broker.topics.all.map(({ name }) => name);
  const response = new WireWriter().int32(0);
  response.array([broker], ({ host, port }) => response.int32(nodeId).string(host).int32(port).string(null));
  response.string(broker.clusterId).int32(nodeId);
  response.array(names, (name) => {
    const topic = broker.topics.topic(name);
    response.int16(existence(topic)).string(name).boolean(false);
    response.array(partitionsOf(topic), (partition) => {
      response.int16(errorCodes.none).int32(partition).int32(nodeId);
      if (version >= 7) response.int32(leaderEpoch);
      response.int32(1).int32(nodeId).int32(1).int32(nodeId).int32(0); // one replica, in sync; none offline
    });
    if (version >= 8) response.int32(noOperations);
  });
  return version >= 8 ? response.int32(noOperations) : response;
}

function metadataCompact(request: WireReader, broker: Broker, version: number): WireWriter {
  const wanted = request.compactNullableArray(() => {
    if (version >= 10) request.uuid(); // topics are looked up by their names
    const name = request.compactNullableString() ?? '';
    request.taggedFields();
    return name;
  });
  const names = wanted ?? broker.topics.all.map(({ name }) => name);
  const response = new WireWriter().int32(0);
  response.compactArray([broker], ({ host, port }) =>
    response.int32(nodeId).compactString(host).int32(port).compactString(null).noTaggedFields(),
  );
  response.compactString(broker.clusterId).int32(nodeId);
  response.compactArray(names, (name) => {
    const topic = broker.topics.topic(name);
    response.int16(existence(topic)).compactString(name);
    if (version >= 10) response.uuid(topic === undefined ? Buffer.alloc(16) : Buffer.from(topic.id, 'base64url'));
    response.boolean(false);
    response.compactArray(partitionsOf(topic), (partition) => {
      response.int16(errorCodes.none).int32(partition).int32(nodeId).int32(leaderEpoch);
      for (const nodes of [[nodeId], [nodeId], []]) response.compactArray(nodes, (node) => response.int32(node));
      response.noTaggedFields();
    });
    response.int32(noOperations).noTaggedFields();
  });
  if (version <= 10) response.int32(noOperations);
  return response.noTaggedFields();
}

export const createTopics: Api = {
  key: 19,
  name: 'CreateTopics',
  minVersion: 3,
  maxVersion: 3,
  async handle(request, broker) {
    const wanted = request.array(() => ({
      name: request.string(),
      partitions: request.int32(),
      replication: request.int16(),
      assignments: request.array(() => [request.int32(), request.array(() => request.int32())]),
      config: new Map(request.array(() => [request.string(), request.nullableString()] as const)),
    }));
    request.int32(); // timeout
    const validateOnly = request.boolean();
    const results: ({ name: string } & TopicResult)[] = [];
    for (const topic of wanted) results.push({ name: topic.name, ...(await create(broker, topic, validateOnly)) });
    const response = new WireWriter().int32(0);
    return response.array(results, ({ name, error, message = null }) => response.string(name).int16(error).string(message));
  },
};

interface WantedTopic {
  readonly name: string;
  readonly partitions: number;
  readonly replication: number;
  readonly config: ReadonlyMap<string, string | null>;
}

interface TopicResult {
  readonly error: ErrorCode;
  readonly message?: string;
}

async function create(
  { topics }: Broker,
  { name, partitions, replication, config }: WantedTopic,
  validateOnly: boolean,
): Promise<TopicResult> {
  // A topic name becomes a directory name, which Kafka's rule for names allows. `journal` is the directory beside them.
  if (!/^[a-zA-Z0-9._-]{1,249}$/.test(name) || ['.', '..', 'journal'].includes(name)) return { error: errorCodes.invalidTopic };
  if (topics.topic(name) !== undefined) return { error: errorCodes.topicAlreadyExists };
  const count = partitions === -1 ? 1 : partitions;
  if (count < 1 || count > 1_000) return { error: errorCodes.invalidPartitions };
  if (replication > 1) return { error: errorCodes.invalidReplicationFactor, message: 'The local broker is one node' };
  const { spec, problem } = readTopicConfig(config);
  if (spec === undefined) return { error: errorCodes.invalidConfig, message: problem };
  if (validateOnly) return { error: errorCodes.none };
  try {
    const created = await topics.create({ name, partitions: count, ...spec });
    return { error: created ? errorCodes.none : errorCodes.topicAlreadyExists };
  } catch (error) {
    return { error: errorCodes.storageError, message: String(error) };
  }
}

const latest = -1;
const earliest = -2;

/** A negative time asks for the start or the end of a partition, any other time for the first record at or after it. */
export const listOffsets: Api = {
  key: 2,
  name: 'ListOffsets',
  minVersion: 3,
  maxVersion: 3,
  async handle(request, broker) {
    request.int32(); // replica id
    request.int8(); // isolation level
    const topics = request.array(() => ({
      topic: request.string(),
      partitions: request.array(() => ({ partition: request.int32(), timestamp: request.int64() })),
    }));
    const found = await Promise.all(
      topics.map(async ({ topic, partitions }) => ({
        topic,
        partitions: await Promise.all(
          partitions.map(async ({ partition, timestamp }) => ({ partition, ...(await find(broker, topic, partition, timestamp)) })),
        ),
      })),
    );
    const response = new WireWriter().int32(0);
    return response.array(found, ({ topic, partitions }) => {
      response.string(topic).array(partitions, ({ partition, error, timestampMs, offset }) => {
        response.int32(partition).int16(error).int64(timestampMs).int64(offset);
      });
    });
  },
};

const noRecord = { offset: -1, timestampMs: -1 };

async function find(
  { topics }: Broker,
  topic: string,
  partition: number,
  timestamp: number,
): Promise<{ error: ErrorCode } & RecordPosition> {
  const log = topics.partition(topic, partition);
  if (log === undefined) return { error: errorCodes.unknownTopicOrPartition, ...noRecord };
  if (timestamp === latest) return { error: errorCodes.none, ...noRecord, offset: log.endOffset };
  if (timestamp === earliest) return { error: errorCodes.none, ...noRecord, offset: log.startOffset };
  if (timestamp < 0) return { error: errorCodes.invalidRequest, ...noRecord };
  try {
    return { error: errorCodes.none, ...((await log.recordAt(timestamp)) ?? noRecord) };
  } catch {
    return { error: errorCodes.storageError, ...noRecord }; // retention deleted what was read
  }
}
