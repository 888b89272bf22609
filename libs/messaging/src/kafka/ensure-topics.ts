import type { Admin, PartitionMetadata } from 'kafkajs';
import { messageOf } from '#libs/contracts';
import type { Topic } from '#libs/contracts';
import { AcksTooWeak, requireCopies, requireDefaultCopies } from './ack-copies.js';
import { kafkaClient, topicOnLog } from './kafka-client.js';
import type { LogOptions } from './kafka-client.js';
import { untilKnown } from './new-topics.js';
import { LogUnavailable } from '../messaging.errors.js';
import { maxEventRecordBytes } from '../producing/record-producer.js';

export interface TopicDemands {
  /** Copies of each partition of a topic that is created; with 3 or more, an append needs 2 of them in sync. Default -1: as the brokers are set. */
  readonly replication?: number | undefined;
  /** Copies that an acknowledged record must have. Default 1: topics are not looked at. */
  readonly ackCopies?: number | undefined;
}

/**
 * Creates the topics that are missing. Topics that exist are accepted as they are, whoever made them, if they are right.
 * @throws PartitionCountDiffers if a topic exists with another partition count, because its keys would be in other partitions than new appends
 * @throws AcksTooWeak if a topic acknowledges records with fewer copies than demanded
 * @throws LogUnavailable
 */
export async function ensureTopics(
  options: LogOptions,
  wanted: readonly Topic[],
  { replication = -1, ackCopies = 1 }: TopicDemands = {},
): Promise<void> {
  const topics = wanted.map((topic) => topicOnLog(options, topic));
  const client = kafkaClient({ ...options, requestTimeoutMs: 10_000, retry: { maxRetryTime: 1_000, retries: 5 } });
  const admin = client.admin();
  try {
    await admin.connect();
    const existing = new Set(await admin.listTopics());
    const missing = topics.filter((topic) => !existing.has(topic.name));
    if (missing.length > 0) {
      const defaults = replication === -1 && ackCopies > 1 ? await requireDefaultCopies(admin, ackCopies) : undefined;
      const settings = { replicas: defaults?.replicas ?? replication, inSync: Math.max(ackCopies, defaults?.inSync ?? 1) };
      await admin.createTopics({
        waitForLeaders: false,
        topics: missing.map((topic) => ({
          topic: topic.name,
          numPartitions: topic.partitions,
          replicationFactor: replication,
          configEntries: topicSettings(topic, settings.replicas, settings.inSync),
        })),
      });
    }
    const found = await partitionsOf(admin, topics);
    refuseOtherCounts(topics, found);
    if (ackCopies > 1) await requireCopies(admin, found, ackCopies);
  } catch (error) {
    if (error instanceof PartitionCountDiffers || error instanceof AcksTooWeak) throw error;
    const why = whyNot(error);
    throw new LogUnavailable(`the topics could not be made ready at ${options.brokers.join(', ')}: ${why}`, error);
  } finally {
    await admin.disconnect();
  }
}

/** The message of an error, and which topic had which, where the log says so. */
function whyNot(error: unknown): string {
  const { errors = [] } = error as { errors?: { topic?: string; type?: string }[] };
  const each = errors.flatMap(({ topic, type }) => (topic === undefined ? [] : [`${topic}: ${type}`]));
  return each.length === 0 ? messageOf(error) : `${messageOf(error)} (${each.join(', ')})`;
}

/** The partitions of each topic, by its name. */
async function partitionsOf(admin: Admin, topics: readonly { name: string }[]): Promise<Map<string, PartitionMetadata[]>> {
  const { topics: found } = await untilKnown(() => admin.fetchTopicMetadata({ topics: topics.map(({ name }) => name) }));
  return new Map(found.map(({ name, partitions }) => [name, partitions]));
}

/**
 * The timestamps of records come from our processes, whose clocks may be off. By default, Kafka takes none that is an hour ahead of its own clock, so
 * that such a process could append nothing; here the limit is the retention, because a record is kept for as much longer. It takes all that are behind,
 * and deletes them when they are older than the retention, read or not; here, an append that would be kept less than half of that time is refused.
 */
export function topicSettings(topic: Topic, replication: number, ackCopies: number): { name: string; value: string }[] {
  const inSync = replication >= 3 ? Math.max(2, ackCopies) : ackCopies;
  return [
    ...(topic.isCompacted === true ? compaction : [{ name: 'cleanup.policy', value: 'delete' }]),
    { name: 'retention.ms', value: String(topic.retentionMs) },
    { name: 'message.timestamp.after.max.ms', value: String(topic.retentionMs) },
    { name: 'message.timestamp.before.max.ms', value: String(Math.floor(topic.retentionMs / 2)) },
    { name: 'max.message.bytes', value: String(maxEventRecordBytes + 1_048_576) },
    ...(inSync > 1 && replication >= inSync ? [{ name: 'min.insync.replicas', value: String(inSync) }] : []),
  ];
}

/** Only segments that were closed are compacted, so a segment is closed after an hour. */
const compaction = [
  { name: 'cleanup.policy', value: 'compact,delete' },
  { name: 'segment.ms', value: String(3_600_000) },
];

function refuseOtherCounts(topics: readonly Topic[], found: ReadonlyMap<string, readonly unknown[]>): void {
  const countOf = ({ name }: Topic): number => found.get(name)?.length ?? 0;
  const problems = topics
    .filter((topic) => countOf(topic) !== topic.partitions)
    .map((topic) => `${topic.name} has ${countOf(topic)} partitions, this version appends to ${topic.partitions}`);
  if (problems.length > 0) throw new PartitionCountDiffers(problems);
}

class PartitionCountDiffers extends Error {
  constructor(problems: readonly string[]) {
    super(
      `${problems.join('; ')}. Keys would change partitions and lose their order: create the topic under a new name and drain the old one.`,
    );
  }
}
