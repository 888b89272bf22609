import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { customerKey, name, recordType } from '#libs/contracts';
import type { Topic } from '#libs/contracts';
import { RecordProducer, ensureTopics } from '#libs/messaging';
import { uniqueName } from '#libs/testing';
import { findKafka, startKafka } from './kafka.js';
import type { RunningKafka } from './kafka.js';

test('brokers that are given come before all other ways', async () => {
  expect(await findKafka('kafka-1:9092')).toBe('brokers');
});

const way = await findKafka(undefined);

describe.skipIf(way === 'none' || way === 'brokers')(`a broker of our own (${way})`, () => {
  let kafka: RunningKafka;
  beforeAll(async () => {
    kafka = await startKafka();
  });
  afterAll(() => kafka.stop());

  test('it survives kill -9 with everything it acknowledged, and a producer that waits for it goes on', async () => {
    const Noted = recordType('noted.v1', z.object({ tenant: name, customer: customerKey, n: z.number() }));
    const topic: Topic = { name: uniqueName('restart'), partitions: 1, retentionMs: 3_600_000, types: [Noted] };
    const log = { brokers: kafka.brokers, clientId: 'test', ackTimeoutMs: 60_000 };
    await ensureTopics(log, [topic]);
    const producer = new RecordProducer(log);
    await producer.connect();
    const append = async (n: number): Promise<number> => {
      for (;;) {
        try {
          return Number((await producer.append(topic, Noted, { tenant: 'acme', customer: 'c', n })).offset);
        } catch {
          continue; // unknown whether it is in the log; a repeat is a new offset
        }
      }
    };
    const before = await Promise.all(Array.from({ length: 100 }, (_, n) => append(n)));
    expect(before).toEqual(Array.from({ length: 100 }, (_, n) => n));
    const [during] = await Promise.all([append(100), kafka.restart()]);
    expect(during).toBeGreaterThanOrEqual(100);
    expect(await append(101)).toBeGreaterThan(during);
    await producer.disconnect();
  });
});
