import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { bulkOperationId, document, noCustomer, topics } from '#libs/contracts';
import type { Redeliver, StartBulkOperation } from '#libs/contracts';
import { SecretBox } from '#libs/auth';
import type { BulkOperations } from '#libs/bulk';
import { RecordProducer, ensureTopics } from '#libs/messaging';
import { Configuration, Database, DocumentTable, statement } from '#libs/persistence';
import { freshDatabase, testBrokers, waitFor } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { bulkRedeliveries } from './bulk-redeliveries.js';

let fresh: FreshDatabase;
let database: Database;
let configuration: Configuration;
let producer: RecordProducer;
let operations: BulkOperations;
let redelivered: Redeliver[];
let documents: DocumentTable;

beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  const secretBox = new SecretBox(randomBytes(32));
  configuration = new Configuration(database, { secretBox });
  await configuration.start();
  documents = new DocumentTable(secretBox);
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
  operations = bulkRedeliveries({ database, producer, configuration }, { leaseMs: 15_000, pollMs: 20 });
  operations.onApplicationBootstrap();
});
afterAll(async () => {
  await operations.beforeApplicationShutdown();
  vi.restoreAllMocks();
  await producer.disconnect();
  await configuration.stop();
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

describe('what `redeliver` would refuse is left out, and counted by the reason', () => {
  /** One delivery for each destination, which reached it two hours ago; `consents` says whether its flow takes more than one effect. */
  const insertReached = statement(
    'test.bulk.reached',
    `INSERT INTO delivery (tenant_id, id, event_id, run_id, flow, generation, step, customer, destination, payload, state, retries_left, event_received_at,
       created_at, reached_at, at_least_once)
     SELECT $1, 'dlv_' || n, 'evt_1', 'run_1', 'triage', 0, 'tell', 'c-1', destination, '{}', 'parked', 0, now(), now() - interval '1 hour',
       now() - interval '2 hours', destination LIKE 'consented%' FROM unnest($2::text[]) WITH ORDINALITY AS given (destination, n)`,
  );
  const insertOfObject = statement(
    'test.bulk.ofObject',
    `INSERT INTO delivery (tenant_id, id, event_id, run_id, flow, generation, step, customer, destination, payload, state, retries_left, event_received_at,
       created_at, object)
     SELECT $1, 'dlv_object' || n, 'evt_1', 'run_object' || n, 'triage', 0, 'tell', 'c-1', 'upserts', '{}', CASE n WHEN 1 THEN 'parked' ELSE 'delivered' END, 0, now(),
       now() - interval '1 hour', 'order-1' FROM generate_series(1, 2) AS n ORDER BY n`,
  );
  const outcome = statement(
    'test.bulk.outcome',
    'SELECT total, done, failed, left_out AS "leftOut" FROM bulk_operation WHERE tenant_id = $1',
  );
  const hour = 3_600_000;
  const classes = {
    anew: { class: 'none' },
    consented: { class: 'none' },
    forgets: { class: 'key', windowMs: 2 * hour },
    consentedForgets: { class: 'key', windowMs: 2 * hour },
    remembers: { class: 'key', windowMs: 24 * hour },
    keeps: { class: 'key' },
    upserts: { class: 'upsert' },
  } as const;

  test.each(['deliveries', 'deadLetters'] as const)('of %s', async (selection) => {
    const tenant = `refused-${selection.toLowerCase()}`;
    for (const [name, idempotency] of Object.entries(classes)) {
      const metadata = { tenant, name: name.toLowerCase() };
      const spec = {
        kind: 'http',
        url: 'https://crm.example',
        secret: { value: 'whsec_' + 'c2VjcmV0'.repeat(4) },
        timeoutMs: 1_000,
        idempotency,
        order: 'strict',
      };
      const parsed = document.parse({ apiVersion: 'millrace/v1', kind: 'Destination', metadata, spec });
      await documents.save(database, { document: parsed, actor: 'test' });
    }
    const names = Object.keys(classes).map((name) => name.toLowerCase());
    await database.query(insertReached, [tenant, names]);
    await database.query(insertOfObject, [tenant]);
    await database.query(insertDeadLetters, [tenant]);
    const sent = await operate(tenant, { selection, filter: selection === 'deliveries' ? { state: 'parked' } : {} });
    const sentTo = sent.map((id) => names[Number(id.slice('dlv_'.length)) - 1]);
    expect(sentTo).toEqual(['consented', 'remembers', 'keeps', 'upserts']);
    const leftOut = { 'delivery.secondEffect': 3, 'delivery.superseded': 1 };
    expect(await database.query(outcome, [tenant])).toEqual([{ total: 8, done: 4, failed: 0, leftOut }]);
  });
});
