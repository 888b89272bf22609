import { errorCodes } from '../wire/error-codes.js';
import type { ErrorCode } from '../wire/error-codes.js';
import { WireWriter } from '../wire/wire-writer.js';
import { nodeId } from './api.js';
import type { Api, Broker } from './api.js';

/** Kafka's own defaults, for topics created without them. */
const defaultRetentionMs = 7 * 86_400_000;
const defaultMaxBatchBytes = 1_048_588;

export const metadata: Api = {
  key: 3,
  name: 'Metadata',
  minVersion: 6,
  maxVersion: 6,
  async handle(request, broker) {
    const names = request.nullableArray(() => request.string()) ?? broker.topics.all.map(({ name }) => name);
    const response = new WireWriter().int32(0);
    response.array([broker], ({ host, port }) => response.int32(nodeId).string(host).int32(port).string(null));
    response.string('millrace-local').int32(nodeId);
    return response.array(names, (name) => {
      const topic = broker.topics.topic(name);
      response
        .int16(topic === undefined ? errorCodes.unknownTopicOrPartition : errorCodes.none)
        .string(name)
        .boolean(false);
      const partitions = Array.from({ length: topic?.partitions ?? 0 }, (_, partition) => partition);
      response.array(partitions, (partition) => {
        response.int16(errorCodes.none).int32(partition).int32(nodeId);
        response.int32(1).int32(nodeId).int32(1).int32(nodeId).int32(0); // one replica, in sync; none offline
      });
    });
  },
};

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
    const results: { name: string; error: ErrorCode }[] = [];
    for (const { name, partitions, config } of wanted) {
      results.push({ name, error: await create(broker, name, partitions, config, validateOnly) });
    }
    const response = new WireWriter().int32(0);
    return response.array(results, ({ name, error }) => response.string(name).int16(error).string(null));
  },
};

async function create(
  { topics }: Broker,
  name: string,
  partitions: number,
  config: ReadonlyMap<string, string | null>,
  validateOnly: boolean,
): Promise<ErrorCode> {
  // A name is a directory here: Kafka's own rule for names keeps it one.
  if (!/^[a-zA-Z0-9._-]{1,249}$/.test(name) || name === '.' || name === '..') return errorCodes.invalidTopic;
  if (partitions < 1 || partitions > 1_000) return errorCodes.invalidPartitions;
  if (topics.topic(name) !== undefined) return errorCodes.topicAlreadyExists;
  if (validateOnly) return errorCodes.none;
  const created = await topics.create({
    name,
    partitions,
    retentionMs: Number(config.get('retention.ms') ?? defaultRetentionMs),
    maxBatchBytes: Number(config.get('max.message.bytes') ?? defaultMaxBatchBytes),
  });
  return created ? errorCodes.none : errorCodes.topicAlreadyExists;
}

const latest = -1;
const earliest = -2;

/** Answers the two ends of a partition; looking an offset up by time is not supported. */
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
    const response = new WireWriter().int32(0);
    return response.array(topics, ({ topic, partitions }) => {
      response.string(topic).array(partitions, ({ partition, timestamp }) => {
        const { error, offset } = endOf(broker, topic, partition, timestamp);
        response.int32(partition).int16(error).int64(-1).int64(offset);
      });
    });
  },
};

function endOf({ topics }: Broker, topic: string, partition: number, timestamp: number): { error: ErrorCode; offset: number } {
  const log = topics.partition(topic, partition);
  if (log === undefined) return { error: errorCodes.unknownTopicOrPartition, offset: -1 };
  if (timestamp === latest) return { error: errorCodes.none, offset: log.endOffset };
  if (timestamp === earliest) return { error: errorCodes.none, offset: log.startOffset };
  return { error: errorCodes.invalidRequest, offset: -1 };
}
