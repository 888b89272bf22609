import { messageOf } from '#libs/contracts';
import type { Topic } from '#libs/contracts';
import { kafkaClient, topicOnLog } from './kafka-client.js';
import type { LogOptions } from './kafka-client.js';
import { LogUnavailable } from '../messaging.errors.js';
import { maxRecordBytes } from '../producing/record-producer.js';

/**
 * Creates the topics that are missing.
 * @param replication copies of each partition; from 3 on, an append needs 2 of them in sync
 * @throws Error where a topic exists with another partition count: its keys would stand in other partitions than appends go to
 * @throws LogUnavailable
 */
export async function ensureTopics(options: LogOptions, wanted: readonly Topic[], replication = 1): Promise<void> {
  const topics = wanted.map((topic) => topicOnLog(options, topic));
  const client = kafkaClient({ ...options, requestTimeoutMs: 10_000, retry: { maxRetryTime: 1_000, retries: 5 } });
  const admin = client.admin();
  try {
    await admin.connect();
    const existing = new Set(await admin.listTopics());
    const missing = topics.filter((topic) => !existing.has(topic.name));
    if (missing.length > 0) {
      await admin.createTopics({
        waitForLeaders: true,
        topics: missing.map((topic) => ({
          topic: topic.name,
          numPartitions: topic.partitions,
          replicationFactor: replication,
          configEntries: configOf(topic, replication),
        })),
      });
    }
    const { topics: found } = await admin.fetchTopicMetadata({ topics: topics.map((topic) => topic.name) });
    const counts = new Map(found.map(({ name, partitions }) => [name, partitions.length]));
    refuseOtherCounts(topics, counts);
  } catch (error) {
    if (error instanceof PartitionCountDiffers) throw error;
    const why = messageOf(error);
    throw new LogUnavailable(`the topics could not be made ready at ${options.brokers.join(', ')}: ${why}`, error);
  } finally {
    await admin.disconnect();
  }
}

function configOf(topic: Topic, replication: number): { name: string; value: string }[] {
  return [
    { name: 'cleanup.policy', value: 'delete' },
    { name: 'retention.ms', value: String(topic.retentionMs) },
    { name: 'max.message.bytes', value: String(2 * maxRecordBytes) },
    ...(replication >= 3 ? [{ name: 'min.insync.replicas', value: '2' }] : []),
  ];
}

function refuseOtherCounts(topics: readonly Topic[], counts: ReadonlyMap<string, number>): void {
  const problems = topics
    .filter((topic) => counts.get(topic.name) !== topic.partitions)
    .map((topic) => `${topic.name} has ${counts.get(topic.name) ?? 0} partitions, this version appends to ${topic.partitions}`);
  if (problems.length > 0) throw new PartitionCountDiffers(problems);
}

class PartitionCountDiffers extends Error {
  constructor(problems: readonly string[]) {
    super(
      `${problems.join('; ')}. Keys would change partitions and lose their order: create the topic under a new name and drain the old one.`,
    );
  }
}
