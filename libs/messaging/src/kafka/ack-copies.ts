import type { Admin, PartitionMetadata } from 'kafkajs';
import { messageOf } from '#libs/contracts';
import { untilKnown } from './new-topics.js';

/** The promise of a topic about a record that it acknowledged to a producer with `acks=all`. */
export interface TopicAcks {
  readonly name: string;
  /** Copies of the partition that has the fewest. */
  readonly replicas: number;
  /** Copies that have a record when it is acknowledged: `min.insync.replicas`. */
  readonly inSync: number;
  /** True if a copy that lacks acknowledged records may become the leader: `unclean.leader.election.enable`. */
  readonly isUnclean: boolean;
}

/** A topic would acknowledge records that are lost with one disk. Waiting does not cure it. */
export class AcksTooWeak extends Error {
  constructor(problems: readonly string[], remedy: string) {
    super(`An acknowledged event would not be safe: ${problems.join('; ')}. ${remedy}`);
  }
}

/**
 * Requires that each topic acknowledges a record only when so many copies have it.
 * @param found the partitions of each topic, by its name
 * @throws AcksTooWeak
 */
export async function requireCopies(admin: Admin, found: ReadonlyMap<string, readonly PartitionMetadata[]>, copies: number): Promise<void> {
  const replicas = [...found].map(([name, partitions]) => ({ name, replicas: Math.min(...partitions.map((one) => one.replicas.length)) }));
  const few = replicas.map((topic) => tooFew(topic, copies)).filter((problem) => problem !== undefined);
  if (few.length > 0) throw new AcksTooWeak(few, remedyOf(copies));
  const problems = problemsOf(await acksOf(admin, replicas), copies);
  if (problems.length > 0) throw new AcksTooWeak(problems, remedyOf(copies));
}

/** Settings of the brokers for topics whose creation says nothing else. */
export interface BrokerDefaults {
  /** `default.replication.factor` */
  readonly replicas: number;
  /** `min.insync.replicas` */
  readonly inSync: number;
}

/**
 * Requires so many copies of topics that are created as the brokers are set, before one is: topics that are refused would have to be mended by hand.
 * @returns undefined if the login may not read the settings of brokers; then the topics themselves have to be looked at
 * @throws AcksTooWeak
 */
export async function requireDefaultCopies(admin: Admin, copies: number): Promise<BrokerDefaults | undefined> {
  const { brokers } = await admin.describeCluster();
  const asked = { type: brokerResource, name: String(brokers[0]!.nodeId), configNames: [replicasConfig, inSyncConfig] };
  const described = await admin.describeConfigs({ includeSynonyms: false, resources: [asked] }).catch((error: unknown) => {
    if ((error as { type?: unknown }).type !== 'CLUSTER_AUTHORIZATION_FAILED') throw error;
    return undefined;
  });
  if (described === undefined) return undefined;
  const entries = described.resources[0]?.configEntries ?? [];
  const valueOf = (config: string): number => Number(entries.find(({ configName }) => configName === config)?.configValue ?? 1);
  const replicas = valueOf(replicasConfig);
  if (replicas >= copies) return { replicas, inSync: valueOf(inSyncConfig) };
  throw new AcksTooWeak(
    [`the brokers create topics with ${replicas} of ${copies} replicas (${replicasConfig})`],
    `Set KAFKA_REPLICATION=${copies + 1}, or ${replicasConfig} of the brokers. KAFKA_ACK_COPIES=1 says that one copy is meant, as on one broker for development.`,
  );
}

/** The faults of the topics, as the parts of one sentence; empty if there are none. */
export function problemsOf(topics: readonly TopicAcks[], copies: number): string[] {
  return topics.flatMap((topic) =>
    [
      tooFew(topic, copies),
      topic.inSync < copies
        ? `${topic.name} has min.insync.replicas ${topic.inSync}, so an ack needs ${topic.inSync} of ${copies} copies`
        : undefined,
      topic.isUnclean ? `${topic.name} has unclean.leader.election.enable true, so a copy without acknowledged events may lead` : undefined,
    ].filter((problem) => problem !== undefined),
  );
}

function tooFew({ name, replicas }: Pick<TopicAcks, 'name' | 'replicas'>, copies: number): string | undefined {
  return replicas < copies ? `${name} has ${replicas} of ${copies} replicas` : undefined;
}

function remedyOf(copies: number): string {
  return (
    `Give the topics ${copies + 1} replicas (kafka-reassign-partitions.sh) and min.insync.replicas ${copies} (kafka-configs.sh); those that a service creates get both with KAFKA_REPLICATION=${copies + 1}. ` +
    'KAFKA_ACK_COPIES=1 says that one copy is meant, as on one broker for development.'
  );
}

/** The values of kafkajs' `ConfigResourceTypes.TOPIC` and `BROKER`, which ES modules cannot import. */
const topicResource = 2;
const brokerResource = 4;
const replicasConfig = 'default.replication.factor';
const inSyncConfig = 'min.insync.replicas';
const uncleanConfig = 'unclean.leader.election.enable';

/** @throws AcksTooWeak if the login may not read the configuration of topics */
async function acksOf(admin: Admin, topics: readonly Pick<TopicAcks, 'name' | 'replicas'>[]): Promise<TopicAcks[]> {
  const asked = topics.map(({ name }) => ({ type: topicResource, name, configNames: [inSyncConfig, uncleanConfig] }));
  const { resources } = await untilKnown(() => admin.describeConfigs({ includeSynonyms: false, resources: asked })).catch(
    (error: unknown) => {
      if ((error as { type?: unknown }).type !== 'TOPIC_AUTHORIZATION_FAILED') throw error;
      const problem = `min.insync.replicas of the topics cannot be read (${messageOf(error)})`;
      throw new AcksTooWeak(
        [problem],
        'Give the login DescribeConfigs on the topics, or set KAFKA_ACK_COPIES=1 if you have looked yourself.',
      );
    },
  );
  return topics.map(({ name, replicas }) => {
    const entries = resources.find(({ resourceName }) => resourceName === name)?.configEntries ?? [];
    const valueOf = (config: string): string | undefined => entries.find(({ configName }) => configName === config)?.configValue;
    return { name, replicas, inSync: Number(valueOf(inSyncConfig) ?? 1), isUnclean: valueOf(uncleanConfig) === 'true' };
  });
}
