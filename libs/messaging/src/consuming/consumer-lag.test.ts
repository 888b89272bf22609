import type { Admin, Kafka } from 'kafkajs';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { registry } from '#libs/tracing';
import type { HandlerGroup } from '../handling/handler-groups.js';
import { LazyAdmin } from '../kafka/lazy-admin.js';
import { ConsumerLag } from './consumer-lag.js';
import type { GroupConsumer } from './group-consumer.js';
import type { PartitionProgress } from './owned-partitions.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Measures once. The log has ten records in each partition, of which the first three have expired. */
async function measured(...progress: Partial<PartitionProgress>[]) {
  const asked: string[] = [];
  const fetchTopicOffsets = async (topic: string) => {
    asked.push(topic);
    return progress.map((_, partition) => ({ partition, offset: '10', low: '3', high: '10' }));
  };
  const admin = { connect: async () => undefined, disconnect: async () => undefined, fetchTopicOffsets } as unknown as Admin;
  const topic = { name: 'lag-topic', priority: 'normal', partitions: progress.length, retentionMs: 1, types: [] };
  const group = { group: 'lag-group', topics: [topic] } as unknown as HandlerGroup;
  const owned = progress.map((one, partition) => ({
    topic: 'lag-topic',
    partition,
    watermark: undefined,
    finishedAbove: 0,
    oldestOpenMs: undefined,
    logEnd: undefined,
    ...one,
  }));
  const lag = new ConsumerLag(new LazyAdmin({ admin: () => admin } as unknown as Kafka), [
    { group, consumer: { progress: () => owned } as unknown as GroupConsumer },
  ]);
  lag.start();
  await vi.advanceTimersByTimeAsync(5_000);
  await lag.stop();
  const gauge = await registry.getSingleMetric('millrace_consumer_lag_records')!.get();
  return { asked, behind: gauge.values.find(({ labels }) => labels['group'] === 'lag-group')?.value };
}

test('where the fetches say how many records wait, the log is not asked', async () => {
  const owned = [{ watermark: 8, logEnd: 10 }, { watermark: 10, logEnd: 10 }, { logEnd: 0 }];
  expect(await measured(...owned)).toEqual({ asked: [], behind: 2 });
});

test('the log is asked where no fetch says where it ends, and where nothing was read of it', async () => {
  expect(await measured({ watermark: 8, logEnd: 10 }, { watermark: 4 }, { logEnd: 10 })).toEqual({
    asked: ['lag-topic'],
    behind: 2 + 6 + 7,
  });
});
