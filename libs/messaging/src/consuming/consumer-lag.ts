import type { Admin } from 'kafkajs';
import { waitAtMost } from '#libs/time';
import { gauge } from '#libs/tracing';
import { Periodically } from '#libs/work';
import type { GroupConsumer } from './group-consumer.js';
import type { HandlerGroup } from '../handling/handler-groups.js';
import { kafkaClient } from '../kafka/kafka-client.js';
import type { LogOptions } from '../kafka/kafka-client.js';

const intervalMs = 5_000;
/** How long a stop waits for a measurement under way. */
const stopTimeoutMs = 1_000;

const lag = gauge(
  'millrace_consumer_lag_records',
  'Records of the partitions this process owns that are in the log and not finished. Their sum over the processes is the lag of the group.',
  ['group', 'topic'],
);

/** Measures how far the groups are behind, every 5 s. It asks the log for the end offsets, because a paused partition does not see new records. */
export class ConsumerLag {
  private readonly admin: Admin;
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
    const ends = new Map<string, Map<number, number>>();
    for (const { group, consumer } of this.groups) {
      const positions = consumer.positions();
      for (const { name: topic } of group.topics) {
        const endOf = ends.get(topic) ?? (await this.endsOf(topic));
        ends.set(topic, endOf);
        const behind = positions
          .filter((position) => position.topic === topic)
          .map(({ partition, offset }) => Math.max(0, (endOf.get(partition) ?? offset) - offset));
        lag.set(
          { group: group.group, topic },
          behind.reduce((sum, records) => sum + records, 0),
        );
      }
    }
  }

  private async endsOf(topic: string): Promise<Map<number, number>> {
    const offsets = await this.admin.fetchTopicOffsets(topic);
    return new Map(offsets.map(({ partition, high }) => [partition, Number(high)]));
  }
}
