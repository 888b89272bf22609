import type { KeyQueues } from '../dispatching/key-ordered-dispatcher.js';
import type { HandlerGroup } from '../handling/handler-groups.js';
import type { HeldCustomers, HoldableItem, Waiting } from '../holding/held-customers.js';
import { partitionName } from '../logged-record.js';
import type { TopicPartition } from '../logged-record.js';
import { sleep } from '#libs/time';
import { counter, logger, startAtZero } from '#libs/tracing';
import type { Lane } from '#libs/contracts';
import type { EarlierCommit, EarlierCommits } from './earlier-commits.js';
import { maxMetadataBytes } from './finished-offsets.js';
import type { LogIds } from './log-ids.js';
import type { LogIdentities } from '../kafka/topic-ids.js';
import { OwnedPartition } from './owned-partition.js';

/** The most records of one partition that are queued: enough to stay busy until a resumed fetch arrives. */
const maxQueuedRecords = 2_000;
/** How far finished records may run ahead of an unfinished one. More would not fit into a commit's metadata, and would be handled again after a crash. */
const maxSpan = 20_000;
/** A partition whose commit metadata reaches this size counts as full: Kafka refuses metadata beyond its limit. */
const fullMetadataBytes = 0.75 * maxMetadataBytes;
/** A partition that is full for longer than this has customers moved to the hold store. */
const maxFullMs = 1_000;

/** A partition that is fuller than this has the records of a tenant that fills most of it moved to the hold store, before it is paused. */
const crowdedFill = 0.5;

/** Pause between two attempts to learn which log a partition has. */
const identifyPauseMs = 500;

const log = logger('messaging');
const logResets = counter('millrace_log_resets_total', 'Partitions whose log was found to be another one than before.', {
  group: 'the consumer group',
  topic: 'the topic',
});

const translated = counter('millrace_translated_commits_total', 'Partitions whose committed offset was translated from another cluster.', {
  group: 'the consumer group',
  topic: 'the topic',
});

/** The consumer's control over what is fetched. */
export interface FetchControl {
  pause(partition: TopicPartition): void;
  resume(partition: TopicPartition): void;
  seek(partition: TopicPartition, offset: number): void;
  /** The offset after the last record of the partition's log; undefined if no fetch has said it lately. */
  logEnd(partition: TopicPartition): number | undefined;
}

/** How far a partition is handled. */
export interface PartitionProgress extends TopicPartition {
  /** The identity of the log that the watermark counts in. */
  readonly logId: string;
  /** Every record below the offset is finished. Undefined if the group has finished none yet. */
  readonly watermark: number | undefined;
  /** Number of finished records above it. */
  readonly finishedAbove: number;
  /** When the oldest unfinished record of those that were read was appended; undefined if there is none. */
  readonly oldestOpenMs: number | undefined;
  /** When the last record that was read was appended; undefined if none was. */
  readonly lastReadMs: number | undefined;
  /** The offset after the last record of the log; undefined if no fetch has said it lately. */
  readonly logEnd: number | undefined;
}

export interface OwnedPartitionsOptions {
  readonly group: Pick<HandlerGroup, 'group' | 'audience' | 'topics'>;
  readonly fetching: FetchControl;
  readonly earlierCommits: Pick<EarlierCommits, 'read'>;
  readonly logIds: Pick<LogIds, 'read'>;
  readonly held: Pick<HeldCustomers, 'load'>;
  readonly createQueues: (lane: Lane) => KeyQueues<HoldableItem>;
  /** Bytes of values that wait in memory, over all partitions. */
  readonly maxBufferedBytes: number;
}

/**
 * The partitions that are assigned to this member. Each may fill as much of the buffer as is free of all: one that is busy alone fills half of it, and
 * many that are busy get equal shares (the dynamic thresholds of Choudhury and Hahne, 1998). A full one is not fetched until half of that is free.
 */
export class OwnedPartitions {
  private readonly byName = new Map<string, OwnedPartition>();

  constructor(private readonly options: OwnedPartitionsOptions) {
    const { group, topics } = options.group;
    startAtZero(logResets, { group, topic: topics.map(({ name }) => name) });
  }

  all(): OwnedPartition[] {
    return [...this.byName.values()];
  }

  find(partition: TopicPartition): OwnedPartition | undefined {
    return this.byName.get(partitionName(partition));
  }

  /** Bytes of values that were read and are not finished. */
  get bufferedBytes(): number {
    return this.all().reduce((sum, { queuedBytes }) => sum + queuedBytes, 0);
  }

  /** How far each partition is handled. One whose former owner's commit is not known yet is left out. */
  progress(): PartitionProgress[] {
    return this.all().flatMap(({ topic, partition, logId, tracker }) => {
      if (logId === undefined) return [];
      const { watermark, readTo, finishedAboveWatermark: finishedAbove, oldestOpenMs, lastReadMs } = tracker;
      const logEnd = this.options.fetching.logEnd({ topic, partition });
      return [{ topic, partition, logId, watermark: watermark ?? readTo, finishedAbove, oldestOpenMs, lastReadMs, logEnd }];
    });
  }

  /** Loses the partitions that are not assigned any more, and takes over the new ones. A kept partition goes on after the last record it received. */
  assign(assigned: readonly TopicPartition[]): void {
    const names = new Set(assigned.map(partitionName));
    for (const owned of this.all()) if (!names.has(owned.name)) this.lose(owned);
    const gained: OwnedPartition[] = [];
    for (const partition of assigned) {
      const kept = this.find(partition);
      if (kept === undefined) gained.push(this.own(partition));
      else if (kept.tracker.next !== undefined) this.options.fetching.seek(partition, kept.tracker.next);
    }
    this.restore(gained);
    void this.options.held.load(gained.map(({ holds }) => holds));
  }

  /** Forgets the state of a partition whose log was replaced: the offsets of queued and finished records mean other records now. */
  startOver(owned: OwnedPartition): OwnedPartition {
    const { topic, partition, tracker } = owned;
    logResets.inc({ group: this.options.group.group, topic });
    log.error(
      { group: this.options.group.group, topic, partition, position: tracker.next },
      'the log is another one than before: it was replaced or restored; its records are read from its beginning',
    );
    this.lose(owned);
    const anew = this.own(owned);
    anew.restored = this.logIdsOf([anew]).then((ids) => {
      identify(anew, ids);
    });
    void this.options.held.load([anew.holds]);
    return anew;
  }

  /** Starts over where the topic was created anew. @param ids the identities of the logs, by topic */
  checkLogs(ids: ReadonlyMap<string, string>): void {
    for (const owned of this.all()) {
      const present = ids.get(owned.topic);
      if (owned.logId === undefined || present === undefined || present === owned.logId) continue;
      const anew = this.startOver(owned);
      if (this.options.group.audience === 'one') this.options.fetching.seek(anew, 0);
    }
  }

  loseAll(): void {
    for (const owned of this.all()) this.lose(owned);
  }

  pauseWhenFull(owned: OwnedPartition): void {
    if (owned.fullSince !== undefined || this.fill(owned) < 1) return;
    owned.fullSince = performance.now();
    this.options.fetching.pause(owned);
  }

  resumeWhenDrained(owned: OwnedPartition): void {
    if (owned.fullSince === undefined || owned.lost.aborted || this.fill(owned) > 0.5) return;
    owned.fullSince = undefined;
    this.options.fetching.resume(owned);
  }

  /** Partitions that have been full for so long that customers have to be moved out of memory. */
  fullForLong(): OwnedPartition[] {
    const longAgo = performance.now() - maxFullMs;
    return this.all().filter(({ fullSince = Infinity }) => fullSince <= longAgo);
  }

  /** Partitions that are about to become full. */
  crowded(): OwnedPartition[] {
    return this.all().filter((owned) => this.waitingFill(owned) > crowdedFill);
  }

  /** Returns a function that says how full waiting records make a partition now; 1 is full. */
  weighing(): (waiting: Waiting) => number {
    const limitBytes = this.limitBytes();
    return ({ items, bytes }) => Math.max(items / maxQueuedRecords, bytes / limitBytes);
  }

  private own({ topic, partition }: TopicPartition): OwnedPartition {
    const lane = this.options.group.topics.find(({ name }) => name === topic)?.priority ?? 'normal';
    const owned = new OwnedPartition(topic, partition, this.options.createQueues(lane));
    this.byName.set(owned.name, owned);
    return owned;
  }

  /** Reads which logs the partitions have, and what their former owners had finished. The records of these partitions wait for it. */
  private restore(gained: readonly OwnedPartition[]): void {
    if (gained.length === 0) return;
    const { group, earlierCommits } = this.options;
    const topics = [...new Set(gained.map(({ topic }) => topic))];
    const earlier = group.audience === 'one' ? earlierCommits.read(topics) : Promise.resolve(new Map<string, EarlierCommit>());
    const identified = this.logIdsOf(gained);
    for (const owned of gained) {
      owned.restored = Promise.all([earlier, identified]).then(([commits, ids]) => {
        if (owned.lost.aborted) return;
        identify(owned, ids);
        const commit = commits.get(owned.name);
        if (commit !== undefined) this.restoreFrom(owned, commit);
      });
    }
  }

  private restoreFrom(owned: OwnedPartition, commit: EarlierCommit): void {
    if (commit.logId === undefined || commit.logId === owned.logId) return owned.tracker.restore(commit.offset, commit.finished);
    const { topic, partition } = owned;
    if (isTranslated(owned, commit)) {
      translated.inc({ group: this.options.group.group, topic });
      log.warn(
        { group: this.options.group.group, topic, partition, committed: commit.offset, cluster: commit.clusterId },
        'the committed offset was translated from another cluster; what was finished above it is not known and is handled again',
      );
      return owned.tracker.restore(commit.offset, []);
    }
    logResets.inc({ group: this.options.group.group, topic });
    log.error(
      { group: this.options.group.group, topic, partition, committed: commit.offset },
      'the committed offset belongs to another log, which was replaced; the records of this one are read from its beginning',
    );
    this.options.fetching.seek(owned, 0);
  }

  /** Retries without limit while this process owns one of the partitions. Undefined once it does not. */
  private async logIdsOf(partitions: readonly OwnedPartition[]): Promise<LogIdentities | undefined> {
    while (partitions.some(({ lost }) => !lost.aborted)) {
      try {
        return await this.options.logIds.read([...new Set(partitions.map(({ topic }) => topic))]);
      } catch (error) {
        log.warn(
          { err: error, group: this.options.group.group },
          'the identity of the log could not be read; the records of the new partitions wait',
        );
        await sleep(identifyPauseMs);
      }
    }
    return undefined;
  }

  private lose(owned: OwnedPartition): void {
    this.byName.delete(owned.name);
    owned.queues.close();
    // kafkajs remembers a pause beyond the assignment, and would not fetch the partition if it came back.
    if (owned.fullSince !== undefined) this.options.fetching.resume(owned);
    owned.lose(`${owned.name} belongs to another process now`);
  }

  /** How full a partition is; 1 is full. */
  private fill(owned: OwnedPartition): number {
    const { span, metadataBytes } = owned.tracker;
    return Math.max(this.waitingFill(owned), span / maxSpan, metadataBytes / fullMetadataBytes);
  }

  private waitingFill(owned: OwnedPartition): number {
    return this.weighing()({ items: owned.queuedRecords, bytes: owned.waitingBytes });
  }

  /** Bytes that may wait in one partition: as many as all leave free. */
  private limitBytes(): number {
    const all = this.all().reduce((sum, one) => sum + one.waitingBytes, 0);
    return Math.max(this.options.maxBufferedBytes - all, 1);
  }
}

function identify(owned: OwnedPartition, ids: LogIdentities | undefined): void {
  owned.logId = ids?.topics.get(owned.topic);
  owned.clusterId = ids?.clusterId;
}

/** A commit that names another cluster was put here by a tool that mirrors clusters and translates the offsets of groups, such as MirrorMaker 2. */
function isTranslated({ clusterId: present }: OwnedPartition, { clusterId }: EarlierCommit): boolean {
  return clusterId !== undefined && present !== undefined && clusterId !== present;
}
