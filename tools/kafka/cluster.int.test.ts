import { setImmediate as nextTurn } from 'node:timers/promises';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { customerKey, name, recordType } from '#libs/contracts';
import type { Topic } from '#libs/contracts';
import { LogUnavailable, RecordProducer, ensureTopics } from '#libs/messaging';
import { createTopics, uniqueName, waitFor } from '#libs/testing';
import { startKafkaCluster } from './cluster.js';
import type { KafkaCluster } from './cluster.js';
import { javaRunsKafka } from './java.js';

const Noted = recordType('noted.v1', z.object({ tenant: name, customer: customerKey, n: z.number() }));

describe.skipIf(!(await javaRunsKafka()))('three brokers, each record on all of them', () => {
  let kafka: KafkaCluster;
  let client: Kafka;
  let topic: Topic;
  beforeAll(async () => {
    kafka = await startKafkaCluster({ nodes: 3, settings: () => ({ 'default.replication.factor': '2' }) });
    client = new Kafka({ brokers: [...kafka.brokers], logLevel: logLevel.NOTHING });
    topic = { name: uniqueName('replicated'), partitions: 6, retentionMs: 3_600_000, types: [Noted] };
    await ensureTopics({ brokers: kafka.brokers, clientId: 'test' }, [topic], { replication: 3 });
  });
  afterAll(() => kafka.stop());

  test('a topic that is created with three copies wants two of them in sync', async () => {
    const admin = client.admin();
    await admin.connect();
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: 2, name: `millrace.${topic.name}`, configNames: ['min.insync.replicas'] }],
    });
    const { topics } = await admin.fetchTopicMetadata({ topics: [`millrace.${topic.name}`] });
    await admin.disconnect();
    expect(resources[0]!.configEntries[0]!.configValue).toBe('2');
    expect(topics[0]!.partitions.map(({ replicas }) => replicas.length)).toEqual([3, 3, 3, 3, 3, 3]);
  });

  test('one broker is killed and comes back: appends go on, and everything acknowledged is in the log', { timeout: 120_000 }, async () => {
    const appender = await startAppending();
    await appender.moreAcknowledged(200);
    await kafka.kill(2);
    await appender.moreAcknowledged(200);
    await kafka.start(2);
    await appender.moreAcknowledged(200);
    const acknowledged = await appender.stop();
    const stored = await numbersInLog();
    expect(acknowledged.filter((n) => !stored.has(n))).toEqual([]);
  });

  test('with two killed nothing is acknowledged, and the caller is told that the log is unavailable', { timeout: 120_000 }, async () => {
    // A producer for each customer: one batch over many partitions would fail as a whole.
    const producers = Array.from({ length: 12 }, () => new RecordProducer({ brokers: kafka.brokers, clientId: 'test' }));
    await Promise.all(producers.map((producer) => producer.connect()));
    await Promise.all([kafka.kill(1), kafka.kill(3)]);
    const appends = await Promise.allSettled(producers.map((producer, n) => producer.append(topic, Noted, noted(n))));
    for (const outcome of appends) expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(LogUnavailable) });
    await Promise.all([kafka.start(1), kafka.start(3)]);
    await waitFor(() => producers[0]!.append(topic, Noted, noted(0)), { deadlineMs: 60_000, what: 'an append after the outage' });
    await Promise.all(producers.map((producer) => producer.disconnect()));
  });

  describe('where an acknowledged event must have two copies', () => {
    const made = async (replication: number, config: Record<string, string>): Promise<Topic> => {
      const own = { ...topic, name: uniqueName('operators') };
      const configEntries = Object.entries(config).map(([entry, value]) => ({ name: entry, value }));
      const admin = client.admin();
      await admin.connect();
      await createTopics(admin, [
        { topic: `millrace.${own.name}`, numPartitions: own.partitions, replicationFactor: replication, configEntries },
      ]);
      await admin.disconnect();
      return own;
    };
    const required = (own: Topic, replication?: number) =>
      ensureTopics({ brokers: kafka.brokers, clientId: 'test' }, [own], { replication, ackCopies: 2 });

    test('topics that somebody else made are accepted as they are, if they are right', async () => {
      await required(await made(3, { 'min.insync.replicas': '2' }));
    });

    test('topics that are created as the brokers are set get what is missing, or are not created', async () => {
      await required({ ...topic, name: uniqueName('created') });
      const own = { ...topic, name: uniqueName('refused') };
      const refusal = await ensureTopics({ brokers: kafka.brokers, clientId: 'test' }, [own], { ackCopies: 3 }).catch(
        (error: Error) => error.message,
      );
      expect(refusal).toContain('the brokers create topics with 2 of 3 replicas (default.replication.factor). Set KAFKA_REPLICATION=4');
      const admin = client.admin();
      await admin.connect();
      expect(await admin.listTopics()).not.toContain(`millrace.${own.name}`);
      await admin.disconnect();
    });

    test('topics that are created with replicas are right', async () => {
      await required({ ...topic, name: uniqueName('created') }, 3);
      await required({ ...topic, name: uniqueName('created') }, 2);
    });

    test.each([
      [1, {}, 'has 1 of 2 replicas'],
      [3, { 'min.insync.replicas': '1' }, 'has min.insync.replicas 1, so an ack needs 1 of 2 copies'],
      [3, { 'min.insync.replicas': '2', 'unclean.leader.election.enable': 'true' }, 'has unclean.leader.election.enable true'],
    ])('%i replicas and %j are refused, with the remedy', async (replication, config, problem) => {
      const own = await made(replication, config);
      const refusal = await required(own).catch((error: Error) => error.message);
      expect(refusal).toContain(`An acknowledged event would not be safe: millrace.${own.name} ${problem}`);
      expect(refusal).toContain('with KAFKA_REPLICATION=3. KAFKA_ACK_COPIES=1 says that one copy is meant');
      await ensureTopics({ brokers: kafka.brokers, clientId: 'test' }, [own], { ackCopies: 1 });
    });
  });

  const noted = (n: number) => ({ tenant: 'acme', customer: `c-${n % 24}`, n });

  /** Appends one record after another, 20 at a time, until it is stopped; a refused one is not repeated. */
  async function startAppending() {
    const producer = new RecordProducer({ brokers: kafka.brokers, clientId: 'test' });
    await producer.connect();
    const acknowledged: number[] = [];
    let next = 0;
    const stopping = new AbortController();
    const appendOneByOne = async (): Promise<void> => {
      while (!stopping.signal.aborted) {
        const n = next++;
        await producer.append(topic, Noted, noted(n)).then(
          () => acknowledged.push(n),
          () => nextTurn(),
        );
      }
    };
    const appending = Promise.all(Array.from({ length: 20 }, appendOneByOne));
    return {
      async moreAcknowledged(count: number): Promise<void> {
        const target = acknowledged.length + count;
        await waitFor(() => acknowledged.length >= target, { deadlineMs: 60_000, what: `${count} more acknowledgements` });
      },
      async stop(): Promise<number[]> {
        stopping.abort();
        await appending;
        await producer.disconnect();
        return acknowledged;
      },
    };
  }

  async function numbersInLog(): Promise<Set<number>> {
    const onLog = `millrace.${topic.name}`;
    const admin = client.admin();
    await admin.connect();
    const ends = new Map((await admin.fetchTopicOffsets(onLog)).map(({ partition, high }) => [partition, Number(high)]));
    await admin.disconnect();
    const consumer = client.consumer({ groupId: uniqueName('reader') });
    const stored = new Set<number>();
    const read = new Map<number, number>();
    await consumer.connect();
    await consumer.subscribe({ topics: [onLog], fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ partition, message }) => {
        stored.add((JSON.parse(message.value!.toString()) as { n: number }).n);
        read.set(partition, Number(message.offset) + 1);
      },
    });
    await waitFor(() => [...ends].every(([partition, end]) => (read.get(partition) ?? 0) >= end), {
      deadlineMs: 60_000,
      what: 'the whole log to be read',
    });
    await consumer.disconnect();
    return stored;
  }
});
