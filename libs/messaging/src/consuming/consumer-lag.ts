import type { Admin } from 'kafkajs';
import { latencyMs, waitAtMost, wallTimeMs } from '#libs/time';
import { gauge } from '#libs/tracing';
import { Periodically } from '#libs/work';
import type { GroupConsumer } from './group-consumer.js';
import type { HandlerGroup } from '../handling/handler-groups.js';
import { kafkaClient } from '../kafka/kafka-client.js';
import type { LogOptions } from '../kafka/kafka-client.js';
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

/** Measures how far the groups are behind, every 5 s. It asks the log for the end offsets, because a paused partition does not see new records. */
export class ConsumerLag {
  private readonly admin: Admin;
  /** By group and partition. */
  private unread: ReadonlyMap<string, Unread> = new Map();
  private readonly measurements = new Periodically('measuring the lag', intervalMs, () => this.measure());

  constructor(
    options: LogOptions,
    private readonly groups: readonly { group: HandlerGroup; consumer: GroupConsumer }[],
  ) {
    this.admin = kafkaClient({ ...options, requestTimeoutMs: 5_000, retry: { retries: 1 } }).admin();
  }

  start(): void {
    this.measurements.start();
  }

  async stop(): Promise<void> {
    await waitAtMost(stopTimeoutMs, this.measurements.stop());
    await this.admin.disconnect();
  }

  private async measure(): Promise<void> {
    const ranges = new Map<string, Map<number, LogRange>>();
    const unread = new Map<string, Unread>();
    for (const { group, consumer } of this.groups) {
      const progress = consumer.progress();
      let openRecords = 0;
      let oldestMs = 0;
      for (const { name: topic } of group.topics) {
        const rangeOf = ranges.get(topic) ?? (await this.rangesOf(topic));
        ranges.set(topic, rangeOf);
        let behind = 0;
        for (const one of progress) {
          const range = one.topic === topic ? rangeOf.get(one.partition) : undefined;
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
    const offsets = await this.admin.fetchTopicOffsets(topic);
    return new Map(offsets.map(({ partition, low, high }) => [partition, { low: Number(low), end: Number(high) }]));
  }
}
