import { latencyMs, waitAtMost, wallTimeMs } from '#libs/time';
import { gauge } from '#libs/tracing';
import { Periodically } from '#libs/work';
import type { GroupConsumer } from './group-consumer.js';
import type { HandlerGroup } from '../handling/handler-groups.js';
import type { LazyAdmin } from '../kafka/lazy-admin.js';
import { partitionName } from '../logged-record.js';
import type { PartitionProgress } from './owned-partitions.js';

const intervalMs = 5_000;
/** How long a stop waits for a measurement under way. */
const stopTimeoutMs = 1_000;

const lag = gauge(
  'millrace_consumer_lag_records',
  'Records of the partitions this process owns that are in the log and not finished. Their sum over the processes is the lag of the group.',
  { group: 'the consumer group', topic: 'the topic' },
);

const open = gauge(
  'millrace_open_records',
  'Records of the partitions this process owns that the group has still to handle: unlike the lag, without those that are finished above the lowest unfinished one. Their sum over the processes is what the group has waiting.',
  { group: 'the consumer group' },
);
const oldest = gauge(
  'millrace_oldest_open_record_seconds',
  'Age of the oldest record that the group has still to handle, of the partitions this process owns: since it was appended, or, if it was not read yet, since it was seen that there is one.',
  { group: 'the consumer group' },
);

/** The first and the last offset of a partition's log; the last is of the record to come. */
interface LogRange {
  readonly low: number;
  readonly end: number;
}

/** A partition of which everything that was read is finished, and that has further records. */
interface Unread {
  readonly watermark: number;
  /** When it was seen first, on the monotonic clock, ms. */
  readonly sinceMs: number;
}

/**
 * Measures how far the groups are behind, every 5 s. A fetch says where the log of a partition ends; the log is asked only where none has said it, as of a
 * paused partition, which does not see new records.
 */
export class ConsumerLag {
  /** By group and partition. */
  private unread: ReadonlyMap<string, Unread> = new Map();
  private readonly measurements = new Periodically('measuring the lag', intervalMs, () => this.measure());

  constructor(
    private readonly admin: LazyAdmin,
    private readonly groups: readonly { group: HandlerGroup; consumer: GroupConsumer }[],
  ) {}

  start(): void {
    this.measurements.start();
  }

  async stop(): Promise<void> {
    await waitAtMost(stopTimeoutMs, this.measurements.stop());
  }

  private async measure(): Promise<void> {
    const ranges = new Map<string, Map<number, LogRange>>();
    const unread = new Map<string, Unread>();
    for (const { group, consumer } of this.groups) {
      const progress = consumer.progress();
      let openRecords = 0;
      let oldestMs = 0;
      for (const { name: topic } of group.topics) {
        const ofTopic = progress.filter((one) => one.topic === topic);
        if (!ranges.has(topic) && ofTopic.some(hasToBeAsked)) ranges.set(topic, await this.rangesOf(topic));
        let behind = 0;
        for (const one of ofTopic) {
          const range = hasToBeAsked(one) ? ranges.get(topic)?.get(one.partition) : { low: 0, end: one.logEnd! };
          if (range === undefined) continue;
          const waiting = Math.max(0, range.end - (one.watermark ?? range.low));
          behind += waiting;
          openRecords += Math.max(0, waiting - one.finishedAbove);
          if (waiting > 0) oldestMs = Math.max(oldestMs, this.ageOf(group.group, one, unread));
        }
        lag.set({ group: group.group, topic }, behind);
      }
      open.set({ group: group.group }, openRecords);
      oldest.set({ group: group.group }, oldestMs / 1_000);
    }
    this.unread = unread;
  }

  /** Age of the oldest open record of a partition that has one, ms. */
  private ageOf(group: string, one: PartitionProgress, unread: Map<string, Unread>): number {
    if (one.oldestOpenMs !== undefined) return latencyMs(one.oldestOpenMs, wallTimeMs());
    const key = `${group} ${partitionName(one)}`;
    const { watermark = 0 } = one;
    const before = this.unread.get(key);
    const seen = before?.watermark === watermark ? before : { watermark, sinceMs: performance.now() };
    unread.set(key, seen);
    return performance.now() - seen.sinceMs;
  }

  private async rangesOf(topic: string): Promise<Map<number, LogRange>> {
    const offsets = await this.admin.use((admin) => admin.fetchTopicOffsets(topic));
    return new Map(offsets.map(({ partition, low, high }) => [partition, { low: Number(low), end: Number(high) }]));
  }
}

/** True where no fetch has said how many records wait: how long the log is, or, where nothing was read, how many of its records have expired. */
function hasToBeAsked({ watermark, logEnd }: PartitionProgress): boolean {
  return logEnd === undefined || (watermark === undefined && logEnd > 0);
}
