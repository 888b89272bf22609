import type { Batch, EachBatchPayload, Kafka } from 'kafkajs';
import { sleep, startInterval, waitAtMost } from '#libs/time';
import { counter, gauge, logger, startAtZero } from '#libs/tracing';
import { KeyOrderedDispatcher } from '../dispatching/key-ordered-dispatcher.js';
import type { DispatchResult } from '../dispatching/key-ordered-dispatcher.js';
import type { HandlerGroup } from '../handling/handler-groups.js';
import type { Listeners } from '../handling/listeners.js';
import { HandlerWatch } from '../handling/handler-watch.js';
import { workOn } from '../handling/record-handling.js';
import type { RecordHandling } from '../handling/record-handling.js';
import { HeldCustomers, queueKeyOf } from '../holding/held-customers.js';
import type { HoldableItem, PartitionHolds } from '../holding/held-customers.js';
import type { HoldStore } from '../holding/hold-store.js';
import { ownerOf, schemaOf } from '../logged-record.js';
import type { LoggedRecord, TopicPartition } from '../logged-record.js';
import { headerText, isMarkedAsNotice, mayBePassedIfUnknown } from '../record-headers.js';
import type { EarlierCommits } from './earlier-commits.js';
import type { LogIds } from './log-ids.js';
import { GroupMembership } from './group-membership.js';
import { OffsetCommits } from './offset-commits.js';
import type { OffsetTracker } from './offset-tracker.js';
import type { OwnedPartition, OwnedWork } from './owned-partition.js';
import { OwnedPartitions } from './owned-partitions.js';
import type { PartitionProgress } from './owned-partitions.js';

export interface GroupConsumerOptions {
  /** The prefixed group name, or a name unique to this process. */
  groupId: string;
  /** Records handled at once. */
  concurrency: number;
  /** Bytes of values that wait in memory, over all partitions of the group; those of records that are handled may be as many. */
  maxBufferedBytes: number;
  /** How long a member may be silent before its partitions go to others, ms. */
  sessionTimeoutMs: number;
  /** How long a rebalance or a stop waits for the handlers in flight, ms. */
  drainTimeoutMs: number;
  /** Between two commits, and between two searches for releasable holds, ms. */
  commitIntervalMs: number;
  /** Pause between two attempts to reach the hold store, ms. */
  storeRetryMs: number;
  /** How long one attempt at a record may take, ms; after twice of it the process ends. */
  handlerDeadlineMs: number;
}

/** Between two fetches of a group that nobody listens to, ms. It keeps up with the log, so that whoever begins to listen hears what comes from then on. */
const unheardFetchMs = 500;
/** Time limit for the last commit and the leave request of a member that stops. */
const leaveTimeoutMs = 5_000;

const log = logger('messaging');
const duplicates = counter('millrace_records_refetched_total', 'Records dropped because they were read again after a rebalance.', {
  group: 'the consumer group',
});
const expired = counter('millrace_records_expired_total', 'Records that the log deleted before the group had read them.', {
  group: 'the consumer group',
  topic: 'the topic',
});
const unknownPassed = counter('millrace_unknown_records_passed_total', 'Records of types of a later release, passed over as they allow.', {
  group: 'the consumer group',
  topic: 'the topic',
});
/** The most unknown types that are named in the log, one line each. */
const mostUnknownSchemas = 100;
const inFlight = gauge('millrace_records_in_flight', 'Records being handled.', { group: 'the consumer group' });
const queued = gauge('millrace_records_queued', 'Records read and not handled yet.', { group: 'the consumer group' });
const blockedKeys = gauge('millrace_blocked_keys', 'Customers whose next record waits for its retry.', { group: 'the consumer group' });

export interface GroupConsumerDependencies {
  readonly kafka: Kafka;
  readonly earlierCommits: Pick<EarlierCommits, 'read'>;
  readonly logIds: Pick<LogIds, 'read'>;
  readonly group: HandlerGroup;
  readonly handling: Pick<RecordHandling, 'handle'>;
  readonly holds: HoldStore;
  /** If given, only records of the tenants that somebody listens for are handled. */
  readonly listeners?: Pick<Listeners, 'has' | 'isEmpty'> | undefined;
}

/**
 * One member of a consumer group. It queues the fetched records, hands them to the dispatcher, and lets the commits follow what is finished:
 * - {@link GroupMembership} joins, rejoins and leaves;
 * - {@link OwnedPartitions} holds the state of the assigned partitions and pauses full ones;
 * - {@link OffsetCommits} commits.
 *
 * A batch is only queued: kafkajs waits for `onBatch` before it fetches again, so one slow record would delay every partition.
 */
export class GroupConsumer {
  private readonly group: HandlerGroup;
  private readonly unknownSchemas = new Set<string>();
  private readonly membership: GroupMembership;
  private readonly partitions: OwnedPartitions;
  private readonly commits: OffsetCommits;
  private readonly dispatcher: KeyOrderedDispatcher<HoldableItem>;
  private readonly held: HeldCustomers;
  private readonly watch: HandlerWatch;
  private tick: NodeJS.Timeout | undefined;

  constructor(
    private readonly dependencies: GroupConsumerDependencies,
    private readonly options: GroupConsumerOptions,
  ) {
    const { kafka, group, handling, holds, earlierCommits, logIds } = dependencies;
    this.group = group;
    this.watch = new HandlerWatch(group.group, options.handlerDeadlineMs);
    this.held = new HeldCustomers({
      group: group.group,
      store: holds,
      handle: (work) => this.watch.during(work.record, () => handling.handle(work)),
      retryMs: options.storeRetryMs,
    });
    this.dispatcher = new KeyOrderedDispatcher<HoldableItem>({
      concurrency: options.concurrency,
      maxBytes: options.maxBufferedBytes,
      bytesOf: (item) => ('record' in item ? (item.record.value?.length ?? 0) : 0),
      handle: (item) => ('owner' in item ? this.handleOwned(item as OwnedWork) : this.held.handle(item)),
    });
    this.membership = new GroupMembership(
      { ...options, kafka, group, fetchEveryMs: () => (dependencies.listeners?.isEmpty === true ? unheardFetchMs : group.fetchEveryMs) },
      {
        beforeRejoin: (isMember) => this.beforeRejoin(isMember),
        onAssigned: (assigned, isContinuous) => this.onAssigned(assigned, isContinuous),
        onCrash: () => this.partitions.loseAll(),
        onBatch: (payload) => this.queueBatch(payload),
      },
    );
    this.partitions = new OwnedPartitions({
      group,
      fetching: this.membership,
      earlierCommits,
      logIds,
      held: this.held,
      createQueues: (lane) => this.dispatcher.createQueues(lane),
      maxBufferedBytes: options.maxBufferedBytes,
    });
    this.commits = new OffsetCommits(group, this.partitions);
    startAtZero(duplicates, { group: group.group });
    startAtZero(expired, { group: group.group, topic: group.topics.map(({ name }) => name) });
  }

  /** Resolves when the group was joined for the first time; tries until then, and again after every crash. */
  async start(): Promise<void> {
    this.tick = startInterval(() => this.everyInterval(), this.options.commitIntervalMs);
    await this.membership.join();
  }

  /** @throws Error with the reason if this member does not consume, or a handler is overdue */
  ready(): void {
    const fault = this.membership.fault ?? this.watch.fault;
    if (fault !== undefined) throw new Error(`consumer group ${this.options.groupId} ${fault}`);
  }

  /** Waits for the handlers in flight, commits, and leaves the group, so that others take over at once. Gives up on a log that does not respond. */
  async stop(): Promise<void> {
    this.membership.beginLeaving();
    clearInterval(this.tick);
    await this.pauseUntilIdle();
    await waitAtMost(leaveTimeoutMs, this.leave());
    this.partitions.loseAll();
  }

  private async leave(): Promise<void> {
    await this.commits.commitAll();
    for (const owned of this.partitions.all()) owned.lose('This process is stopping');
    await this.membership.leave();
  }

  /** Bytes of values that were read and are not finished. */
  get bufferedBytes(): number {
    return this.partitions.bufferedBytes;
  }

  /** How far each owned partition is handled. */
  progress(): PartitionProgress[] {
    return this.partitions.progress();
  }

  /** Starts over in topics that were created anew. @param ids the identities of the logs, by topic */
  checkLogs(ids: ReadonlyMap<string, string>): void {
    this.partitions.checkLogs(ids);
  }

  private async beforeRejoin(isMember: boolean): Promise<void> {
    if (isMember) await this.drain();
    else this.partitions.loseAll(); // the group has gone on without this process
    this.commits.suspend();
  }

  /** Starts nothing new, waits for the handlers in flight up to the drain timeout, and commits. */
  private async drain(): Promise<void> {
    await this.pauseUntilIdle();
    await this.commits.commitAll();
  }

  private async pauseUntilIdle(): Promise<void> {
    this.dispatcher.pause();
    const timeout = new AbortController();
    await Promise.race([this.dispatcher.idle(), sleep(this.options.drainTimeoutMs, timeout.signal).catch(() => undefined)]);
    timeout.abort();
  }

  private onAssigned(assigned: readonly TopicPartition[], isContinuous: boolean): void {
    if (!isContinuous) this.partitions.loseAll();
    this.partitions.assign(assigned);
    this.commits.resume();
    if (!this.membership.isLeaving) this.dispatcher.resume();
  }

  private async queueBatch(payload: EachBatchPayload): Promise<void> {
    const { batch } = payload;
    const { topic, partition } = batch;
    let owned = this.partitions.find(batch);
    await owned?.restored;
    if (owned === undefined || owned.lost.aborted) return;
    if (payload.isStale()) return; // it was found meanwhile that the log has to be read from elsewhere
    if (isAnotherLog(owned.tracker, batch)) {
      owned = this.partitions.startOver(owned);
      await owned.restored;
    }
    const { logId } = owned;
    if (logId === undefined) return; // lost meanwhile
    this.reportGap(owned.tracker, batch);
    this.commits.sendWith((offsets) => payload.commitOffsetsIfNecessary(offsets));
    for (const { offset, timestamp, key, value, headers } of batch.messages) {
      this.queue(owned, { topic, partition, logId, offset: Number(offset), timestampMs: Number(timestamp), key, value, headers });
    }
    payload.resolveOffset(batch.lastOffset());
    this.partitions.pauseWhenFull(owned);
  }

  /** Millrace uses neither transactions nor compaction, so missing offsets are records that expired before they were read. */
  private reportGap(tracker: OffsetTracker, { topic, partition, ...batch }: Batch): void {
    const first = Number(batch.messages[0]?.offset ?? -1);
    if (tracker.next === undefined || first <= tracker.next) return;
    const records = first - tracker.next;
    expired.inc({ group: this.group.group, topic }, records);
    log.error({ group: this.group.group, topic, partition, records }, 'records expired before this group had read them');
  }

  private queue(owned: OwnedPartition, record: LoggedRecord): void {
    if (!owned.tracker.received(record.offset, record.timestampMs)) {
      duplicates.inc({ group: this.group.group });
      return;
    }
    if (this.isForOthers(record) || this.isUnheard(record)) {
      owned.tracker.finished(record.offset);
      return;
    }
    owned.countQueued(record);
    const key = this.group.order === 'customer' && record.key !== null ? queueKeyOf(record.key) : null;
    const work: OwnedWork = { ...workOn(record, owned.lost), owner: owned, holds: owned.holds };
    owned.holds.add(key, work);
  }

  /**
   * True for a type that belongs on the topic and for which this group has no handler, for a notice that its handler passes over, and for a type that is
   * not known here and may be passed over.
   */
  private isForOthers(record: LoggedRecord): boolean {
    const schema = schemaOf(record);
    if (schema === undefined) return false;
    const handler = this.group.handlerOf(record.topic, schema);
    if (handler !== undefined) return handler.passesNotices && isMarkedAsNotice(record.headers);
    if (this.group.topics.some(({ name, types }) => name === record.topic && types.some((type) => type.schema === schema))) return true;
    return mayBePassedIfUnknown(record.headers) && this.passUnknown(record.topic, schema);
  }

  private passUnknown(topic: string, schema: string): true {
    unknownPassed.inc({ group: this.group.group, topic });
    if (!this.unknownSchemas.has(schema) && this.unknownSchemas.size < mostUnknownSchemas) {
      this.unknownSchemas.add(schema);
      log.warn({ group: this.group.group, topic, schema }, 'records of a later release, which this one may pass over, are passed over');
    }
    return true;
  }

  private isUnheard({ key, headers }: LoggedRecord): boolean {
    const { listeners } = this.dependencies;
    return listeners !== undefined && !listeners.has(headerText(headers, 'mr_tenant') ?? ownerOf({ key, headers }).tenant);
  }

  /** Makes room in memory: what one customer or one tenant has too much of goes to the hold store, so that the others do not wait for it. */
  private relieve(all: readonly PartitionHolds[]): void {
    const full = this.partitions.fullForLong();
    this.held.relieve(
      full.map((owned) => owned.holds),
      all,
    );
    for (const owned of this.partitions.crowded()) {
      this.held.relieveOfTenants(owned.holds, {
        weightOf: this.partitions.weighing(),
        hasOthers: (tenant) => this.dispatcher.hasOthers(tenant),
      });
    }
  }

  private async handleOwned(work: OwnedWork): Promise<DispatchResult> {
    const { owner, record } = work;
    owner.began(record);
    this.partitions.resumeWhenDrained(owner);
    const result = await this.held.handle(work);
    owner.ended(record);
    if (result === 'finished') this.finished(work);
    return result;
  }

  private finished({ owner, record }: OwnedWork): void {
    owner.finished(record);
    this.partitions.resumeWhenDrained(owner);
    this.commits.countFinished();
  }

  private everyInterval(): void {
    let waiting = 0;
    let blocked = 0;
    const all = this.partitions.all();
    for (const owned of all) {
      waiting += owned.queuedRecords;
      blocked += owned.queues.blockedKeys;
      this.partitions.resumeWhenDrained(owned); // the metadata shrinks with a commit, after the last record was finished
    }
    inFlight.set({ group: this.group.group }, this.dispatcher.inFlight);
    queued.set({ group: this.group.group }, waiting - this.dispatcher.inFlight);
    blockedKeys.set({ group: this.group.group }, blocked);
    void this.commits.commit();
    const holds = all.map((owned) => owned.holds);
    void this.held.poll(holds);
    if (this.group.poison === 'park-key') this.relieve(holds);
    this.watch.check(); // what it throws ends the process, as any defect outside a handler does
  }
}

/** The end of a log never moves down, so a batch of old offsets from a log that ends before the position is from another log. */
function isAnotherLog({ next = 0 }: OffsetTracker, { messages, highWatermark }: Batch): boolean {
  return messages.length > 0 && Number(messages[0]!.offset) < next && Number(highWatermark) < next;
}
