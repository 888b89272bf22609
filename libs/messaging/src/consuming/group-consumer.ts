import { setTimeout as delay } from 'node:timers/promises';
import { PartitionAssigners } from 'kafkajs';
import type { Batch, Consumer, ConsumerCrashEvent, ConsumerGroupJoinEvent, EachBatchPayload, Kafka, PartitionAssigner } from 'kafkajs';
import { messageOf } from '#libs/contracts';
import type { Lane } from '#libs/contracts';
import { counter, gauge, logger } from '#libs/tracing';
import type { EarlierCommits } from './earlier-commits.js';
import { maxMetadataBytes } from './finished-offsets.js';
import type { HandlerGroup } from '../handling/handler-groups.js';
import { HeldCustomers, PartitionHolds, queueKeyOf } from '../holding/held-customers.js';
import type { HoldableItem, HoldableWork } from '../holding/held-customers.js';
import type { HoldStore } from '../holding/hold-store.js';
import { HandlerWatch } from '../handling/handler-watch.js';
import type { GroupListener, Membership } from '../kafka/kafkajs-repairs.js';
import { KeyOrderedDispatcher } from '../dispatching/key-ordered-dispatcher.js';
import type { KeyQueues } from '../dispatching/key-ordered-dispatcher.js';
import { partitionName, schemaOf } from '../logged-record.js';
import type { LoggedRecord } from '../logged-record.js';
import { OffsetTracker } from './offset-tracker.js';
import { workOn } from '../handling/record-handling.js';
import type { RecordHandling } from '../handling/record-handling.js';

export interface GroupConsumerOptions {
  /** `millrace.<group>`, or a name of this process's own. */
  groupId: string;
  /** Records handled at once. */
  concurrency: number;
  /** Bytes of values that wait in memory, over all partitions of the group. */
  maxBufferedBytes: number;
  /** How long a member may be silent before its partitions go to others, ms. */
  sessionTimeoutMs: number;
  /** How long a rebalance or a stop waits for the handlers in flight, ms. */
  drainTimeoutMs: number;
  /** Between two commits, and between two searches for held customers that may go on. */
  commitIntervalMs: number;
  /** How long a record waits that could not be put behind its customer's hold, ms. */
  storeRetryMs: number;
  /** How long one attempt at a record may take; after twice of it the process ends, ms. */
  handlerDeadlineMs: number;
}

/** Records of one partition that may wait; enough to stay busy until a resumed fetch arrives. */
const maxQueuedRecords = 2_000;
/** How far finished records may run ahead of an unfinished one: more would not fit into a commit's metadata, and be handled again after a crash. */
const maxSpan = 20_000;
/** Nothing more is read of a partition whose commits get close to what Kafka takes. */
const fullMetadataBytes = 0.75 * maxMetadataBytes;
/** Finished records that are committed without waiting for the timer. */
const commitEvery = 1_000;
/** A partition that is full for longer is relieved of the customers who fill it. */
const maxFullMs = 1_000;
/** For the last commit and the farewell of a member that stops. */
const leaveTimeoutMs = 5_000;
/** A long rebalance makes the process unready. */
const maxRebalanceMs = 60_000;
/** A fetch waits so long for a record. Also the heartbeat of an idle or paused consumer: kafkajs beats between fetches, and handlers never hold a fetch up. */
const maxFetchWaitMs = 250;

const log = logger('messaging');
const duplicates = counter('millrace_records_refetched_total', 'Records dropped because they were read again after a rebalance.', [
  'group',
]);
const commits = counter('millrace_offset_commits_total', 'Commits of consumer offsets.', ['group', 'outcome']);
const logResets = counter('millrace_log_resets_total', 'Partitions whose log was found to be another one than before.', ['group', 'topic']);
const expired = counter('millrace_records_expired_total', 'Records that the log deleted before the group had read them.', [
  'group',
  'topic',
]);
const rebalances = counter('millrace_rebalances_total', 'Assignments a consumer received.', ['group']);
const inFlight = gauge('millrace_records_in_flight', 'Records being handled.', ['group']);
const queued = gauge('millrace_records_queued', 'Records read and not handled yet.', ['group']);
const blockedKeys = gauge('millrace_blocked_keys', 'Customers whose next record waits for its retry.', ['group']);

type CommitOffsets = EachBatchPayload['commitOffsetsIfNecessary'];

/** What this member knows of a partition it owns, from one assignment to the loss of it. */
class OwnedPartition {
  readonly tracker = new OffsetTracker();
  /** Settled when `tracker` knows what the owner before had finished. */
  restored: Promise<void> = Promise.resolve();
  readonly lost = new AbortController();
  readonly holds: PartitionHolds;
  queuedRecords = 0;
  queuedBytes = 0;
  /** When it became full, on the monotonic clock, ms; undefined where it is read. */
  fullSince: number | undefined;

  constructor(
    readonly topic: string,
    readonly partition: number,
    readonly queues: KeyQueues<HoldableItem>,
  ) {
    this.holds = new PartitionHolds(topic, partition, queues, this.lost.signal, () => this.tracker.readTo);
  }
}

/** What a member is made of. */
export interface GroupConsumerDependencies {
  readonly kafka: Kafka;
  readonly earlierCommits: Pick<EarlierCommits, 'read' | 'close'>;
  readonly group: HandlerGroup;
  readonly handling: Pick<RecordHandling, 'handle'>;
  readonly holds: HoldStore;
}

interface OwnedWork extends HoldableWork {
  readonly owner: OwnedPartition;
}

/**
 * One member of a consumer group. kafkajs fetches, joins and keeps the session; here is decided what runs when and what may be committed.
 * `eachBatch` only queues: kafkajs waits for it before it fetches again, so one slow record would hold up every partition.
 */
export class GroupConsumer {
  private readonly dispatcher: KeyOrderedDispatcher<HoldableItem>;
  private readonly held: HeldCustomers;
  private readonly partitions = new Map<string, OwnedPartition>();
  private readonly stopped = new AbortController();
  private readonly joined = Promise.withResolvers<void>();
  private readonly watch: HandlerWatch;
  private readonly group: HandlerGroup;
  private consumer: Consumer | undefined;
  private listener: GroupListener | undefined;
  private membership: Membership | undefined;
  private commitOffsets: CommitOffsets | undefined;
  private committing: Promise<void> | undefined;
  private finishedSinceCommit = 0;
  private tick: NodeJS.Timeout | undefined;
  private fault: string | undefined = 'has not joined yet';
  private rebalancingSince: number | undefined;
  /** Between the commit before a rejoin and the assignment after it: which partitions are ours is not known. */
  private assignmentUnknown = false;

  constructor(
    private readonly parts: GroupConsumerDependencies,
    private readonly options: GroupConsumerOptions,
  ) {
    const { group, handling, holds } = parts;
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
      handle: async (item) => {
        const result = await this.held.handle(item);
        if (result === 'finished' && 'owner' in item) this.finished(item as OwnedWork);
        return result;
      },
    });
  }

  /** Resolves when the group was joined for the first time; tries until then, and again after every crash. */
  async start(): Promise<void> {
    this.tick = setInterval(() => this.everyInterval(), this.options.commitIntervalMs);
    void this.connectUntilJoined();
    await this.joined.promise;
  }

  /** @throws Error with the reason where this member does not consume */
  ready(): void {
    const rebalancingMs = this.rebalancingSince === undefined ? 0 : performance.now() - this.rebalancingSince;
    const slowRebalance = rebalancingMs > maxRebalanceMs ? `rebalances since ${Math.round(rebalancingMs / 1_000)} s` : undefined;
    const fault = this.fault ?? slowRebalance ?? this.watch.fault;
    if (fault !== undefined) throw new Error(`consumer group ${this.options.groupId} ${fault}`);
  }

  /** Waits for what is in flight, commits, and leaves the group, so that others take over at once; a log that does not answer is not waited for. */
  async stop(): Promise<void> {
    this.stopped.abort();
    this.joined.resolve();
    clearInterval(this.tick);
    await this.pauseUntilIdle();
    await Promise.race([this.leave(), delay(leaveTimeoutMs, undefined, { ref: false })]);
    this.loseAll();
  }

  private async leave(): Promise<void> {
    await this.commitAll();
    for (const owned of this.partitions.values()) owned.lost.abort(new Error('This process is stopping'));
    await Promise.all([this.consumer?.disconnect(), this.parts.earlierCommits.close()]);
  }

  /** Bytes of values that were read and are not finished. */
  get bufferedBytes(): number {
    return [...this.partitions.values()].reduce((sum, { queuedBytes }) => sum + queuedBytes, 0);
  }

  /** Where each owned partition stands: everything below the offset is finished. */
  positions(): { topic: string; partition: number; offset: number }[] {
    return [...this.partitions.values()].flatMap(({ topic, partition, tracker: { watermark } }) =>
      watermark === undefined ? [] : [{ topic, partition, offset: watermark }],
    );
  }

  private async connectUntilJoined(): Promise<void> {
    for (let pauseMs = 500; !this.stopped.signal.aborted; pauseMs = Math.min(2 * pauseMs, 10_000)) {
      const consumer = this.createConsumer();
      try {
        await consumer.connect();
        await consumer.subscribe({ topics: this.group.topics.map(({ name }) => name), fromBeginning: this.group.audience === 'one' });
        this.consumer = consumer;
        await consumer.run({
          autoCommit: false,
          eachBatchAutoResolve: false,
          partitionsConsumedConcurrently: 1,
          eachBatch: (payload) => this.queueBatch(payload),
        });
        if (this.stopped.signal.aborted) await consumer.disconnect();
        return;
      } catch (error) {
        this.fault = `cannot start: ${messageOf(error)}`;
        log.warn({ err: error, group: this.group.group }, 'a consumer could not start; trying again');
        await consumer.disconnect().catch(() => undefined);
      }
      await this.pause(pauseMs);
    }
  }

  private async pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.stopped.signal }).catch(() => undefined);
  }

  private createConsumer(): Consumer {
    const consumer = this.parts.kafka.consumer({
      groupId: this.options.groupId,
      sessionTimeout: this.options.sessionTimeoutMs,
      rebalanceTimeout: Math.max(60_000, 2 * this.options.drainTimeoutMs),
      heartbeatInterval: Math.min(3_000, Math.floor(this.options.sessionTimeoutMs / 4)),
      maxWaitTimeInMs: maxFetchWaitMs,
      maxBytes: Math.min(10 * 1_048_576, this.options.maxBufferedBytes),
      maxBytesPerPartition: Math.min(1_048_576, this.options.maxBufferedBytes),
      allowAutoTopicCreation: false,
      partitionAssigners: [this.drainingAssigner()],
      // A crash is ours to mend: kafkajs restarts some and leaves the rest to die silently.
      retry: { initialRetryTime: 200, maxRetryTime: 3_000, retries: 10, restartOnFailure: async () => false },
    });
    consumer.on(consumer.events.GROUP_JOIN, (event) => this.onJoin(consumer, event));
    consumer.on(consumer.events.FETCH, () => this.onFetch());
    consumer.on(consumer.events.CRASH, (event) => this.onCrash(event));
    return consumer;
  }

  /** kafkajs-repairs.ts makes kafkajs await `beforeRejoin` and tell the membership. */
  private drainingAssigner(): PartitionAssigner {
    return (config) => {
      const listener: GroupListener = {
        beforeRejoin: (isMember) => this.beforeRejoin(isMember),
        mayJoin: () => !this.stopped.signal.aborted,
      };
      const assigner = Object.assign(PartitionAssigners.roundRobin(config), listener);
      this.listener = assigner;
      return assigner;
    };
  }

  private async beforeRejoin(isMember: boolean): Promise<void> {
    this.rebalancingSince ??= performance.now();
    if (isMember) await this.drain();
    else this.loseAll(); // the group has gone on without this process
    this.assignmentUnknown = true;
  }

  /** Starts nothing new, waits for what is in flight within the budget, and commits. */
  private async drain(): Promise<void> {
    await this.pauseUntilIdle();
    await this.commitAll();
  }

  private async pauseUntilIdle(): Promise<void> {
    this.dispatcher.pause();
    const budget = new AbortController();
    await Promise.race([
      this.dispatcher.idle(),
      delay(this.options.drainTimeoutMs, undefined, { signal: budget.signal }).catch(() => undefined),
    ]);
    budget.abort();
  }

  /** Also what finished during a commit that was under way. */
  private async commitAll(): Promise<void> {
    await this.committing;
    await this.commit();
  }

  private onJoin(consumer: Consumer, { payload }: ConsumerGroupJoinEvent): void {
    rebalances.inc({ group: this.group.group });
    if (!this.sawEveryGeneration()) this.loseAll();
    const assigned = new Map<string, { topic: string; partition: number }>();
    for (const [topic, partitions] of Object.entries(payload.memberAssignment)) {
      for (const partition of partitions) assigned.set(partitionName({ topic, partition }), { topic, partition });
    }
    for (const [name, owned] of this.partitions) if (!assigned.has(name)) this.lose(owned);
    const gained: OwnedPartition[] = [];
    for (const [name, { topic, partition }] of assigned) {
      const kept = this.partitions.get(name);
      if (kept === undefined) gained.push(this.own(topic, partition));
      else if (kept.tracker.next !== undefined) consumer.seek({ topic, partition, offset: String(kept.tracker.next) });
    }
    if (this.group.audience === 'one') this.restore(gained);
    void this.held.load(gained.map(({ holds }) => holds));
    this.assignmentUnknown = false;
    this.fault = undefined;
    this.rebalancingSince = undefined;
    if (!this.stopped.signal.aborted) this.dispatcher.resume();
    if (this.group.audience === 'one') this.joined.resolve();
    log.info({ group: this.group.group, partitions: assigned.size }, 'joined the consumer group');
  }

  /** Where it missed one, its partitions may have been another's in between, who went on with them. */
  private sawEveryGeneration(): boolean {
    const last = this.membership;
    this.membership = this.listener?.membership?.();
    const { memberId, generationId } = this.membership ?? {};
    return last !== undefined && memberId === last.memberId && generationId === last.generationId + 1;
  }

  private own(topic: string, partition: number): OwnedPartition {
    const owned = new OwnedPartition(topic, partition, this.dispatcher.createQueues(this.laneOfTopic(topic)));
    this.partitions.set(partitionName({ topic, partition }), owned);
    return owned;
  }

  private laneOfTopic(topic: string): Lane {
    return this.group.topics.find(({ name }) => name === topic)?.priority ?? 'normal';
  }

  /** The records of these partitions wait for it. */
  private restore(gained: readonly OwnedPartition[]): void {
    if (gained.length === 0) return;
    const earlier = this.parts.earlierCommits.read([...new Set(gained.map(({ topic }) => topic))]);
    for (const owned of gained) {
      owned.restored = earlier.then((read) => {
        const commit = read.get(partitionName(owned));
        if (commit !== undefined) owned.tracker.restore(commit.offset, commit.finished);
      });
    }
  }

  /** "From the newest record on" is settled by the first fetch, not by the join. */
  private onFetch(): void {
    if (this.fault === undefined) this.joined.resolve();
  }

  private onCrash({ payload: { error } }: ConsumerCrashEvent): void {
    if (this.stopped.signal.aborted) return;
    this.fault = `crashed: ${error.message}`;
    log.warn({ err: error, group: this.group.group }, 'a consumer crashed; starting a new one');
    this.loseAll();
    void this.pause(1_000).then(() => this.connectUntilJoined());
  }

  private loseAll(): void {
    for (const owned of this.partitions.values()) this.lose(owned);
  }

  private lose(owned: OwnedPartition): void {
    const { topic, partition } = owned;
    this.partitions.delete(partitionName({ topic, partition }));
    owned.queues.close();
    // kafkajs remembers a pause beyond the assignment, and would not fetch the partition should it come back.
    if (owned.fullSince !== undefined) this.consumer?.resume([{ topic, partitions: [partition] }]);
    owned.lost.abort(new Error(`${topic}/${partition} belongs to another process now`));
  }

  private async queueBatch(payload: EachBatchPayload): Promise<void> {
    const { batch } = payload;
    const { topic, partition } = batch;
    let owned = this.partitions.get(partitionName({ topic, partition }));
    await owned?.restored;
    if (owned === undefined || owned.lost.signal.aborted) return;
    if (isAnotherLog(owned.tracker, batch)) owned = this.startOver(owned, batch);
    this.reportGap(owned.tracker, batch);
    this.commitOffsets = (offsets) => payload.commitOffsetsIfNecessary(offsets);
    for (const { offset, timestamp, key, value, headers } of batch.messages) {
      this.queue(owned, { topic, partition, offset: Number(offset), timestampMs: Number(timestamp), key, value, headers });
    }
    payload.resolveOffset(batch.lastOffset());
    this.pauseWhenFull(owned);
  }

  /** What is queued and finished belongs to a log that is gone: its offsets say nothing about these records. */
  private startOver(owned: OwnedPartition, { highWatermark }: Batch): OwnedPartition {
    const { topic, partition, tracker } = owned;
    logResets.inc({ group: this.group.group, topic });
    log.error(
      { group: this.group.group, topic, partition, position: tracker.next, end: highWatermark },
      'the log ends before what was already read: it was replaced or restored; its records are read from its beginning',
    );
    this.lose(owned);
    const anew = this.own(topic, partition);
    void this.held.load([anew.holds]);
    return anew;
  }

  /** There are no transactions and no compaction: where offsets are missing, records expired before they were read. */
  private reportGap(tracker: OffsetTracker, { topic, partition, ...batch }: Batch): void {
    const first = Number(batch.messages[0]?.offset ?? -1);
    if (tracker.next === undefined || first <= tracker.next) return;
    const records = first - tracker.next;
    expired.inc({ group: this.group.group, topic }, records);
    log.error({ group: this.group.group, topic, partition, records }, 'records expired before this group had read them');
  }

  private queue(owned: OwnedPartition, record: LoggedRecord): void {
    if (!owned.tracker.received(record.offset)) {
      duplicates.inc({ group: this.group.group });
      return;
    }
    if (this.isForOthers(record)) {
      owned.tracker.finished(record.offset);
      return;
    }
    owned.queuedRecords += 1;
    owned.queuedBytes += record.value?.length ?? 0;
    const key = this.group.order === 'customer' && record.key !== null ? queueKeyOf(record.key) : null;
    const work: OwnedWork = { ...workOn(record, owned.lost.signal), owner: owned, holds: owned.holds };
    owned.holds.add(key, work);
  }

  /** A type that belongs on the topic and that this group has no handler for. */
  private isForOthers(record: LoggedRecord): boolean {
    const schema = schemaOf(record);
    if (schema === undefined || this.group.handlerOf(record.topic, schema) !== undefined) return false;
    return this.group.topics.some(({ name, types }) => name === record.topic && types.some((type) => type.schema === schema));
  }

  private finished({ owner, record }: OwnedWork): void {
    owner.tracker.finished(record.offset);
    owner.queuedRecords -= 1;
    owner.queuedBytes -= record.value?.length ?? 0;
    this.resumeWhenDrained(owner);
    this.finishedSinceCommit += 1;
    if (this.finishedSinceCommit >= commitEvery) void this.commit();
  }

  private pauseWhenFull(owned: OwnedPartition): void {
    if (owned.fullSince !== undefined || this.fill(owned) < 1) return;
    owned.fullSince = performance.now();
    this.consumer?.pause([{ topic: owned.topic, partitions: [owned.partition] }]);
  }

  private resumeWhenDrained(owned: OwnedPartition): void {
    if (owned.fullSince === undefined || owned.lost.signal.aborted || this.fill(owned) > 0.5) return;
    owned.fullSince = undefined;
    this.consumer?.resume([{ topic: owned.topic, partitions: [owned.partition] }]);
  }

  /** How full a partition's share of the buffers is; 1 is full. */
  private fill({ queuedRecords, queuedBytes, tracker }: OwnedPartition): number {
    const bytesShare = this.options.maxBufferedBytes / this.partitions.size;
    const { span, metadataBytes } = tracker;
    return Math.max(queuedRecords / maxQueuedRecords, queuedBytes / bytesShare, span / maxSpan, metadataBytes / fullMetadataBytes);
  }

  private everyInterval(): void {
    let waiting = 0;
    let blocked = 0;
    const all = [...this.partitions.values()];
    for (const owned of all) {
      waiting += owned.queuedRecords;
      blocked += owned.queues.blockedKeys;
      this.resumeWhenDrained(owned); // the metadata shrinks with a commit, after the last record was finished
    }
    inFlight.set({ group: this.group.group }, this.dispatcher.inFlight);
    queued.set({ group: this.group.group }, waiting - this.dispatcher.inFlight);
    blockedKeys.set({ group: this.group.group }, blocked);
    void this.commit();
    void this.held.poll(all.map(({ holds }) => holds));
    if (this.group.poison === 'park-key') this.relieve(all);
    this.watch.check(); // what it throws ends the process, as any defect outside a handler does
  }

  private relieve(all: readonly OwnedPartition[]): void {
    const longAgo = performance.now() - maxFullMs;
    const full = all.filter(({ fullSince = Infinity }) => fullSince <= longAgo);
    this.held.relieve(
      full.map(({ holds }) => holds),
      all.map(({ holds }) => holds),
    );
  }

  /** One commit at a time; a failed one is repeated, with what is finished by then, at the next interval. Never rejects. */
  private commit(): Promise<void> {
    this.committing ??= this.commitFinished().finally(() => {
      this.committing = undefined;
    });
    return this.committing;
  }

  private async commitFinished(): Promise<void> {
    const due = [...this.partitions.values()].flatMap((owned) => {
      const snapshot = owned.tracker.snapshot();
      return snapshot === undefined ? [] : [{ owned, snapshot }];
    });
    this.finishedSinceCommit = 0;
    if (due.length === 0 || this.commitOffsets === undefined || this.assignmentUnknown || this.group.audience === 'every-process') return;
    const topics = [...Map.groupBy(due, ({ owned }) => owned.topic)].map(([topic, ofTopic]) => ({
      topic,
      partitions: ofTopic.map(({ owned: { partition }, snapshot: { offset, metadata } }) => ({
        partition,
        offset: String(offset),
        metadata,
      })),
    }));
    try {
      // Not `consumer.commitOffsets`: that repeats a failed commit under the next generation, for partitions that have another owner by then.
      await this.commitOffsets({ topics });
      for (const { owned, snapshot } of due) owned.tracker.committed(snapshot);
      commits.inc({ group: this.group.group, outcome: 'ok' });
    } catch (error) {
      commits.inc({ group: this.group.group, outcome: 'failed' });
      log.warn(
        { err: error, group: this.group.group },
        'offsets were not committed; the records are handled again if this process ends now',
      );
    }
  }
}

/** A log's end never moves down, so a batch of old offsets from a log that ends before them is from another log. */
function isAnotherLog({ next = 0 }: OffsetTracker, { messages, highWatermark }: Batch): boolean {
  return messages.length > 0 && Number(messages[0]!.offset) < next && Number(highWatermark) < next;
}
