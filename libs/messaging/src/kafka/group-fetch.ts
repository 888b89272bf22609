import { createRequire } from 'node:module';
import { sleep } from '#libs/time';
import type { FetchedPartition } from './fetch-response.js';
import { FetchSession } from './fetch-session.js';
import type { FetchBroker, FetchPosition } from './fetch-session.js';

/**
 * How a consumer group of kafkajs 2.2.4 fetches, in place of its own `ConsumerGroup.fetch`. kafkajs names every partition in every request, decodes
 * every partition of every response, and hands each of them to a worker, whether or not it has records; its idle consumer asks four times a second.
 * Here the fetches of a group are incremental, are paced by the load, wait long while nothing comes, and hand on what has records.
 */

const require = createRequire(import.meta.url);

/** The pace of a group's fetches. The group gets it through its partition assigner: {@link GroupListener}. */
export interface FetchPace {
  /** Minimum time between the starts of two fetches from one broker, ms. Default: by the load. */
  readonly everyMs?: number | undefined;
  /** Aborted when the consumer stops: a fetch that waits for records ends. */
  readonly stopped: AbortSignal;
}

/** Kafka's responses hold a fetch up to this long while nothing comes. It is also the heartbeat interval then: kafkajs beats between fetches. */
const idleWaitMs = 1_500;
/** The same while records come, or a partition is paused: one that is resumed is in the next request. */
const busyWaitMs = 250;
/** A group is idle when the last record came this long ago. */
const idleAfterMs = 1_000;

/**
 * Kafka responds to a fetch with the first record that arrives. Under a steady load that would be one fetch per record, and each costs about a
 * millisecond on both sides together. The pause between two fetches grows with the rate, so that a fetch brings several records where there are many,
 * and a record that comes alone is fetched at once.
 */
const longestPauseMs = 25;
/** Records per second for each millisecond of pause. */
const ratePerPauseMs = 15;
/** The rate is that of about the last second. */
const rateWindowMs = 1_000;

/** Without a response for this long, it is not known any more where the logs end. Longer than an idle fetch. */
const logEndsAgeMs = 5_000;

interface Batch {
  readonly messages: readonly unknown[];
  isEmptyDueToFiltering(): boolean;
}

interface PartitionMetadata {
  readonly partitionId: number;
  readonly leader: number | null;
}

interface Metadata {
  readonly topicMetadata: readonly { readonly topic: string; readonly partitionMetadata: readonly PartitionMetadata[] }[];
}

type Assignment = Readonly<Record<string, { readonly topic: string; readonly partitions: readonly number[] }>>;
/** Kafkajs keeps a Long for what was handled, a text for what was committed. */
type Offsets<Offset = string> = Readonly<Record<string, Readonly<Record<number, Offset | undefined>> | undefined>>;

/** The part of kafkajs' consumer group that fetching needs. */
interface ConsumerGroup {
  readonly assigners: readonly { fetchPace?(): FetchPace; logEnd?: (topic: string, partition: number) => number | undefined }[];
  readonly maxWaitTime: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly maxBytesPerPartition: number;
  readonly isolationLevel: number;
  readonly cluster: {
    readonly brokerPool: { readonly metadata: Metadata | null };
    refreshMetadataIfNecessary(): Promise<unknown>;
    findBroker(of: { nodeId: string }): Promise<FetchBroker>;
  };
  readonly seekOffset: ReadonlyMap<string, string> & { has(topic: string, partition: number): boolean };
  readonly subscriptionState: {
    readonly assignedPartitionsByTopic: Assignment;
    isPaused(topic: string, partition: number): boolean;
  };
  readonly offsetManager: { readonly resolvedOffsets: Offsets<Pick<string, 'toString'>>; committedOffsets(): Offsets };
  checkForStaleAssignment(): void;
  seekOffsets(partitions: readonly { topic: string; partitions: readonly number[] }[]): Promise<void>;
  recoverFromFetch(error: unknown): Promise<void>;
  fetch(nodeId: string): Promise<Batch[]>;
}

/** The fetches of one group from one broker. */
class BrokerFetches {
  private readonly sessions = new WeakMap<FetchBroker, FetchSession>();
  private metadata: Metadata | null = null;
  private assignment: Assignment | undefined;
  /** The assigned partitions that the broker leads, by topic. */
  private led: { topic: string; partitions: number[] }[] = [];
  private beganAtMs = -Infinity;
  private lastRecordAtMs = -Infinity;
  private ratePerSecond = 0;
  private ratedAtMs = performance.now();
  /** By partition, as responses have said. A response names only partitions with something new. */
  private readonly logEnds = new Map<string, number>();
  /** The partitions of the last request that was answered. */
  private answered: ReadonlyMap<string, unknown> = new Map();
  private answeredAtMs = -Infinity;

  constructor(
    private readonly group: ConsumerGroup,
    private readonly nodeId: string,
  ) {}

  async next(): Promise<Batch[]> {
    const { stopped, everyMs } = this.group.assigners[0]?.fetchPace?.() ?? unpaced;
    const pauseMs = everyMs ?? Math.min(this.ratePerSecond / ratePerPauseMs, longestPauseMs);
    const waitMs = this.beganAtMs + pauseMs - performance.now();
    if (waitMs > 0) await sleep(waitMs, stopped).catch(() => undefined);
    this.beganAtMs = performance.now();
    try {
      await this.group.cluster.refreshMetadataIfNecessary();
      const led = this.ledPartitions();
      await this.settleOffsets(led);
      const positions = this.positionsOf(led);
      if (positions.length === 0) {
        await sleep(busyWaitMs, stopped).catch(() => undefined);
        return [];
      }
      const batches = await this.fetch(positions, led, stopped);
      this.rate(batches);
      return batches;
    } catch (error) {
      await this.group.recoverFromFetch(error);
      return [];
    }
  }

  /** The offset after the last record of a log; undefined for one that was not fetched lately. */
  logEnd(topic: string, partition: number): number | undefined {
    const key = `${topic}/${partition}`;
    const isKnown = this.answered.has(key) && performance.now() - this.answeredAtMs < logEndsAgeMs;
    return isKnown && !this.group.subscriptionState.isPaused(topic, partition) ? this.logEnds.get(key) : undefined;
  }

  private ledPartitions(): { topic: string; partitions: number[] }[] {
    const { cluster, subscriptionState } = this.group;
    const { metadata } = cluster.brokerPool;
    const assignment = subscriptionState.assignedPartitionsByTopic;
    if (metadata === null || metadata !== this.metadata || assignment !== this.assignment) {
      this.group.checkForStaleAssignment();
      this.led = Object.values(assignment).map(({ topic, partitions }) => {
        const leaders = new Map(
          metadata?.topicMetadata.find((each) => each.topic === topic)?.partitionMetadata.map((each) => [each.partitionId, each.leader]),
        );
        return { topic, partitions: partitions.filter((partition) => String(leaders.get(partition)) === this.nodeId) };
      });
      this.metadata = metadata;
      this.assignment = assignment;
    }
    return this.led;
  }

  /** Applies seeks, and asks for the committed offsets that are not known yet. */
  private async settleOffsets(led: readonly { topic: string; partitions: readonly number[] }[]): Promise<void> {
    const { seekOffset, offsetManager } = this.group;
    const committed = offsetManager.committedOffsets();
    const isKnown = led.every(({ topic, partitions }) => partitions.every((partition) => committed[topic]?.[partition] !== undefined));
    if (!isKnown || seekOffset.size > 0) await this.group.seekOffsets(led);
  }

  private positionsOf(led: readonly { topic: string; partitions: readonly number[] }[]): FetchPosition[] {
    const { offsetManager, subscriptionState } = this.group;
    const committed = offsetManager.committedOffsets();
    const positions: FetchPosition[] = [];
    for (const { topic, partitions } of led) {
      for (const partition of partitions) {
        // Unknown after an offset was out of range, until it is found where the log begins.
        const known = committed[topic]?.[partition];
        if (known === undefined || subscriptionState.isPaused(topic, partition)) continue;
        const offset = (offsetManager.resolvedOffsets[topic]?.[partition] ?? known).toString();
        positions.push({ topic, partition, offset: offset.startsWith('-') ? '0' : offset });
      }
    }
    return positions;
  }

  private async fetch(
    positions: readonly FetchPosition[],
    led: readonly { partitions: readonly number[] }[],
    stopped: AbortSignal,
  ): Promise<Batch[]> {
    const { group } = this;
    const broker = await group.cluster.findBroker({ nodeId: this.nodeId });
    const session = this.sessions.get(broker) ?? new FetchSession(broker);
    this.sessions.set(broker, session);
    const isPaused = positions.length < led.reduce((sum, { partitions }) => sum + partitions.length, 0);
    const isIdle = !isPaused && performance.now() - this.lastRecordAtMs > idleAfterMs;
    const { minBytes, maxBytes, maxBytesPerPartition, isolationLevel } = group;
    const maxWaitTime = Math.min(isIdle ? idleWaitMs : busyWaitMs, group.maxWaitTime);
    const fetched = session.fetch(positions, { maxWaitTime, minBytes, maxBytes, maxBytesPerPartition, isolationLevel });
    const responses = await unlessStopped(fetched, stopped);
    const offsets = new Map(positions.map(({ topic, partition, offset }) => [`${topic}/${partition}`, offset]));
    this.answered = offsets;
    this.answeredAtMs = performance.now();
    return responses.flatMap(({ topicName, partitions }) =>
      partitions.flatMap((data) => {
        const { partition } = data;
        const offset = offsets.get(`${topicName}/${partition}`);
        this.logEnds.set(`${topicName}/${partition}`, Number(data.highWatermark));
        if (data.messages.length === 0 || offset === undefined) return [];
        if (group.seekOffset.has(topicName, partition) || group.subscriptionState.isPaused(topicName, partition)) return [];
        return [new KafkajsBatch(topicName, offset, data)];
      }),
    );
  }

  private rate(batches: readonly Batch[]): void {
    const now = performance.now();
    const records = batches.reduce((sum, { messages }) => sum + messages.length, 0);
    const weight = 1 - Math.exp((this.ratedAtMs - now) / rateWindowMs);
    const sinceMs = Math.max(1, now - this.ratedAtMs);
    this.ratePerSecond += weight * ((records * 1_000) / sinceMs - this.ratePerSecond);
    this.ratedAtMs = now;
    if (records > 0) this.lastRecordAtMs = now;
  }
}

const KafkajsBatch = require('kafkajs/src/consumer/batch.js') as new (
  topic: string,
  fetchedOffset: string,
  data: FetchedPartition,
) => Batch;

/** A consumer group that is not of this library. */
const unpaced: FetchPace = { stopped: new AbortController().signal };

/** Nothing, once the consumer stops: the broker may hold the fetch for long, and the connection is closed next. */
async function unlessStopped<T>(fetched: Promise<readonly T[]>, stopped: AbortSignal): Promise<readonly T[]> {
  fetched.catch(() => undefined); // it fails when the connection is closed
  if (stopped.aborted) return [];
  const { promise, resolve } = Promise.withResolvers<readonly T[]>();
  const stop = (): void => resolve([]);
  stopped.addEventListener('abort', stop);
  try {
    return await Promise.race([fetched, promise]);
  } finally {
    stopped.removeEventListener('abort', stop);
  }
}

function startFetches(group: ConsumerGroup): Map<string, BrokerFetches> {
  const byNode = new Map<string, BrokerFetches>();
  fetchesOf.set(group, byNode);
  for (const assigner of group.assigners) {
    assigner.logEnd = (topic, partition) =>
      [...byNode.values()].map((fetches) => fetches.logEnd(topic, partition)).find((end) => end !== undefined);
  }
  return byNode;
}

const { prototype } = require('kafkajs/src/consumer/consumerGroup.js') as { prototype: ConsumerGroup };
const fetchesOf = new WeakMap<ConsumerGroup, Map<string, BrokerFetches>>();
prototype.fetch = function (this: ConsumerGroup, nodeId: string): Promise<Batch[]> {
  const byNode = fetchesOf.get(this) ?? startFetches(this);
  const fetches = byNode.get(nodeId) ?? new BrokerFetches(this, nodeId);
  byNode.set(nodeId, fetches);
  return fetches.next();
};
