import { randomUUID } from 'node:crypto';
import type { Admin, Kafka } from 'kafkajs';
import { sleep } from '#libs/time';
import { kafkaClient, nameOnLog } from '../kafka/kafka-client.js';
import type { LogOptions } from '../kafka/kafka-client.js';
import { fetchLogIds } from '../kafka/topic-ids.js';
import type { LogIdentities } from '../kafka/topic-ids.js';
import { partitionName } from '../logged-record.js';
import type { TopicPartition } from '../logged-record.js';
import { commitMetadata } from './commit-metadata.js';
import type { GroupPosition } from './stored-positions.js';

/** The offset at which a group goes on in a partition. */
export interface AlignedPartition extends TopicPartition {
  readonly group: string;
  readonly offset: number;
  /** The offset of the record to come. */
  readonly end: number;
  /** The committed offset; undefined: the group would begin with the first record. */
  readonly committed: number | undefined;
  /** Records that the group would have to handle and the log has deleted. */
  readonly deleted: number;
}

const readDeadlineMs = 600_000;
/** A log that was just started has no coordinator for groups for a while, and kafkajs asks for one once. */
const coordinatorDeadlineMs = 60_000;

/**
 * Sets consumer groups to positions that a database has, on the log that those positions were taken on or on a copy of it: a mirror has the same records
 * and times in the same partitions, and other offsets. No member of the groups may run.
 */
export class LogAlignment {
  private readonly kafka: Kafka;
  private readonly admin: Admin;

  private constructor(private readonly options: LogOptions) {
    this.kafka = kafkaClient({ ...options, requestTimeoutMs: 30_000, retry: { retries: 5 } });
    this.admin = this.kafka.admin();
  }

  static async connect(options: LogOptions): Promise<LogAlignment> {
    const alignment = new LogAlignment(options);
    await alignment.admin.connect();
    return alignment;
  }

  close(): Promise<void> {
    return this.admin.disconnect();
  }

  /** The groups of this installation that share their topics and have members, by their names on the log. */
  async groupsAtWork(): Promise<string[]> {
    const names = await this.groupNames();
    if (names.length === 0) return [];
    const { groups } = await patiently(() => this.admin.describeGroups(names));
    return groups.filter(({ members }) => members.length > 0).map(({ groupId }) => groupId);
  }

  /**
   * Returns the offsets at which the groups go on. A partition without a position begins with its first record.
   * @param positions without the prefix in `group`, with it in `topic`
   */
  async plan(positions: readonly GroupPosition[]): Promise<AlignedPartition[]> {
    const places: AlignedPartition[] = [];
    for (const [group, ofGroup] of Map.groupBy(positions, (position) => position.group))
      places.push(...(await this.placesOf(group, ofGroup)));
    return places;
  }

  /** Commits a {@link plan}. A group that is not in it begins with the first record of each partition. */
  async align(plan: readonly AlignedPartition[]): Promise<void> {
    const groups = Map.groupBy(plan, ({ group }) => group);
    const known = new Set([...groups.keys()].map((group) => nameOnLog(this.options, group)));
    const unknown = (await this.groupNames()).filter((name) => !known.has(name));
    if (unknown.length > 0) await patiently(() => this.admin.deleteGroups(unknown));
    for (const [group, places] of groups) await this.commit(group, places);
  }

  /** Calls back with the value of each record from the offsets to the present ends. */
  async read(from: readonly AlignedPartition[], onValue: (value: Buffer) => void): Promise<void> {
    const open = new Map(from.filter(({ offset, end }) => offset < end).map((one) => [partitionName(one), one]));
    if (open.size === 0) return;
    const starts = new Map([...open].map(([name, { offset }]) => [name, offset]));
    const groupId = nameOnLog(this.options, `alignment.${randomUUID()}`);
    const consumer = this.kafka.consumer({ groupId, allowAutoTopicCreation: false });
    await consumer.connect();
    try {
      await consumer.subscribe({ topics: [...new Set(from.map(({ topic }) => topic))], fromBeginning: true });
      await consumer.run({
        autoCommit: false,
        eachBatch: async ({ batch }) => {
          const start = starts.get(partitionName(batch)) ?? Infinity;
          for (const { offset, value } of batch.messages) if (Number(offset) >= start && value !== null) onValue(value);
          const { end } = open.get(partitionName(batch)) ?? { end: Infinity };
          if (Number(batch.lastOffset()) + 1 >= end) open.delete(partitionName(batch));
        },
      });
      for (const { topic, partition, offset } of open.values()) consumer.seek({ topic, partition, offset: String(offset) });
      const deadline = performance.now() + readDeadlineMs;
      while (open.size > 0) {
        if (performance.now() > deadline) throw new Error(`the log was not read to its end within ${readDeadlineMs / 1_000} s`);
        await sleep(50);
      }
    } finally {
      await consumer.disconnect();
      await this.admin.deleteGroups([groupId]).catch(() => undefined); // the log forgets it later
    }
  }

  /** Without the groups of single processes and of installations with a longer prefix: their names have a dot after the prefix. */
  private async groupNames(): Promise<string[]> {
    const prefix = nameOnLog(this.options, '');
    const { groups } = await this.admin.listGroups();
    return groups.map(({ groupId }) => groupId).filter((name) => name.startsWith(prefix) && !name.includes('.', prefix.length));
  }

  private async placesOf(group: string, positions: readonly GroupPosition[]): Promise<AlignedPartition[]> {
    const places: AlignedPartition[] = [];
    const ids = await this.identitiesOf(positions);
    const byName = new Map(positions.map((position) => [partitionName(position), position]));
    const committed = await patiently(() => this.admin.fetchOffsets({ groupId: nameOnLog(this.options, group) }));
    const commits = new Map(
      committed.flatMap(({ topic, partitions }) =>
        partitions.flatMap(({ partition, offset }) =>
          Number(offset) < 0 ? [] : [[partitionName({ topic, partition }), Number(offset)] as const],
        ),
      ),
    );
    for (const topic of new Set([...positions, ...committed].map((one) => one.topic))) {
      // At once, because each place on another log is a question of its own.
      const ofTopic = (await this.admin.fetchTopicOffsets(topic)).map(async ({ partition, low, high }) => {
        const name = partitionName({ topic, partition });
        const position = byName.get(name);
        const [first, end] = [Number(low), Number(high)];
        const wanted = position === undefined ? first : await this.offsetOf(position, ids);
        const offset = Math.min(Math.max(wanted, first), end);
        return { group, topic, partition, offset, end, committed: commits.get(name), deleted: Math.max(0, first - wanted) };
      });
      places.push(...(await Promise.all(ofTopic)));
    }
    return places;
  }

  /**
   * On the log of the position its offset counts. On another one its time does: the first record that is not older comes at or before the record of the
   * position, however the clocks of those who appended differ, so nothing is passed over.
   */
  private async offsetOf({ topic, partition, logId, offset, appendedAtMs }: GroupPosition, ids: LogIdentities): Promise<number> {
    if (ids.topics.get(topic) === logId) return offset;
    const offsets = await this.admin.fetchTopicOffsetsByTimestamp(topic, appendedAtMs);
    return Number(offsets.find((one) => one.partition === partition)!.offset);
  }

  private identitiesOf(of: readonly TopicPartition[]): Promise<LogIdentities> {
    return fetchLogIds(this.admin, [...new Set(of.map(({ topic }) => topic))]);
  }

  /** Joins as the only member, because only a member commits, and handles nothing. */
  private async commit(group: string, places: readonly AlignedPartition[]): Promise<void> {
    const { topics, clusterId } = await this.identitiesOf(places);
    const names = [...new Set(places.map(({ topic }) => topic))];
    const consumer = this.kafka.consumer({ groupId: nameOnLog(this.options, group), allowAutoTopicCreation: false });
    await consumer.connect();
    try {
      const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve));
      await consumer.subscribe({ topics: names, fromBeginning: true });
      await consumer.run({ autoCommit: false, eachBatch: async () => undefined });
      await joined;
      await consumer.commitOffsets(
        places.map(({ topic, partition, offset }) => ({
          topic,
          partition,
          offset: String(offset),
          metadata: commitMetadata({ logId: topics.get(topic), clusterId }, offset, ''),
        })),
      );
    } finally {
      await consumer.disconnect();
    }
  }
}

/** Tries again while the log says that it may answer later. */
async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + coordinatorDeadlineMs;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if ((error as { retriable?: boolean }).retriable !== true || performance.now() > deadline) throw error;
      await sleep(200);
    }
  }
}
