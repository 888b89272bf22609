import { afterAll, beforeAll, expect, test } from 'vitest';
import { HoldTable } from '#libs/holds';
import { Database } from '#libs/persistence';
import { freshDatabase } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { registry } from '#libs/tracing';
import { wallTime } from '#libs/time';
import { DeadLetterGauges } from './dead-letter.gauges.js';
import { DeadLetterStore } from './dead-letter.store.js';

let fresh: FreshDatabase;
let database: Database;
beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
});
afterAll(async () => {
  await database.close();
  await fresh.close();
});

const valueOf = async (line: string): Promise<number> =>
  Number(
    (await registry.metrics())
      .split('\n')
      .find((one) => one.startsWith(`${line} `))
      ?.split(' ')
      .at(-1),
  );

test('open dead letters and held records are counted, and zero is said where there are none', async () => {
  const store = new DeadLetterStore(database);
  const holds = new HoldTable(database);
  const gauges = new DeadLetterGauges(store, holds);
  const tenant = 't1';
  const value = Buffer.from('{}');
  const headers = { mr_tenant: tenant };
  const record = {
    topic: 'millrace.events.normal',
    partition: 0,
    logId: 'log',
    offset: 7,
    timestampMs: 0,
    key: Buffer.from('t1/c'),
    value,
    headers,
  };
  await store.open({
    tenant,
    customer: 'c',
    deadLetterId: 'dl_1',
    kind: 'record',
    code: 'record.undecodable',
    message: 'no',
    eventId: null,
    runId: null,
    deliveryId: null,
    position: 'millrace.events.normal/0/7',
    valueBase64: null,
    at: wallTime().toISOString(),
  });
  await holds.hold('flows', record, { deadLetterId: 'dl_1' });
  await gauges.measure();
  expect(await valueOf('millrace_dead_letters_open{kind="record"}')).toBe(1);
  expect(await valueOf('millrace_dead_letters_oldest_open_seconds{kind="record"}')).toBeGreaterThanOrEqual(0);
  expect(await valueOf('millrace_dead_letters_open{kind="run"}')).toBe(0);
  expect(await valueOf('millrace_records_held{group="flows"}')).toBe(1);
  expect(await valueOf('millrace_records_held{group="deliveries"}')).toBe(0);
  await store.skip(tenant, 'dl_1');
  await gauges.measure();
  expect(await valueOf('millrace_dead_letters_open{kind="record"}')).toBe(0);
  expect(await valueOf('millrace_dead_letters_oldest_open_seconds{kind="record"}')).toBe(0);
});
