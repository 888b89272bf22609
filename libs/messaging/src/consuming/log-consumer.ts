import { randomUUID } from 'node:crypto';
import { Server } from '@nestjs/microservices';
import type { CustomTransportStrategy, MessageHandler } from '@nestjs/microservices';
import { isObservable, lastValueFrom } from 'rxjs';
import { standardRetry } from '#libs/retries';
import type { RetryPolicy } from '#libs/retries';
import { waitAtMost } from '#libs/time';
import { ConsumerLag } from './consumer-lag.js';
import { EarlierCommits } from './earlier-commits.js';
import { GroupConsumer } from './group-consumer.js';
import { LogIds } from './log-ids.js';
import { StoredPositions } from './stored-positions.js';
import type { PositionStore } from './stored-positions.js';
import { groupHandlers } from '../handling/handler-groups.js';
import type { Handler, HandlerGroup } from '../handling/handler-groups.js';
import type { Listeners } from '../handling/listeners.js';
import { Periodically } from '#libs/work';
import { nobodyHeld } from '../holding/hold-store.js';
import type { HoldStore } from '../holding/hold-store.js';
import { kafkaClient, nameOnLog, topicOnLog } from '../kafka/kafka-client.js';
import { LazyAdmin } from '../kafka/lazy-admin.js';
import type { LogOptions } from '../kafka/kafka-client.js';
import { logTransport } from '../handling/on-record.js';
import type { RecordSubscription } from '../handling/on-record.js';
import { RecordHandling } from '../handling/record-handling.js';
import type { RecordProducer } from '../producing/record-producer.js';

export interface LogConsumerOptions extends LogOptions {
  /** Appends the dead letters. */
  producer: RecordProducer;
  /** Records handled at once per group, each of a different customer. Default 200. */
  concurrency?: number;
  /** Bytes of records that wait in memory, per group. Default 64 MiB. */
  maxBufferedBytes?: number;
  /** The store for records of held customers. Without it, groups with the policy `park-key` are refused at the start. */
  holds?: HoldStore;
  /** The store that keeps the positions of the groups beside the effects of what they finished. Default: none. */
  positions?: PositionStore;
  /** Who listens in this process. Without it, the groups of audience `every-process` handle every record. */
  listeners?: Listeners;
  /** Default: the standard retry. */
  retry?: RetryPolicy;
  /** How long a process may be silent before its partitions go to others, ms. Default 15 000. */
  sessionTimeoutMs?: number;
  /** How long a rebalance or a stop waits for the handlers in flight, ms. Default 10 000. */
  drainTimeoutMs?: number;
  /** Default 1000. */
  commitIntervalMs?: number;
  /**
   * How long one attempt at a record may take, ms. After twice this time the process ends, because a handler that never ends would block its
   * customer for ever. Must be longer than any flow may take. Default 30 minutes.
   */
  handlerDeadlineMs?: number;
  /** Records are handed to their handlers when this has resolved. Default: as soon as they come. */
  begin?: Promise<void>;
}

/** How long records of a topic that was created anew may be taken for those of the old one: they are handled, and then handled again. */
const logCheckIntervalMs = 5_000;
/** How long a stop waits for a check under way. */
const stopTimeoutMs = 1_000;

/**
 * Nest's transport for the log: `app.connectMicroservice({ strategy: new LogConsumer(…) })`. Delivers the records of the topics to the
 * `@OnRecord` methods of the controllers, one kafkajs consumer per group.
 */
export class LogConsumer extends Server implements CustomTransportStrategy {
  override readonly transportId = logTransport;
  override readonly propagatesEventHandlerErrors = true;
  private readonly handlers: Handler[] = [];
  private groups: GroupConsumer[] = [];
  private lag: ConsumerLag | undefined;
  private positions: StoredPositions | undefined;
  private hasBegun = false;
  /** Asks the log for all groups of this process. */
  private readonly admin: LazyAdmin;
  private readonly logIds: LogIds;
  private readonly logChecks = new Periodically('checking the identity of the logs', logCheckIntervalMs, () => this.checkLogs());

  constructor(private readonly options: LogConsumerOptions) {
    super();
    this.admin = new LazyAdmin(kafkaClient({ ...options, requestTimeoutMs: 5_000, retry: { retries: 1 } }));
    this.logIds = new LogIds(this.admin);
  }

  /** Called by Nest, once per `@OnRecord` method. */
  override addHandler(_pattern: unknown, callback: MessageHandler, _isEvent?: boolean, extras: Record<string, unknown> = {}): void {
    const subscription = extras['subscription'] as RecordSubscription;
    this.handlers.push({
      ...subscription,
      handle: async (value, context) => {
        if (!this.hasBegun) await this.begin();
        const result: unknown = await callback(value, context);
        if (isObservable(result)) await lastValueFrom(result, { defaultValue: undefined });
      },
    });
  }

  /** Calls back when every group has joined. Waits for a log that is away. Calls back with HandlersInvalid if the handlers do not fit together. */
  listen(callback: (error?: unknown) => void): void {
    this.start().then(() => callback(), callback);
  }

  /** @throws Error with the reason if a group is not consuming */
  async ready(): Promise<void> {
    for (const group of this.groups) group.ready();
  }

  async close(): Promise<void> {
    await this.positions?.stop();
    await Promise.all([...this.groups.map((group) => group.stop()), this.lag?.stop(), waitAtMost(stopTimeoutMs, this.logChecks.stop())]);
    await this.admin.close();
  }

  override on(): never {
    throw new Error('The log consumer has no events to listen to; ask ready()');
  }

  override unwrap(): never {
    throw new Error('There is no single client behind the log consumer');
  }

  private async begin(): Promise<void> {
    await this.options.begin;
    this.hasBegun = true;
  }

  private async start(): Promise<void> {
    const groups = groupHandlers(
      this.handlers.map((handler) => this.onLog(handler)),
      { canHold: this.options.holds !== undefined },
    );
    const consumers = groups.map((group) => ({ group, consumer: this.consumerOf(group) }));
    this.groups = consumers.map(({ consumer }) => consumer);
    await Promise.all(this.groups.map((consumer) => consumer.start()));
    const shared = consumers.filter(({ group }) => group.audience === 'one');
    this.lag = new ConsumerLag(this.admin, shared);
    this.lag.start();
    this.positions = this.options.positions && new StoredPositions(shared, this.options.positions);
    this.positions?.start();
    this.logChecks.start();
  }

  private async checkLogs(): Promise<void> {
    const topics = new Set(this.handlers.flatMap((handler) => this.onLog(handler).topics.map(({ name }) => name)));
    const { topics: ids } = await this.logIds.read([...topics]);
    for (const group of this.groups) group.checkLogs(ids);
  }

  private onLog(handler: Handler): Handler {
    return { ...handler, topics: handler.topics.map((topic) => topicOnLog(this.options, topic)) };
  }

  private consumerOf(group: HandlerGroup): GroupConsumer {
    const { producer, retry = standardRetry, holds = nobodyHeld } = this.options;
    const drainTimeoutMs = this.options.drainTimeoutMs ?? 10_000;
    const groupId = nameOnLog(this.options, group.audience === 'one' ? group.group : `${group.group}.${randomUUID()}`);
    const parts = {
      kafka: kafkaClient({ ...this.options, requestTimeoutMs: 30_000, retry: { retries: 5 } }),
      earlierCommits: new EarlierCommits(this.admin, groupId),
      logIds: this.logIds,
      group,
      handling: new RecordHandling(group, { producer, retry, log: this.options }),
      holds: group.poison === 'park-key' ? holds : nobodyHeld,
      listeners: group.audience === 'every-process' ? this.options.listeners : undefined,
    };
    return new GroupConsumer(parts, {
      groupId,
      concurrency: this.options.concurrency ?? 200,
      maxBufferedBytes: this.options.maxBufferedBytes ?? 64 * 1_048_576,
      sessionTimeoutMs: this.options.sessionTimeoutMs ?? 15_000,
      drainTimeoutMs,
      commitIntervalMs: this.options.commitIntervalMs ?? 1_000,
      storeRetryMs: retry.initialDelayMs,
      handlerDeadlineMs: this.options.handlerDeadlineMs ?? 30 * 60_000,
    });
  }
}
