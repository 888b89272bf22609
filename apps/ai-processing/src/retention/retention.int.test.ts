import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Database, statement } from '#libs/persistence';
import { freshDatabase, uniqueName } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { RequestStore } from '../requests/request.store.js';
import { RetentionService } from './retention.service.js';
import { SpendTable } from '../spending/spend.table.js';
import { RetentionStore } from './retention.store.js';

let fresh: FreshDatabase;
let database: Database;
let store: RetentionStore;
let retention: RetentionService;
let tenant: string;

beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  store = new RetentionStore(database);
  retention = new RetentionService(store, new RequestStore(database), new SpendTable(database), {
    retentionDays: 30,
    requestRetentionDays: 7,
  });
});
afterAll(async () => {
  await database.close();
  await fresh.close();
});
beforeEach(() => {
  tenant = uniqueName('t');
});

const now = new Date('2026-11-21T10:00:00.000Z');
const daysAgo = (days: number): Date => new Date(now.getTime() - days * 86_400_000);
const old = daysAgo(31);

let names = 0;
const sql = <Row>(text: string, values: unknown[] = []): Promise<Row[]> =>
  database.query<Row>(statement(`test.${(names += 1)}`, text), values);

async function addEvent(id: string, { receivedAt = old, customer = 'c' } = {}): Promise<void> {
  await sql(
    `INSERT INTO event (tenant_id, id, source, customer, type, lane, occurred_at, received_at, content_type, body, log_topic, log_partition, log_offset)
     VALUES ($1, $2, 's', $3, 't', 'normal', $4, $4, 'application/json', '', 'l', 0, 0)`,
    [tenant, id, customer, receivedAt],
  );
}

interface RunMore {
  state?: string;
  finishedAt?: Date | null;
  planned?: number;
  generation?: number;
}

async function addRun(event: string, { state = 'completed', finishedAt = old, planned = 1, generation = 0 }: RunMore = {}): Promise<void> {
  await sql(
    `INSERT INTO run (tenant_id, id, event_id, customer, flow, flow_version, generation, state, deliveries, finished_at)
     VALUES ($1, $2, $3, 'c', 'f', 1, $4, $5, (SELECT json_agg(n) FROM generate_series(1, $6) AS n), $7)`,
    [tenant, `run_${event}_${generation}`, event, generation, state, planned, finishedAt],
  );
  await sql(
    `INSERT INTO run_wait (tenant_id, run_id, step, event_id, customer, due_at, state) VALUES ($1, $2, 'pause', $3, 'c', $4, 'taken')`,
    [tenant, `run_${event}_${generation}`, event, old],
  );
  await sql(
    `INSERT INTO run_delay (tenant_id, run_id, step, code, budget, event_id, message, fence) VALUES ($1, $2, 'a', 'model.budgetSpent', 'b', $3, 'm', 1)`,
    [tenant, `run_${event}_${generation}`, event],
  );
  await sql(
    `INSERT INTO review (tenant_id, id, run_id, step, event_id, customer, flow, state, place, priority, expires_at)
     VALUES ($1, $2, $2, 'ask', $3, 'c', 'f', 'decided', '1', 5, $4)`,
    [tenant, `run_${event}_${generation}`, event, old],
  );
  await sql(
    `INSERT INTO step_result (tenant_id, run_id, step, event_id, kind, state, started_at, finished_at)
     VALUES ($1, $2, 'a', $3, 'infer', 'succeeded', $4, $4)`,
    [tenant, `run_${event}_${generation}`, event, old],
  );
  await sql(
    `INSERT INTO model_attempt (tenant_id, run_id, step, number, fence, event_id, model, outcome, started_at, finished_at)
     VALUES ($1, $2, 'a', 1, 1, $3, 'm', 'succeeded', $4, $4)`,
    [tenant, `run_${event}_${generation}`, event, old],
  );
}

async function addDelivery(
  event: string,
  { state = 'delivered', settledAt = old }: { state?: string; settledAt?: Date | null } = {},
): Promise<void> {
  await sql(
    `INSERT INTO delivery (tenant_id, id, event_id, run_id, flow, generation, step, customer, destination, payload, state, retries_left,
       event_received_at, created_at, settled_at)
     VALUES ($1, $2, $3, $4, 'f', 0, 'd', 'c', 'crm', '{}', $5, 0, $6, $6, $7)`,
    [tenant, `dlv_${event}`, event, `run_${event}_0`, state, old, settledAt],
  );
  await sql(
    `INSERT INTO attempt (tenant_id, delivery_id, number, event_id, outcome, started_at, finished_at) VALUES ($1, $2, 1, $3, 'succeeded', $4, $4)`,
    [tenant, `dlv_${event}`, event, old],
  );
}

async function addDeadLetter(id: string, event: string, resolvedAt: Date | null): Promise<void> {
  await sql(
    `INSERT INTO dead_letter (tenant_id, id, kind, customer, code, message, event_id, created_at, resolved_at)
     VALUES ($1, $2, 'run', 'c', 'x', 'x', $3, $4, $5)`,
    [tenant, id, event, old, resolvedAt],
  );
}

async function addFinished(id: string, more: { receivedAt?: Date; customer?: string } = {}): Promise<void> {
  await addEvent(id, more);
  await addRun(id);
  await addDelivery(id);
}

const eventsLeft = async (): Promise<string[]> =>
  (await sql<{ id: string }>(`SELECT id FROM event WHERE tenant_id = $1 ORDER BY id`, [tenant])).map(({ id }) => id);
const rowsOf = async (event: string): Promise<number> => {
  const tables = ['run', 'run_wait', 'run_delay', 'review', 'step_result', 'model_attempt', 'delivery', 'attempt'];
  const counts = tables.map((name) => `(SELECT count(*) FROM ${name} WHERE tenant_id = $1 AND event_id = $2)`);
  return (await sql<{ rows: number }>(`SELECT ${counts.join(' + ')} AS rows`, [tenant, event]))[0]!.rows;
};

test('an old event goes with everything that followed from it, and a younger one stays', async () => {
  await addFinished('old');
  await addEvent('without-runs');
  await addFinished('young', { receivedAt: daysAgo(29) });
  expect(await retention.deleteOld(now)).toBe(2);
  expect(await eventsLeft()).toEqual(['young']);
  expect(await rowsOf('old')).toBe(0);
  expect(await rowsOf('young')).toBe(8);
});

test('what may still change stays, however old it is', async () => {
  for (const id of ['running', 'waiting', 'pending', 'unwritten', 'replayed', 'redelivered', 'held', 'open'])
    await addEvent(id, { customer: id });
  await addRun('running', { state: 'running', finishedAt: null, planned: 0 });
  await addRun('waiting', { state: 'waiting', finishedAt: null, planned: 0 });
  await addRun('pending');
  await addDelivery('pending', { state: 'pending', settledAt: null });
  await addRun('unwritten'); // its one delivery is still on the log
  await addRun('replayed', { planned: 0 });
  await addRun('replayed', { planned: 0, generation: 1, finishedAt: daysAgo(1) });
  await addRun('redelivered');
  await addDelivery('redelivered', { settledAt: daysAgo(1) });
  await addDeadLetter('dlq_open', 'open', null);
  await sql(
    `INSERT INTO hold (tenant_id, consumer_group, topic, partition, record_key, customer, reason) VALUES ($1, 'flows', 't', 0, 'k', 'held', 'overflow')`,
    [tenant],
  );
  expect(await retention.deleteOld(now)).toBe(0);
  expect(await eventsLeft()).toHaveLength(8);
});

test('resolved dead letters go once the log has forgotten them too; open ones and the audit stay', async () => {
  await addDeadLetter('dlq_open', 'gone', null);
  await addEvent('here', { receivedAt: daysAgo(1) }); // a tenant without events is not looked at
  await addDeadLetter('dlq_resolved', 'gone', daysAgo(30.5));
  await sql(`INSERT INTO audit_entry (tenant_id, actor, action, target, at) VALUES ($1, 'k', 'a', 't', $2)`, [tenant, daysAgo(400)]);
  await retention.deleteOld(now);
  const left = () => sql<{ id: string }>(`SELECT id FROM dead_letter WHERE tenant_id = $1 ORDER BY id`, [tenant]);
  expect(await left()).toEqual([{ id: 'dlq_open' }, { id: 'dlq_resolved' }]);
  await retention.deleteOld(new Date(now.getTime() + 86_400_000));
  expect(await left()).toEqual([{ id: 'dlq_open' }]);
  expect(await sql(`SELECT FROM audit_entry WHERE tenant_id = $1`, [tenant])).toHaveLength(1);
});

test('a resolved dead letter stays while its customer is held, because the hold ends by it', async () => {
  await addEvent('here', { receivedAt: daysAgo(1) });
  await addDeadLetter('dlq_held', 'gone', old);
  const [letter] = await sql<{ customer: string }>(`SELECT customer FROM dead_letter WHERE tenant_id = $1`, [tenant]);
  await sql(
    `INSERT INTO hold (tenant_id, consumer_group, topic, partition, record_key, customer, reason, cause_offset, dead_letter_id)
     VALUES ($1, 'flows', 't', 0, 'k', $2, 'poison', 7, 'dlq_held')`,
    [tenant, letter!.customer],
  );
  const tomorrow = new Date(now.getTime() + 86_400_000);
  const left = () => sql(`SELECT FROM dead_letter WHERE tenant_id = $1`, [tenant]);
  await retention.deleteOld(tomorrow);
  expect(await left()).toHaveLength(1);
  await sql(`DELETE FROM hold WHERE tenant_id = $1`, [tenant]);
  await retention.deleteOld(tomorrow);
  expect(await left()).toHaveLength(0);
});

test('batches are small, and unfinished events do not stop the walk', async () => {
  for (let n = 0; n < 6; n += 1) await addEvent(`event-${n}`, { receivedAt: new Date(old.getTime() + n) });
  await addRun('event-0', { state: 'running', finishedAt: null });
  const first = await store.deleteEvents(tenant, daysAgo(30), undefined, 3);
  expect(first).toMatchObject({ deleted: 2, next: { id: 'event-2' } });
  expect(await store.deleteEvents(tenant, daysAgo(30), first!.next!, 3)).toMatchObject({ deleted: 3, next: { id: 'event-5' } });
  expect(await eventsLeft()).toEqual(['event-0']);
});

test('a trial goes after a week with its results, a younger one stays', async () => {
  await addEvent('here', { receivedAt: daysAgo(1) });
  for (const [id, age] of [
    ['old', 8],
    ['young', 6],
  ] as const) {
    await sql(
      `INSERT INTO trial (tenant_id, id, kind, flow, flow_version, events, outputs, max_events, max_seconds, state, actor, asked_at)
       VALUES ($1, $2, 'backtest', 'f', 1, '{}', '{}', 1, 1, 'completed', 'k', $3)`,
      [tenant, id, daysAgo(age)],
    );
    await sql(
      `INSERT INTO trial_outcome (tenant_id, trial_id, event_id, ordinal, customer, received_at, change, is_match, deliveries, costs, base_costs, differences,
         difference_count) VALUES ($1, $2, 'here', 0, 'c', $3, 'new', true, '[]', '{}', '{}', '[]', 0)`,
      [tenant, id, daysAgo(age)],
    );
  }
  await retention.deleteOld(now);
  expect(await sql(`SELECT id FROM trial WHERE tenant_id = $1`, [tenant])).toEqual([{ id: 'young' }]);
  expect(await sql(`SELECT trial_id FROM trial_outcome WHERE tenant_id = $1`, [tenant])).toEqual([{ trial_id: 'young' }]);
});

test('one process at a time', async () => {
  await addFinished('old');
  await database.transaction(async (session) => {
    await session.query(statement('test.lock', `SELECT pg_advisory_xact_lock(hashtextextended('millrace.retention', 0))`));
    expect(await store.deleteEvents(tenant, daysAgo(30))).toBeUndefined();
  });
  expect(await store.deleteEvents(tenant, daysAgo(30))).toMatchObject({ deleted: 1 });
});
