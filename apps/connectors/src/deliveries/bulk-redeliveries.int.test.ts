import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { bulkOperationId, noCustomer, topics } from '#libs/contracts';
import type { Redeliver, StartBulkOperation } from '#libs/contracts';
import type { BulkOperations } from '#libs/bulk';
import { RecordProducer, ensureTopics } from '#libs/messaging';
import { Database, statement } from '#libs/persistence';
import { freshDatabase, testBrokers, waitFor } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { bulkRedeliveries } from './bulk-redeliveries.js';

let fresh: FreshDatabase;
let database: Database;
let producer: RecordProducer;
let operations: BulkOperations;
let redelivered: Redeliver[];

beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  const log = { brokers: testBrokers(), clientId: 'test' };
  await ensureTopics(log, Object.values(topics));
  producer = new RecordProducer(log);
  await producer.connect();
  const append = producer.append.bind(producer);
  vi.spyOn(producer, 'append').mockImplementation(async (topic, type, value) => {
    const answer = await append(topic, type, value);
    redelivered.push(value as never);
    return answer;
  });
  operations = bulkRedeliveries(database, producer, { leaseMs: 15_000, pollMs: 20 });
  operations.onApplicationBootstrap();
});
afterAll(async () => {
  await operations.beforeApplicationShutdown();
  vi.restoreAllMocks();
  await producer.disconnect();
  await database.close();
  await fresh.close();
});
beforeEach(() => {
  redelivered = [];
});

/** In the order of the numbers, several in one moment; the dead letters stand in the opposite order, as retries may leave them. */
const insertDeliveries = statement(
  'test.bulk.deliveries',
  `INSERT INTO delivery (tenant_id, id, event_id, run_id, flow, generation, step, customer, destination, payload, state, retries_left, event_received_at, created_at)
   SELECT $1, 'dlv_' || md5(n::text), 'evt_' || n, 'run_' || n, 'triage', 0, 'tell', 'c-' || n % 7, CASE WHEN n % 2 = 0 THEN 'crm' ELSE 'erp' END, '{}',
     CASE WHEN n % 10 = 0 THEN 'delivered' ELSE 'parked' END, 0, now(), now() - interval '1 hour' + (n / 20) * interval '1 second'
   FROM generate_series(1, 100) AS n ORDER BY n`,
);
const insertDeadLetters = statement(
  'test.bulk.deadLetters',
  `INSERT INTO dead_letter (tenant_id, id, kind, customer, code, message, delivery_id, created_at)
   SELECT tenant_id, 'dlq_' || id, 'delivery', customer, 'delivery.refused', '', id, now() - interval '1 minute' - position * interval '1 second'
   FROM delivery WHERE tenant_id = $1 AND state = 'parked'`,
);
const inOrder = statement(
  'test.bulk.inOrder',
  `SELECT id FROM delivery WHERE tenant_id = $1 AND state = 'parked' AND ($2::text IS NULL OR destination = $2) ORDER BY position`,
);
const operationState = statement('test.bulk.state', 'SELECT state FROM bulk_operation WHERE tenant_id = $1 AND id = $2');

async function operate(tenant: string, more: Partial<StartBulkOperation>): Promise<string[]> {
  const commandId = `cmd_${JSON.stringify(more)}`;
  await operations.start({
    tenant,
    customer: noCustomer,
    commandId,
    actor: 'key:1',
    at: new Date().toISOString(),
    kind: 'redelivery',
    selection: 'deadLetters',
    filter: {},
    flow: null,
    ratePerSecond: 1_000,
    ...more,
  });
  await waitFor(
    async () => {
      const [row] = await database.query<{ state: string }>(operationState, [tenant, bulkOperationId(tenant, commandId)]);
      return row?.state === 'completed';
    },
    { what: 'the operation to be over' },
  );
  return redelivered.map(({ deliveryId }) => deliveryId);
}
const parked = async (tenant: string, destination: string | null = null): Promise<string[]> =>
  (await database.query<{ id: string }>(inOrder, [tenant, destination])).map(({ id }) => id);

test('everything that was parked is redelivered in the order of its queues, whatever order it was parked in', async () => {
  await database.query(insertDeliveries, ['acme']);
  await database.query(insertDeadLetters, ['acme']);
  expect(await operate('acme', {})).toEqual(await parked('acme'));
  expect(redelivered[0]).toMatchObject({ tenant: 'acme', actor: 'key:1', customer: expect.stringMatching(/^c-/) as string });
  expect(new Set(redelivered.map(({ commandId }) => commandId)).size).toBe(90);
});

test('a filter chooses by the deliveries’ own state and destination, or by that of their dead letters', async () => {
  await database.query(insertDeliveries, ['beta']);
  await database.query(insertDeadLetters, ['beta']);
  const toCrm = await parked('beta', 'crm');
  expect(await operate('beta', { filter: { destination: 'crm' } })).toEqual(toCrm);
  redelivered = [];
  expect(await operate('beta', { selection: 'deliveries', filter: { destination: 'crm', state: 'parked' } })).toEqual(toCrm);
});
