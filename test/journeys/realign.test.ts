import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Kafka, logLevel } from 'kafkajs';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EventReceived, eventId, eventTopics, topics } from '#libs/contracts';
import { RecordProducer, ensureTopics } from '#libs/messaging';
import { freshDatabase, waitFor } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { javaRunsKafka } from '../../tools/kafka/java.js';
import { startKafka } from '../../tools/kafka/kafka.js';
import type { RunningKafka } from '../../tools/kafka/kafka.js';

const prefix = 'realign.';
const topic = `${prefix}${eventTopics.normal.name}`;

const eventOf = (name: string): EventReceived => ({
  eventId: eventId('acme', 'partner', { providerEventId: name }),
  tenant: 'acme',
  source: 'partner',
  customer: 'cust-1',
  lane: 'normal',
  type: 'ticket.opened',
  providerEventId: name,
  occurredAt: '2026-11-29T12:00:00.000Z',
  receivedAt: new Date().toISOString(),
  contentType: 'application/json',
  body: `{"name":"${name}"}`,
});

describe.skipIf(!(await javaRunsKafka()))('a Postgres that knows of another log than the one it is used with', () => {
  let kafka: RunningKafka;
  let fresh: FreshDatabase;
  let postgres: Client;
  const log = () => new Kafka({ brokers: [...kafka.brokers], logLevel: logLevel.NOTHING });

  beforeAll(async () => {
    [kafka, fresh] = await Promise.all([startKafka({ way: 'java' }), freshDatabase()]);
    postgres = new Client({ connectionString: fresh.url });
    await postgres.connect();
  });
  afterAll(async () => {
    await postgres?.end();
    await Promise.all([kafka?.stop(), fresh?.close()]);
  });

  const realign = () =>
    promisify(execFile)(process.execPath, ['dist/apps/ai-processing/src/realignment/realign.main.js'], {
      timeout: 90_000,
      env: { ...process.env, DATABASE_URL: fresh.url, KAFKA_BROKERS: kafka.brokers[0], KAFKA_ACK_COPIES: '1', LOG_PREFIX: prefix },
    });

  /** Stores the event as the recorder of the other log did. */
  const store = async ({ eventId: id, customer, type, receivedAt, body = '' }: EventReceived, partition: number, offset: number) => {
    await postgres.query(
      `INSERT INTO event (tenant_id, id, source, customer, type, lane, occurred_at, received_at, content_type, body, log_topic, log_partition, log_offset)
       VALUES ('acme', $1, 'partner', $2, $3, 'normal', $4, $4, 'application/json', $5, $6, $7, $8)`,
      [id, customer, type, receivedAt, Buffer.from(body), topic, partition, offset],
    );
  };

  async function committed(group: string): Promise<Map<number, number>> {
    const admin = log().admin();
    await admin.connect();
    const [offsets] = await waitFor(() => admin.fetchOffsets({ groupId: `${prefix}${group}`, topics: [topic] }), {
      what: 'the coordinator',
    });
    await admin.disconnect();
    return new Map(offsets!.partitions.map(({ partition, offset }) => [partition, Number(offset)]));
  }

  test('goes on where its groups were by the times of records, and gets the events that the log lacks appended once', async () => {
    const options = { brokers: kafka.brokers, clientId: 'test', prefix };
    await ensureTopics(options, Object.values(topics), {});
    const producer = new RecordProducer({ ...options, ackTimeoutMs: 60_000 });
    await producer.connect();
    const [finished, before, open, later, lacking] = ['finished', 'before', 'open', 'later', 'lacking'].map(eventOf) as [
      EventReceived,
      EventReceived,
      EventReceived,
      EventReceived,
      EventReceived,
    ];
    const places: { partition: number; offset: number; at: Date }[] = [];
    for (const event of [finished, before, open, later]) {
      await waitFor(() => Date.now() > (places.at(-1)?.at.getTime() ?? 0) + 5, { what: 'the next millisecond' });
      const at = new Date();
      const { partition, offset } = await producer.append(eventTopics.normal, EventReceived, event);
      places.push({ partition, offset: Number(offset), at });
    }
    await producer.disconnect();
    const { partition } = places[0]!;
    // On the other log the offsets were higher by 1 000.
    await store(finished, partition, 1_000);
    await store(open, partition, 1_002);
    await store(lacking, partition, 1_004);
    await postgres.query(
      `INSERT INTO document (tenant_id, kind, name, version, spec, digest, created_by) VALUES ('acme', 'Tenant', 'acme', 1, '{}', 'd', 't')`,
    );
    const position = `INSERT INTO group_position (consumer_group, topic, partition, log_id, log_offset, appended_at) VALUES ($1, $2, $3, 'other', $4, $5)`;
    await postgres.query(position, ['flows', topic, partition, 1_002, places[2]!.at]);
    await postgres.query(position, ['recorder', topic, partition, 1_003, places[3]!.at]);
    await postgres.query(
      `INSERT INTO hold (tenant_id, consumer_group, topic, partition, record_key, customer, reason, cause_offset, dead_letter_id)
       VALUES ('acme', 'flows', $1, 0, 'acme/c', 'c', 'poison', 7, 'dlq_lost')`,
      [topic],
    );

    const { stdout } = await realign();
    expect(stdout).toContain('1 events that the log lacked were appended from Postgres.');
    expect(stdout).toContain('1 held customers whose dead letter was lost are tried again.');
    const flows = await committed('flows');
    expect(flows.get(partition)).toBe(places[2]!.offset);
    expect([...flows].filter(([one]) => one !== partition).every(([, offset]) => offset === 0)).toBe(true);
    expect((await committed('recorder')).get(partition)).toBe(places[3]!.offset);
    expect((await realign()).stdout).toContain('0 events that the log lacked');
  });

  test('is left alone while a consumer is at work', async () => {
    const consumer = log().consumer({ groupId: `${prefix}flows` });
    await consumer.connect();
    await consumer.subscribe({ topic });
    const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve));
    await consumer.run({ autoCommit: false, eachMessage: async () => undefined });
    await joined;
    await expect(realign()).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Consumers are at work (realign.flows)') as string,
    });
    await consumer.disconnect();
  });
});
