import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import type { Admin } from 'kafkajs';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { Database } from '#libs/persistence';
import { freePort } from '#libs/ports';
import { PositionTable } from '#libs/positions';
import { createTopics, freshDatabase, testBrokers, uniqueName } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { runInTest } from './run-in-test.js';

const hourMs = 3_600_000;
const kafka = new Kafka({ brokers: [...testBrokers()], logLevel: logLevel.NOTHING });
const directory = mkdtempSync(join(tmpdir(), 'millrace-restore-'));
let admin: Admin;
let fresh: FreshDatabase;
let database: Database;
/** The names of an installation that only this test has. */
let prefix: string;
let topic: string;
let group: string;

beforeAll(async () => {
  admin = kafka.admin();
  await admin.connect();
});
afterAll(async () => {
  await admin.disconnect();
  rmSync(directory, { recursive: true });
});

beforeEach(async () => {
  prefix = `${uniqueName('restore')}.`;
  [topic, group] = [`${prefix}events.normal`, `${prefix}flows`];
  await createTopics(admin, [{ topic, numPartitions: 1, replicationFactor: 1 }]);
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  onTestFinished(async () => {
    await database.close();
    await fresh.close();
  });
});

const restore = (args: readonly string[], environment: Record<string, string> = {}) =>
  runInTest(['restore', ...args], {
    directory,
    environment: {
      DATABASE_URL: fresh.url,
      KAFKA_BROKERS: testBrokers().join(','),
      KAFKA_ACK_COPIES: '1',
      LOG_PREFIX: prefix,
      ...environment,
    },
  });
const isoAfter = (ms: number): string => new Date(Date.now() + ms).toISOString();
const committed = async (): Promise<string> => (await admin.fetchOffsets({ groupId: group, topics: [topic] }))[0]!.partitions[0]!.offset;

/** Joins the group as a service does. */
async function member(): Promise<ReturnType<Kafka['consumer']>> {
  const consumer = kafka.consumer({ groupId: group });
  await consumer.connect();
  const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve));
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({ autoCommit: false, eachBatch: async () => undefined });
  await joined;
  return consumer;
}

/** Three records a second apart, all of them committed; the database knows the first one. */
async function threeRecordsOfWhichOneIsKnown(): Promise<void> {
  const producer = kafka.producer();
  await producer.connect();
  const firstAtMs = Date.now() - 10_000;
  for (const at of [0, 1, 2]) {
    await producer.send({ topic, messages: [{ key: 'a', value: '{}', timestamp: String(firstAtMs + at * 1_000) }] });
  }
  await producer.disconnect();
  const consumer = await member();
  await consumer.commitOffsets([{ topic, partition: 0, offset: '3' }]);
  await consumer.disconnect();
  const position = { group: 'flows', topic, partition: 0, logId: 'another log', offset: 501, appendedAtMs: firstAtMs + 1_000 };
  await new PositionTable(database).save([position]);
}

test('sets the groups back to what the database knows, after it has said what it would do', async () => {
  await threeRecordsOfWhichOneIsKnown();
  const planned = await restore(['--to', isoAfter(0), '--dry-run']);
  expect(planned).toMatchObject({
    code: 0,
    out: 'flows  2 records to handle again, 0 for the first time',
    notes: 'Nothing was changed.',
  });
  expect(await committed()).toBe('3');
  expect(await restore(['--to', isoAfter(0)])).toMatchObject({
    code: 0,
    notes: expect.stringContaining('The groups are set back.') as string,
  });
  expect(await committed()).toBe('1');
});

test('is refused while consumers are at work', async () => {
  const consumer = await member();
  const refused = await restore(['--to', isoAfter(0)]);
  await consumer.disconnect();
  expect(refused.code).not.toBe(0);
  expect(refused.notes).toContain(`Consumers are at work (${group}). Stop ai-processing and connectors first`);
});

test('is refused for a database that was written after the moment', async () => {
  await threeRecordsOfWhichOneIsKnown();
  const refused = await restore(['--to', isoAfter(-hourMs)]);
  expect(refused.code).not.toBe(0);
  expect(refused.notes).toContain('This database is not of');
  expect(await committed()).toBe('3');
});

test('a log that does not respond, and a moment that is none, are told', async () => {
  const away = await restore(['--to', isoAfter(0)], { KAFKA_BROKERS: `127.0.0.1:${await freePort()}` });
  expect(away.code).not.toBe(0);
  expect(away.notes).toContain('The log does not respond');
  expect((await restore(['--to', 'yesterday'])).notes).toMatch(/--to/);
});
