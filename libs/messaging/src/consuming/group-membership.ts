import { PartitionAssigners } from 'kafkajs';
import type { Consumer, ConsumerCrashEvent, ConsumerGroupJoinEvent, EachBatchPayload, Kafka, PartitionAssigner } from 'kafkajs';
import { messageOf } from '#libs/contracts';
import { sleep } from '#libs/time';
import { counter, logger, startAtZero } from '#libs/tracing';
import type { HandlerGroup } from '../handling/handler-groups.js';
import type { GroupListener, MemberGeneration } from '../kafka/kafkajs-repairs.js';
import type { TopicPartition } from '../logged-record.js';
import type { FetchControl } from './owned-partitions.js';

/** A rebalance that takes longer makes the process unready. */
const maxRebalanceMs = 60_000;
/** Between two heartbeats, ms, if a session is long enough. kafkajs beats between two fetches: handlers never delay a fetch, and no fetch waits for longer than this. */
const heartbeatMs = 2_000;

const log = logger('messaging');
const rebalances = counter('millrace_rebalances_total', 'Assignments a consumer received.', { group: 'the consumer group' });

export interface GroupMembershipOptions {
  readonly kafka: Kafka;
  readonly group: Pick<HandlerGroup, 'group' | 'topics' | 'audience'>;
  readonly groupId: string;
  readonly sessionTimeoutMs: number;
  /** How long the drain before a rejoin may take, ms. */
  readonly drainTimeoutMs: number;
  readonly maxBufferedBytes: number;
  /** Minimum time between two fetches, ms; undefined: by the load. */
  readonly fetchEveryMs?: (() => number | undefined) | undefined;
}

/** The events of a membership, for the consumer that owns it. */
export interface MembershipListener {
  /** Awaited before each rejoin. @param isMember false if the group has gone on without this process */
  beforeRejoin(isMember: boolean): Promise<void>;
  /** @param isContinuous false if this member missed a generation, in which its partitions may have had another owner */
  onAssigned(assigned: readonly TopicPartition[], isContinuous: boolean): void;
  /** The membership ended without a rejoin; a new one begins by itself. */
  onCrash(): void;
  /** kafkajs fetches again only after this resolved. */
  onBatch(payload: EachBatchPayload): Promise<void>;
}

/** Joins a consumer group through kafkajs, stays in it over rebalances and crashes, and leaves it. */
export class GroupMembership implements FetchControl {
  private readonly stopped = new AbortController();
  /** Aborted when this member disconnects, so that a fetch that waits for records ends. */
  private readonly disconnecting = new AbortController();
  private readonly firstJoin = Promise.withResolvers<void>();
  /** Undefined after it left or crashed: kafkajs then throws where a partition is paused, resumed or sought. */
  private consumer: Consumer | undefined;
  private assigner: GroupListener | undefined;
  private lastGeneration: MemberGeneration | undefined;
  private notConsuming: string | undefined = 'has not joined yet';
  private rebalancingSince: number | undefined;

  constructor(
    private readonly options: GroupMembershipOptions,
    private readonly listener: MembershipListener,
  ) {
    startAtZero(rebalances, { group: options.group.group });
  }

  /** Resolves when the group was joined for the first time; tries until then, and again after every crash. */
  async join(): Promise<void> {
    void this.connectUntilJoined();
    await this.firstJoin.promise;
  }

  /** Prevents further joins. The consumer stays connected until {@link leave}. */
  beginLeaving(): void {
    this.stopped.abort();
    this.firstJoin.resolve();
  }

  get isLeaving(): boolean {
    return this.stopped.signal.aborted;
  }

  /** Leaves the group, so that others take over at once. */
  async leave(): Promise<void> {
    const { consumer } = this;
    this.consumer = undefined;
    if (consumer !== undefined) await this.disconnect(consumer);
  }

  private async disconnect(consumer: Consumer): Promise<void> {
    const disconnected = consumer.disconnect(); // kafkajs begins no further fetch
    this.disconnecting.abort();
    await disconnected;
  }

  /** The reason why this member does not consume, as the end of a sentence about it; undefined while it does. */
  get fault(): string | undefined {
    const rebalancingMs = this.rebalancingSince === undefined ? 0 : performance.now() - this.rebalancingSince;
    const slowRebalance = rebalancingMs > maxRebalanceMs ? `rebalances since ${Math.round(rebalancingMs / 1_000)} s` : undefined;
    return this.notConsuming ?? slowRebalance;
  }

  pause({ topic, partition }: TopicPartition): void {
    this.consumer?.pause([{ topic, partitions: [partition] }]);
  }

  resume({ topic, partition }: TopicPartition): void {
    this.consumer?.resume([{ topic, partitions: [partition] }]);
  }

  seek({ topic, partition }: TopicPartition, offset: number): void {
    this.consumer?.seek({ topic, partition, offset: String(offset) });
  }

  logEnd({ topic, partition }: TopicPartition): number | undefined {
    return this.assigner?.logEnd?.(topic, partition);
  }

  private async connectUntilJoined(): Promise<void> {
    const { group } = this.options;
    for (let pauseMs = 500; !this.isLeaving; pauseMs = Math.min(2 * pauseMs, 10_000)) {
      const consumer = this.createConsumer();
      try {
        await consumer.connect();
        await consumer.subscribe({ topics: group.topics.map(({ name }) => name), fromBeginning: group.audience === 'one' });
        this.consumer = consumer;
        await consumer.run({
          autoCommit: false,
          eachBatchAutoResolve: false,
          partitionsConsumedConcurrently: 1,
          eachBatch: (payload) => this.listener.onBatch(payload),
        });
        if (this.isLeaving) await this.disconnect(consumer);
        return;
      } catch (error) {
        this.notConsuming = `cannot start: ${messageOf(error)}`;
        log.warn({ err: error, group: group.group }, 'a consumer could not start; trying again');
        await consumer.disconnect().catch(() => undefined);
      }
      await this.waitUnlessLeaving(pauseMs);
    }
  }

  private async waitUnlessLeaving(ms: number): Promise<void> {
    await sleep(ms, this.stopped.signal).catch(() => undefined);
  }

  private createConsumer(): Consumer {
    const { kafka, groupId, sessionTimeoutMs, drainTimeoutMs, maxBufferedBytes } = this.options;
    const consumer = kafka.consumer({
      groupId,
      sessionTimeout: sessionTimeoutMs,
      rebalanceTimeout: Math.max(60_000, 2 * drainTimeoutMs),
      heartbeatInterval: Math.min(heartbeatMs, Math.floor(sessionTimeoutMs / 4)),
      maxWaitTimeInMs: heartbeatMs,
      maxBytes: Math.min(10 * 1_048_576, maxBufferedBytes),
      maxBytesPerPartition: Math.min(1_048_576, maxBufferedBytes),
      allowAutoTopicCreation: false,
      partitionAssigners: [this.drainingAssigner()],
      // Crashes are handled by `onCrash`: kafkajs restarts only some of them, and the other consumers would die silently.
      retry: { initialRetryTime: 200, maxRetryTime: 3_000, retries: 10, restartOnFailure: async () => false },
    });
    consumer.on(consumer.events.GROUP_JOIN, (event) => this.onJoin(event));
    consumer.on(consumer.events.FETCH, () => this.onFetch());
    consumer.on(consumer.events.CRASH, (event) => this.onCrash(event));
    return consumer;
  }

  /** kafkajs-repairs.ts makes kafkajs await `beforeRejoin` and set `membership`. */
  private drainingAssigner(): PartitionAssigner {
    return (config) => {
      const listener: GroupListener = {
        beforeRejoin: (isMember) => this.beforeRejoin(isMember),
        mayJoin: () => !this.isLeaving,
        fetchPace: () => ({ everyMs: this.options.fetchEveryMs?.(), stopped: this.disconnecting.signal }),
      };
      const assigner = Object.assign(PartitionAssigners.roundRobin(config), listener);
      this.assigner = assigner;
      return assigner;
    };
  }

  private async beforeRejoin(isMember: boolean): Promise<void> {
    this.rebalancingSince ??= performance.now();
    await this.listener.beforeRejoin(isMember);
  }

  private onJoin({ payload }: ConsumerGroupJoinEvent): void {
    const { group, audience } = this.options.group;
    rebalances.inc({ group });
    const assigned = Object.entries(payload.memberAssignment).flatMap(([topic, partitions]) =>
      partitions.map((partition) => ({ topic, partition })),
    );
    this.listener.onAssigned(assigned, this.isNextGeneration());
    this.notConsuming = undefined;
    this.rebalancingSince = undefined;
    if (audience === 'one') this.firstJoin.resolve();
    log.info({ group, partitions: assigned.length }, 'joined the consumer group');
  }

  /** Compares this generation with the last one that the same member saw. */
  private isNextGeneration(): boolean {
    const last = this.lastGeneration;
    this.lastGeneration = this.assigner?.membership?.();
    const { memberId, generationId } = this.lastGeneration ?? {};
    return last !== undefined && memberId === last.memberId && generationId === last.generationId + 1;
  }

  /** A group of audience `every-process` reads from the newest record on, and that position is known only after the first fetch. */
  private onFetch(): void {
    if (this.notConsuming === undefined) this.firstJoin.resolve();
  }

  private onCrash({ payload: { error } }: ConsumerCrashEvent): void {
    this.consumer = undefined;
    if (this.isLeaving) return;
    this.notConsuming = `crashed: ${error.message}`;
    log.warn({ err: error, group: this.options.group.group }, 'a consumer crashed; starting a new one');
    this.listener.onCrash();
    void this.waitUnlessLeaving(1_000).then(() => this.connectUntilJoined());
  }
}
