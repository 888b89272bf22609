import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventId as eventIdOf, newRunId } from '#libs/contracts';
import type { EventReceived } from '#libs/contracts';
import { Database, statement } from '#libs/persistence';
import { freshDatabase, rowsRead } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { DeadLetterStore } from '../dead-letters/dead-letter.store.js';
import { EventStore } from '../events/event.store.js';
import { RetentionStore } from '../retention/retention.store.js';
import { RunProgressStore } from './run.progress.store.js';
import { RunStore } from './run.store.js';
import type { PlannedRun } from './run.store.js';
import { StepResultStore } from './step-result.store.js';

const stored = 20_000;
/** More than the five times after which Postgres may choose a plan that fits no values in particular. */
const times = 12;
/** Rows of one table, by all statements together. */
const perTime = 100;

const tables = ['event', 'run', 'step_result', 'model_attempt', 'delivery', 'attempt', 'dead_letter'];

let fresh: FreshDatabase;
let database: Database;

beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test', poolSize: 1 });
  await database.query(
    statement(
      'test.plans.events',
      `INSERT INTO event (tenant_id, id, source, customer, type, lane, occurred_at, received_at, content_type, body, log_topic, log_partition, log_offset)
       SELECT 'acme', 'evt_' || md5(n::text), 's', 'c-' || n % 100, 't', 'normal', now(), now(), 'text/plain', '', 'l', 0, n FROM generate_series(1, $1) AS n`,
    ),
    [stored],
  );
  await database.query(
    statement(
      'test.plans.runs',
      `INSERT INTO run (tenant_id, id, event_id, customer, flow, flow_version, generation, state, finished_at)
       SELECT 'acme', 'run_' || md5(n::text), 'evt_' || md5(n::text), 'c-' || n % 100, 'f', 1, 0, 'completed', now() FROM generate_series(1, $1) AS n`,
    ),
    [stored],
  );
  await database.query(
    statement(
      'test.plans.steps',
      `INSERT INTO step_result (tenant_id, run_id, step, event_id, kind, state, started_at, finished_at)
       SELECT 'acme', 'run_' || md5(n::text), 'a', 'evt_' || md5(n::text), 'map', 'succeeded', now(), now() FROM generate_series(1, $1) AS n`,
    ),
    [stored],
  );
  await database.query(
    statement(
      'test.plans.deliveries',
      `INSERT INTO delivery (tenant_id, id, event_id, run_id, flow, generation, step, customer, destination, payload, state, event_received_at)
       SELECT 'acme', 'dlv_' || md5(n::text), 'evt_' || md5(n::text), 'run_' || md5(n::text), 'f', 0, 's', 'c-' || n % 100, 'd', '{}', 'delivered', now()
       FROM generate_series(1, $1) AS n`,
    ),
    [stored],
  );
  await database.query(
    statement(
      'test.plans.deadLetters',
      `INSERT INTO dead_letter (tenant_id, id, kind, customer, code, message, event_id, run_id, resolved_at)
       SELECT 'acme', 'dlq_' || md5(n::text), 'run', 'c-' || n % 100, 'x', 'x', 'evt_' || md5(n::text), 'run_' || md5(n::text), now()
       FROM generate_series(1, $1) AS n`,
    ),
    [stored],
  );
});
afterAll(async () => {
  await database.close();
  await fresh.close();
});

const eventOf = (n: number): EventReceived => ({
  eventId: eventIdOf('acme', 's', { providerEventId: `new-${n}` }),
  tenant: 'acme',
  source: 's',
  customer: 'c-1',
  lane: 'normal',
  type: 't',
  providerEventId: null,
  occurredAt: '2026-11-21T10:00:00.000Z',
  receivedAt: '2026-11-21T10:00:00.000Z',
  contentType: 'text/plain',
  body: 'x',
});

const planned = (event: EventReceived): PlannedRun => ({
  tenant: 'acme',
  id: newRunId(),
  eventId: event.eventId,
  customer: 'c-1',
  flow: 'f',
  flowVersion: 1,
  generation: 0,
  commandId: null,
});

const settle = statement(
  'test.plans.settle',
  `UPDATE delivery SET state = 'delivered', settled_at = now() WHERE tenant_id = $1 AND id = $2`,
);

/** One step of the way of an event through Postgres. */
async function take(n: number): Promise<void> {
  const event = eventOf(n);
  const at = new Date();
  const runs = new RunStore(database);
  await new EventStore(database).record([{ event, traceId: null, position: { topic: 't', partition: 0, offset: String(n) } }]);
  const start = { tenant: 'acme', eventId: event.eventId, planned: [planned(event)], traceId: null };
  const [started] = await runs.start([start], 60_000);
  const [run] = started!.claimed;
  await runs.renew([run!], 60_000);
  await new StepResultStore(database).ofRun(run!);
  const step = { step: 'a', kind: 'map', state: 'succeeded', output: 1, ordinal: 0, startedAt: at, finishedAt: at } as const;
  const to = {
    step: 's',
    destination: 'd',
    payload: '{}',
    strict: true,
    object: null,
    atLeastOnce: false,
    traceparent: undefined,
    eventReceivedAt: event.receivedAt,
  };
  const end = { state: 'completed', decision: 1, deliveries: [{ ...run!, ...to, runId: run!.id, id: `dlv_${n}` }] } as const;
  await new RunProgressStore(database).write([{ run: run!, steps: [step], calls: [], unanswered: 0, end }], 60_000);
  const another = eventOf(n + 1_000);
  const alone = { ...planned(another), state: 'running', fence: 1, failures: 0, lostAnswers: 0, leaseLeftMs: 60_000 } as const;
  const first = { run: alone, steps: [step], unanswered: 0, startedAt: at, traceId: null };
  const [begun] = await new RunProgressStore(database).begin(
    [{ ...first, end: { ...end, deliveries: [{ ...alone, ...to, runId: alone.id, id: `dlv_${n}_alone` }] } }],
    60_000,
  );
  expect(begun).toMatchObject({ state: 'completed' });
  await database.query(settle, ['acme', `dlv_${n}_alone`]);
  await database.query(settle, ['acme', `dlv_${n}`]);
  await runs.stored([run!]);
  await runs.lastGenerations('acme', event.eventId);
  await new DeadLetterStore(database).resolveEarlierRuns({ ...run!, generation: 1, at: at.toISOString() });
}

test.each(['without', 'with'])('no statement of an event’s way reads much of a table, %s statistics', async (statistics) => {
  if (statistics === 'with') await fresh.analyze();
  const rows = await rowsRead(database, tables, 3 * times, async () => {
    for (let n = 0; n < times; n += 1) await take(n + (statistics === 'with' ? times : 0));
  });
  expect(rows).toBeLessThan(times * perTime);
});

/** It runs every hour, and statistics are there by then. */
test('a step of the retention reads little more than what it deletes, with statistics', async () => {
  await fresh.analyze();
  const retention = new RetentionStore(database);
  const all = new Date(Date.now() + 60_000);
  const rows = await rowsRead(database, tables, 1, async () => {
    await take(2 * times);
    for (let n = 0; n < times; n += 1) expect(await retention.deleteEvents('acme', all, undefined, 5)).toMatchObject({ deleted: 5 });
  });
  expect(rows).toBeLessThan(times * perTime);
});
