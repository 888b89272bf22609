import type { Kafka } from 'kafkajs';
import { messageOf } from '#libs/contracts';
import type { Topic } from '#libs/contracts';
import { FetchSession } from '../kafka/fetch-session.js';
import type { FetchBroker } from '../kafka/fetch-session.js';
import type { FetchedPartition } from '../kafka/fetch-response.js';
import { kafkaClient, topicOnLog } from '../kafka/kafka-client.js';
import type { LogOptions } from '../kafka/kafka-client.js';
import type { ReadRecord } from '../kafka/record-batches.js';
import type { LoggedRecord } from '../logged-record.js';
import { LogUnavailable } from '../messaging.errors.js';

/** Gets the records that a reader reads, in the order of the log. Its methods are called between two requests. */
export interface TopicListener {
  onRecords(records: readonly LoggedRecord[]): void;
  /** The topic was created anew, or retention has taken what would have been read next: everything that is there now follows. */
  onRestart(): void;
}

const partition = 0;
const maxBytes = 8 * 1_048_576;
const requestTimeoutMs = 10_000;
/** How long the log may hold a request while nothing comes, ms. */
const waitMs = 1_500;

/** The same for a record that is there: a broker may hear of its acknowledgement late. */
const endWaitMs = 100;

/** The part of kafkajs' cluster that reading without a group needs. */
interface Cluster {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  addTargetTopic(topic: string): Promise<void>;
  refreshMetadata(): Promise<void>;
  refreshMetadataIfNecessary(): Promise<void>;
  findTopicPartitionMetadata(topic: string): readonly { partitionId: number; leader: number; topicId?: string }[];
  findBroker(of: { nodeId: string }): Promise<FetchBroker>;
  fetchTopicsOffset(
    topics: readonly { topic: string; partitions: readonly { partition: number }[]; fromBeginning: boolean }[],
  ): Promise<readonly { partitions: readonly { offset: string }[] }[]>;
}

/**
 * Reads a topic of one partition from its first record on, or from where it was told to, without a consumer group: every reader gets every record, and nothing is committed. It
 * keeps its place while it is closed, and reads on from there. Its calls are made one after the other.
 */
export class TopicReader {
  private readonly topic: string;
  private readonly kafka: Kafka;
  private connection: { cluster: Cluster; sessions: WeakMap<FetchBroker, FetchSession> } | undefined;
  private logId: string | undefined;
  /** The offset of the next record; undefined: where the log begins. */
  private position: number | undefined;

  constructor(
    options: LogOptions,
    topic: Topic,
    private readonly listener: TopicListener,
  ) {
    if (topic.partitions !== 1) throw new Error(`${topic.name} has ${topic.partitions} partitions, which have no order between them`);
    this.topic = topicOnLog(options, topic).name;
    this.kafka = kafkaClient({ ...options, requestTimeoutMs, retry: { initialRetryTime: 50, maxRetryTime: 500, retries: 2 } });
  }

  /**
   * Hands on every record that was acknowledged before the call.
   * @throws LogUnavailable; the next call reads on
   */
  readToEnd(): Promise<void> {
    return this.withLeader('refreshMetadata', async (broker) => {
      const end = await this.offsetOf('end');
      while (await this.isBefore(end)) await this.fetch(broker, endWaitMs);
    });
  }

  /**
   * Waits at most 1.5 s for records after the last one, and hands them on.
   * @throws LogUnavailable; the next call reads on
   */
  readNext(): Promise<void> {
    return this.withLeader('refreshMetadataIfNecessary', (broker) => this.fetch(broker, waitMs));
  }

  /**
   * Passes over the records that were acknowledged before the call, except for the last ones: reads hand on those, and what comes after.
   * @param but how many are not passed over
   * @throws LogUnavailable; the place is as before
   */
  skipToEnd(but = 0): Promise<void> {
    return this.withLeader('refreshMetadata', async () => {
      const end = await this.offsetOf('end');
      this.position = but === 0 ? end : Math.max(await this.offsetOf('start'), end - but);
    });
  }

  /** Closes the connections. The next read opens new ones. */
  async close(): Promise<void> {
    const { connection } = this;
    this.connection = undefined;
    await connection?.cluster.disconnect().catch(() => undefined);
  }

  private async isBefore(end: number): Promise<boolean> {
    this.position ??= await this.offsetOf('start');
    return this.position < end;
  }

  /** @param refresh a topic that was created anew has another id; without a refresh, that is known some minutes later */
  private async withLeader(
    refresh: 'refreshMetadata' | 'refreshMetadataIfNecessary',
    work: (broker: FetchBroker) => Promise<void>,
  ): Promise<void> {
    try {
      const { cluster } = (this.connection ??= await this.connect());
      await cluster[refresh]();
      const leader = cluster.findTopicPartitionMetadata(this.topic).find(({ partitionId }) => partitionId === partition);
      if (leader === undefined) throw new Error(`there is no topic ${this.topic}`);
      if (this.logId !== undefined && this.logId !== leader.topicId) this.restart();
      this.logId = leader.topicId;
      await work(await cluster.findBroker({ nodeId: String(leader.leader) }));
    } catch (error) {
      if (isOutOfRange(error)) {
        this.restart();
        return this.withLeader(refresh, work);
      }
      await this.close(); // whatever was wrong, the leader among it, is asked for again
      throw new LogUnavailable(`${this.topic} cannot be read: ${messageOf(error)}`, error);
    }
  }

  private restart(): void {
    this.position = undefined;
    this.listener.onRestart();
  }

  private async connect(): Promise<{ cluster: Cluster; sessions: WeakMap<FetchBroker, FetchSession> }> {
    const cluster = newCluster(this.kafka);
    try {
      await cluster.connect();
      await cluster.addTargetTopic(this.topic);
      return { cluster, sessions: new WeakMap() };
    } catch (error) {
      await cluster.disconnect().catch(() => undefined);
      throw error;
    }
  }

  private async offsetOf(place: 'start' | 'end'): Promise<number> {
    const { cluster } = this.connection!;
    const asked = { topic: this.topic, partitions: [{ partition }], fromBeginning: place === 'start' };
    const [found] = await cluster.fetchTopicsOffset([asked]);
    return Number(found!.partitions[0]!.offset);
  }

  private async fetch(broker: FetchBroker, maxWaitTime: number): Promise<void> {
    const { sessions } = this.connection!;
    const session = sessions.get(broker) ?? new FetchSession(broker);
    sessions.set(broker, session);
    this.position ??= await this.offsetOf('start');
    const position = { topic: this.topic, partition, offset: String(this.position) };
    const limits = { maxWaitTime, minBytes: 1, maxBytes, maxBytesPerPartition: maxBytes, isolationLevel: 1 };
    const responses = await session.fetch([position], limits);
    for (const { partitions } of responses) for (const fetched of partitions) this.take(fetched);
  }

  private take({ messages, nextOffset }: FetchedPartition): void {
    const from = this.position!;
    const records = (messages as readonly ReadRecord[]).filter(({ offset, isControlRecord }) => Number(offset) >= from && !isControlRecord);
    if (nextOffset !== undefined) this.position = Math.max(from, nextOffset);
    if (records.length > 0) this.listener.onRecords(records.map((record) => this.logged(record)));
  }

  private logged({ offset, timestamp, key, value, headers }: ReadRecord): LoggedRecord {
    const { topic, logId = '' } = this;
    const place = { topic, partition, logId, offset: Number(offset) };
    return { ...place, timestampMs: Number(timestamp), key, value, headers: headers as LoggedRecord['headers'] };
  }
}

function isOutOfRange(error: unknown): boolean {
  return (error as { type?: unknown }).type === 'OFFSET_OUT_OF_RANGE';
}

/** A connection pool of kafkajs without a producer or a consumer around it, which its public interface does not give. */
function newCluster(kafka: Kafka): Cluster {
  const name = Object.getOwnPropertySymbols(kafka).find(({ description }) => description === 'private:Kafka:createCluster')!;
  const create = (kafka as unknown as Record<symbol, (options: object) => Cluster>)[name]!;
  return create({ metadataMaxAge: 300_000, allowAutoTopicCreation: false });
}
