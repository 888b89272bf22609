import { Client as Postgres } from 'pg';
import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest';
import { freshDatabase, startHttpSink, testBrokers, uniqueName, waitFor } from '#libs/testing';
import { Client } from './client.js';
import { tenantDocuments } from './documents.js';
import { fourProcesses } from '../forms/forms.js';
import type { FourProcesses } from '../forms/forms.js';
import type { ServiceProcess } from '../forms/service-process.js';
import { stripe } from './partner.js';

const events = 300;
const customers = 15;
/** Slow enough to be killed in the middle. */
const ratePerSecond = 100;
const killedAfter = 60;
/** So many take effect after the progress was saved last: their commands are appended again. */
const unsaved = 15;

let form: FourProcesses;
let postgres: Postgres;
let sink: Awaited<ReturnType<typeof startHttpSink>>;
let client: Client;

beforeAll(async () => {
  const { url: databaseUrl, queryUrl: queryDatabaseUrl } = await freshDatabase();
  postgres = new Postgres(databaseUrl);
  await postgres.connect();
  form = await fourProcesses({
    brokers: testBrokers(),
    logPrefix: `${uniqueName('bulk')}.`,
    databaseUrl,
    queryDatabaseUrl,
    recoversQuickly: true,
  });
  await form.start();
  sink = await startHttpSink();
  client = new Client(form, uniqueName('tenant'), form.operatorKey);
  await client.apply(tenantDocuments(client.tenant, sink.url));
});
afterAll(async () => {
  await form?.dispose();
  await sink?.stop();
  await postgres?.end();
});

const count = async (condition: string): Promise<number> => {
  const from = `FROM event LEFT JOIN run ON run.tenant_id = event.tenant_id AND run.event_id = event.id
    LEFT JOIN delivery ON delivery.tenant_id = run.tenant_id AND delivery.run_id = run.id WHERE event.customer LIKE 'many-%' AND ${condition}`;
  return Number((await postgres.query<{ count: string }>(`SELECT count(*) ${from}`)).rows[0]!.count);
};
const becomes = (wanted: number, condition: string): Promise<true> =>
  waitFor(async () => (await count(condition)) === wanted, { what: `${wanted} × ${condition}`, deadlineMs: 60_000 });

interface Operation {
  state: string;
  done: number;
  failed: number;
  total: { value: number };
}
const operation = async (id: string): Promise<Operation | null> => {
  const query = 'query ($id: ID!) { bulkOperation(id: $id) { state done failed total { value } } }';
  return (await client.graphql<{ bulkOperation: Operation | null }>(query, { id })).bulkOperation;
};

/** Starts it, kills the only process that can carry it out before its progress is saved, and lets another one go on. */
async function throughAKill(mutation: string, worker: ServiceProcess, effects: () => number | Promise<number>): Promise<void> {
  onTestFailed(() => console.log(form.tail()));
  const started = await client.graphql<{ started: { operationId: string } }>(mutation);
  const id = started.started.operationId;
  await waitFor(async () => (await operation(id))!.done >= killedAfter, { what: 'some of it', deadlineMs: 20_000 });
  const saved = await withoutSaving(id, worker, async (done) => {
    await waitFor(async () => (await effects()) >= done + unsaved, { what: 'more of it than is saved', deadlineMs: 20_000 });
    await worker.kill();
  });
  expect(await operation(id)).toMatchObject({ state: 'RUNNING', done: saved });
  await worker.start();
  await waitFor(async () => (await operation(id))?.state === 'COMPLETED', { what: 'the rest of it', deadlineMs: 60_000 });
  // `done` may be less: what took effect after the last save, and so is no longer what the filter finds, is not ordered again.
  expect(await operation(id)).toMatchObject({ failed: 0, total: { value: events } });
}

/** Runs `work`, which kills the worker, while the progress of the operation cannot be saved. Resolves with how much was saved before. */
async function withoutSaving(operationId: string, worker: ServiceProcess, work: (done: number) => Promise<void>): Promise<number> {
  await postgres.query('BEGIN');
  const sql = 'SELECT done FROM bulk_operation WHERE id = $1 FOR UPDATE';
  const { done } = (await postgres.query<{ done: number }>(sql, [operationId])).rows[0]!;
  expect(done).toBeLessThan(events);
  await work(done);
  // A save that waits for the row would be carried out although its process is dead.
  const sessions = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1`;
  await waitFor(
    async () => {
      await postgres.query('SELECT pg_stat_clear_snapshot()');
      return (await postgres.query(sessions, [`millrace-${worker.service}`])).rowCount === 0;
    },
    { what: 'the sessions of the dead worker to end' },
  );
  await postgres.query('ROLLBACK');
  return done;
}

/** When the replays of each customer ended, in the order in which its events came. */
async function replaysEnded(): Promise<Map<string, Date[]>> {
  const sql = `SELECT event.customer, run.finished_at FROM run JOIN event ON event.tenant_id = run.tenant_id AND event.id = run.event_id
    WHERE run.generation = 1 ORDER BY event.log_partition, event.log_offset`;
  const { rows } = await postgres.query<{ customer: string; finished_at: Date }>(sql);
  return new Map(
    [...Map.groupBy(rows, ({ customer }) => customer)].map(([customer, own]) => [customer, own.map((row) => row.finished_at)]),
  );
}

test(
  'a bulk redelivery and a bulk replay go on in another process after kill -9, and each has its effect once',
  { timeout: 240_000 },
  async () => {
    sink.respondWith(() => ({ status: 400 }));
    for (let n = 0; n < events; n += customers) {
      await Promise.all(
        Array.from({ length: customers }, (_, at) =>
          client.accepted(stripe(`evt_${n + at}`, { customer: `many-${at}`, description: `Number ${n + at} broke` })),
        ),
      );
    }
    await becomes(events, `delivery.state = 'parked'`);

    sink.respondWith(() => ({ status: 204 }));
    const before = sink.requests.length;
    await throughAKill(
      `mutation { started: bulkRedeliver(input: { filter: { deliveries: { state: PARKED } }, ratePerSecond: ${ratePerSecond}, idempotencyKey: "1" }) { ... on BulkRedeliverSuccess { operationId } } }`,
      form.connectors,
      () => sink.requests.length - before,
    );
    await becomes(events, `delivery.state = 'delivered'`);
    const webhookIds = new Set(sink.requests.slice(before).map(({ headers }) => headers['webhook-id']));
    expect([webhookIds.size, await count('true')]).toEqual([events, events]);

    await throughAKill(
      `mutation { started: bulkReplay(input: { filter: { events: { sources: ["stripe"] } }, ratePerSecond: ${ratePerSecond}, idempotencyKey: "2" }) { ... on BulkReplaySuccess { operationId } } }`,
      form.aiProcessing,
      () => count('run.generation = 1'),
    );
    await becomes(events, `run.generation = 1 AND run.state = 'completed' AND delivery.state = 'delivered'`);
    expect(await count('true')).toBe(2 * events);
    for (const ended of (await replaysEnded()).values()) expect(ended).toEqual(ended.toSorted((a, b) => a.getTime() - b.getTime()));
  },
);
