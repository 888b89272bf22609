import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import { randomInt } from 'node:crypto';
import { sleep } from '#libs/time';
import '../kafka/kafkajs-repairs.js';
import { partitionOf } from '../kafka/partitioner.js';
import { BrokerSocket } from './broker-socket.js';
import type { BrokerTls } from './broker-socket.js';
import { boundedLogin } from './bounded-login.js';
import type { TenantKafkaLogin } from './bounded-login.js';
import { TenantKafkaFailure, failureOf } from './tenant-kafka.failure.js';

const require = createRequire(import.meta.url);

export interface TenantKafkaOptions {
  /** Bootstrap addresses, `host:port`. */
  readonly brokers: readonly string[];
  /** The name of this side in Kafka's quotas and logs. */
  readonly clientId: string;
  /** Undefined: the brokers know this side by its certificate, or not at all. */
  readonly login?: TenantKafkaLogin | undefined;
  /** Undefined: connections are not encrypted. */
  readonly tls?: BrokerTls | undefined;
  /** Begins to connect to a broker: one of the list, or one that the cluster names. Its error is the cause of the failure. */
  readonly dial: (host: string, port: number) => Socket;
  /** True for an error of a socket that a repeat would meet again. */
  readonly isFinal: (error: Error) => boolean;
}

export interface TenantRecord {
  readonly topic: string;
  /** Default: by the key, as Java's clients choose it; without a key, any. */
  readonly partition?: number | undefined;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, string>>;
  /** In ms since 1970. */
  readonly timestampMs: number;
}

/** The place of a record that all in-sync replicas have. */
export interface ProducedRecordPlace {
  readonly partition: number;
  /** In decimal. */
  readonly offset: string;
  /** The timestamp in the log, in ms since 1970: that of the record, or of the broker if the topic says so. */
  readonly timestampMs: number;
}

interface Within {
  /** When it must have ended, by the monotonic clock. */
  readonly endsAtMs: number;
  /** Ends then, or earlier. */
  readonly signal: AbortSignal;
  /** Called before each repeat, which does not happen if this throws. */
  readonly requireClaim?: (() => void) | undefined;
}

/** The names of the parts of kafkajs that are used here. It has no public way to send one batch once, which alone tells what became of it. */
interface Cluster {
  targetTopics: Set<string>;
  readonly brokerPool: { readonly brokers: Record<string, unknown>; createBroker(options: object): Broker };
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  addTargetTopic(topic: string): Promise<void>;
  refreshMetadata(): Promise<void>;
  refreshMetadataIfNecessary(): Promise<void>;
  findTopicPartitionMetadata(topic: string): readonly { readonly partitionId: number; readonly leader: number }[];
  findBroker(of: { nodeId: string }): Promise<Broker>;
}

interface Broker {
  apiVersions(): Promise<Record<number, { readonly minVersion: number; readonly maxVersion: number }>>;
  initProducerId(of: { transactionTimeout: number }): Promise<{ producerId: string; producerEpoch: number }>;
  produce(request: object): Promise<ProduceAnswer>;
}

interface ProduceAnswer {
  readonly topics: readonly {
    readonly partitions: readonly { readonly partition: number; readonly baseOffset: string; readonly logAppendTime: string }[];
  }[];
  readonly clientSideThrottleTime?: number;
}

const KafkajsCluster = require('kafkajs/src/cluster/index.js') as new (options: object) => Cluster;

/** Metadata of all topics of a large cluster; other responses have a few hundred bytes. */
const longestResponse = 4 * 1_024 * 1_024;
const connectionTimeoutMs = 3_000;
const authenticationTimeoutMs = 10_000;
/** The deadline of an operation ends a wait earlier. */
const longestWaitMs = 65_000;
const metadataAgeMs = 300_000;
/** How long one record is sent again after a failure that may pass, such as the election of a leader. */
const longestRepeatMs = 4_000;
const metadataKey = 3;
/** The newest version that kafkajs reads itself. Later ones have fields whose number is not bounded by the length of the response. */
const metadataVersion = 6;

/** The record names a partition that its topic does not have. */
export class PartitionMissing extends Error {
  constructor(topic: string, partition: number, partitions: number) {
    super(`The topic ${topic} has the partitions 0 to ${partitions - 1}, and no ${partition}`);
  }
}

const silent = { namespace: () => silent, info: nothing, error: nothing, warn: nothing, debug: nothing };
function nothing(): void {}

/**
 * A session with a Kafka that belongs to a tenant, not the log. Neither the cluster nor the brokers that it names are trusted. It sends one record at a
 * time, and no other after one that failed. It logs nothing.
 */
export class TenantKafka {
  private readonly cluster: Cluster;
  private readonly sockets = new Set<BrokerSocket>();
  private identity: { producerId: string; producerEpoch: number } | undefined;
  /** The next sequence number, by topic and partition. */
  private readonly sequences = new Map<string, number>();
  private isClosed = false;
  private hasLostConnection = false;
  /** True once a produce request was handed to the network. */
  private wasSent = false;
  private lastSocketError: Error | undefined;
  private throttledUntilMs = 0;

  private constructor(private readonly options: TenantKafkaOptions) {
    const { brokers, clientId, login } = options;
    this.cluster = new KafkajsCluster({
      logger: silent,
      brokers: [...brokers],
      clientId,
      ssl: null,
      sasl: login === undefined ? null : boundedLogin(login),
      socketFactory: (target: { host: string; port: number; onConnect: () => void }) => this.socketTo(target),
      connectionTimeout: connectionTimeoutMs,
      authenticationTimeout: authenticationTimeoutMs,
      reauthenticationThreshold: 10_000,
      requestTimeout: longestWaitMs,
      enforceRequestTimeout: true,
      metadataMaxAge: metadataAgeMs,
      allowAutoTopicCreation: false,
      maxInFlightRequests: 1,
      retry: { retries: brokers.length - 1, initialRetryTime: 30, maxRetryTime: 200, factor: 0.2, multiplier: 2 },
    });
    readOldMetadata(this.cluster);
  }

  /** Connects to the first broker of the list that answers, and logs in. @throws TenantKafkaFailure */
  static async connect(options: TenantKafkaOptions, within: Pick<Within, 'signal'>): Promise<TenantKafka> {
    const kafka = new TenantKafka(options);
    try {
      await kafka.untilAborted(within.signal, () => kafka.cluster.connect());
      return kafka;
    } catch (error) {
      kafka.close();
      throw kafka.failureOf(error);
    }
  }

  /** False after a failure, and if a broker ended its connection. */
  get isUsable(): boolean {
    return !this.isClosed && !this.hasLostConnection;
  }

  /** How long brokers have asked this session to send nothing, in ms. */
  get throttledMs(): number {
    return Math.max(0, this.throttledUntilMs - performance.now());
  }

  /**
   * Reads the metadata of topics, and connects to each broker that the cluster names.
   * @param topics empty: all that the login may see
   * @returns how many brokers there are
   * @throws TenantKafkaFailure
   */
  async look(topics: readonly string[], { signal }: Pick<Within, 'signal'>): Promise<number> {
    try {
      return await this.untilAborted(signal, async () => {
        this.cluster.targetTopics = new Set(topics);
        await this.cluster.refreshMetadata();
        const nodes = Object.keys(this.cluster.brokerPool.brokers);
        for (const nodeId of nodes) await this.cluster.findBroker({ nodeId });
        return nodes.length;
      });
    } catch (error) {
      throw this.failureOf(error);
    }
  }

  /**
   * Resolves when all in-sync replicas have the record. A failure that may pass is followed by a repeat, for up to 4 s and half of the time that is left;
   * the brokers recognise it by its producer id and sequence number, so that the repeats of one call append the record once.
   * @throws TenantKafkaFailure, PartitionMissing, and as `requireClaim` does
   */
  async produce(record: TenantRecord, { endsAtMs, signal, requireClaim }: Within): Promise<ProducedRecordPlace> {
    const startedAtMs = performance.now();
    const repeatUntilMs = startedAtMs + Math.min(longestRepeatMs, (endsAtMs - startedAtMs) / 2);
    let isUncertain = false;
    let partition = record.partition;
    for (let pauseMs = 50; ; pauseMs = Math.min(1_000, pauseMs * 2)) {
      try {
        this.wasSent = false;
        return await this.untilAborted(signal, async () => {
          partition = await this.partitionFor({ ...record, partition });
          return this.send({ ...record, partition }, endsAtMs);
        });
      } catch (error) {
        if (error instanceof PartitionMissing) throw error;
        const failure = this.failureOf(error);
        isUncertain ||= failure.isUncertain;
        const isLast = !failure.mayPass || signal.aborted || performance.now() + pauseMs > repeatUntilMs;
        if (isLast) {
          this.close();
          throw failure.isUncertain === isUncertain ? failure : failure.uncertain();
        }
      }
      await sleep(pauseMs, signal).catch(nothing);
      requireClaim?.();
      await this.untilAborted(signal, () => this.cluster.refreshMetadata()).catch(nothing); // what is wrong shows with the next try
    }
  }

  /** Ends all connections at once. */
  close(): void {
    this.isClosed = true;
    for (const socket of this.sockets) socket.destroy(new Error('The session ended'));
    this.cluster.disconnect().catch(nothing);
  }

  private async partitionFor({ topic, partition, key }: TenantRecord): Promise<number> {
    if (!this.cluster.targetTopics.has(topic)) {
      this.cluster.targetTopics = new Set(); // a topic that was deleted meanwhile would spoil the metadata of this one
      await this.cluster.addTargetTopic(topic);
    }
    await this.cluster.refreshMetadataIfNecessary();
    const partitions = this.cluster.findTopicPartitionMetadata(topic);
    if (partitions.length === 0) throw new TenantKafkaFailure('answer', 'LEADER_NOT_AVAILABLE', `The topic ${topic} has no partitions yet`);
    if (partition !== undefined) {
      if (partition >= partitions.length) throw new PartitionMissing(topic, partition, partitions.length);
      return partition;
    }
    return key === null ? randomInt(partitions.length) : partitionOf(key, partitions.length);
  }

  private async send(
    { topic, partition, key, value, headers, timestampMs }: TenantRecord & { readonly partition: number },
    endsAtMs: number,
  ): Promise<ProducedRecordPlace> {
    const { leader } = this.cluster.findTopicPartitionMetadata(topic).find(({ partitionId }) => partitionId === partition)!;
    const broker = await this.cluster.findBroker({ nodeId: String(leader) });
    this.identity ??= await broker.initProducerId({ transactionTimeout: longestWaitMs });
    const counted = `${partition}/${topic}`;
    const sequence = this.sequences.get(counted) ?? 0;
    const message = { key, value, headers, timestamp: String(timestampMs) };
    const answer = await broker.produce({
      acks: -1,
      timeout: Math.max(100, Math.floor((endsAtMs - performance.now()) * 0.9)),
      compression: 0,
      ...this.identity,
      topicData: [{ topic, partitions: [{ partition, firstSequence: sequence, messages: [message] }] }],
    });
    this.sequences.set(counted, sequence + 1);
    this.throttledUntilMs = performance.now() + (answer.clientSideThrottleTime ?? 0);
    const { baseOffset, logAppendTime } = answer.topics[0]!.partitions[0]!;
    return { partition, offset: baseOffset, timestampMs: logAppendTime === '-1' ? timestampMs : Number(logAppendTime) };
  }

  private socketTo({ host, port, onConnect }: { host: string; port: number; onConnect: () => void }): BrokerSocket {
    if (this.isClosed) throw new Error('The session ended');
    let raw: Socket;
    try {
      raw = this.options.dial(host, port);
    } catch (error) {
      this.lastSocketError = error as Error;
      throw error;
    }
    const { tls } = this.options;
    const socket = new BrokerSocket(raw, { host, tls, longestResponse, onConnect, onProduce: () => (this.wasSent = true) });
    this.sockets.add(socket);
    socket.once('error', (error) => (this.lastSocketError = error));
    socket.once('close', () => {
      this.sockets.delete(socket);
      this.hasLostConnection = true;
    });
    return socket;
  }

  private failureOf(error: unknown): TenantKafkaFailure {
    const { wasSent, lastSocketError: socketError, options } = this;
    return failureOf(error, { wasSent, socketError, isFinal: socketError !== undefined && options.isFinal(socketError) });
  }

  /** Does the work, and ends the session if the signal aborts meanwhile. @throws TenantKafkaFailure then, and as the work does */
  private async untilAborted<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const { promise, reject } = Promise.withResolvers<never>();
    const abort = (): void => {
      reject(new TenantKafkaFailure('late', undefined, 'The brokers did not answer in time', { isUncertain: this.wasSent }));
      this.close();
    };
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await Promise.race([signal.aborted ? promise : work(), promise]);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }
}

/** Makes each broker look as if it had no newer version of the metadata request. */
function readOldMetadata({ brokerPool }: Cluster): void {
  const createBroker = brokerPool.createBroker.bind(brokerPool);
  brokerPool.createBroker = (options) => {
    const broker = createBroker(options);
    const apiVersions = broker.apiVersions.bind(broker);
    broker.apiVersions = async () => {
      const versions = await apiVersions();
      const metadata = versions[metadataKey];
      if (metadata === undefined) return versions;
      return { ...versions, [metadataKey]: { ...metadata, maxVersion: Math.min(metadata.maxVersion, metadataVersion) } };
    };
    return broker;
  };
}
