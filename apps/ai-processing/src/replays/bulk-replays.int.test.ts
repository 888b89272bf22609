import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SecretBox } from '#libs/auth';
import {
  CancelRun,
  ReplayEvent,
  StartBulkOperation,
  bulkOperationId,
  deadLetterId,
  document,
  noCustomer,
  newRunId,
  topics,
} from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import { Configuration, Database, DocumentTable, statement } from '#libs/persistence';
import { start } from '#libs/service';
import type { RunningService } from '#libs/service';
import { freshDatabase, testBrokers, uniqueName, waitFor } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { AiProcessingModule } from '../ai-processing.module.js';

let fresh: FreshDatabase;
let database: Database;
let service: RunningService;
const tenant = uniqueName('t');

/** The service as it runs in production, over a log of its own. */
beforeAll(async () => {
  fresh = await freshDatabase();
  const secretBox = new SecretBox(randomBytes(32));
  service = await start({
    service: 'ai-processing',
    host: '127.0.0.1',
    port: 0,
    log: {
      brokers: testBrokers(),
      prefix: `${uniqueName('bulk')}.`,
      replication: 1,
      ackTimeoutMs: 5_000,
      concurrency: 50,
      sessionTimeoutMs: 15_000,
      handlerDeadlineMs: 60_000,
    },
    storage: { url: fresh.url, poolSize: 10, secretBox },
    modules: [
      AiProcessingModule.register({
        modelBaseUrl: 'http://127.0.0.1:9/v1',
        modelApiKey: 'k',
        modelApi: 'chat',
        modelRequestsPerMinute: undefined,
        modelTokensPerMinute: undefined,
        redisUrl: undefined,
        redisCaFile: undefined,
        runRetries: 100,
        runLeaseMs: 15_000,
        retentionDays: 30,
        requestRetentionDays: 7,
        handlerConcurrency: 200,
        allowPrivateAddresses: false,
        allowedUrls: [],
      }),
    ],
  });
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  const documents = new DocumentTable(secretBox);
  for (const name of ['triage', 'bill', 'ask', 'stuck']) {
    const flow = document.parse({
      apiVersion: 'millrace/v1',
      kind: 'Flow',
      metadata: { tenant, name },
      spec: {
        on: { types: [name === 'triage' ? '*' : 'invoice.*'] },
        steps:
          name === 'ask'
            ? [{ id: 'say', review: { proposal: 'event.id', expiresAfter: 'P1D' } }]
            : name === 'stuck'
              ? [{ id: 'say', infer: { model: 'away', instructions: 'Say it.', output: { type: 'string' } } }]
              : [{ id: 'say', map: { expression: 'event.id' } }],
        decision: 'steps.say',
      },
    });
    await documents.save(database, { document: flow, actor: 'test' });
  }
  await waitFor(() => service.app.get(Configuration).flows(tenant).length === 4, { what: 'the flows to be current' });
});
afterAll(async () => {
  await service.stop();
  await database.close();
  await fresh.close();
});

const operationRow = statement('test.bulk.operation', 'SELECT state, total, done FROM bulk_operation WHERE tenant_id = $1 AND id = $2');
const insertEvents = statement(
  'test.bulkReplays.events',
  `INSERT INTO event (tenant_id, id, source, customer, type, lane, occurred_at, received_at, content_type, body, log_topic, log_partition, log_offset)
   SELECT $1, 'evt_' || md5($2 || n::text), 's', $2 || n % 20, 'ticket.opened', 'normal', now(), now() - interval '1 hour' + n * interval '1 ms',
     'application/json', '{}', 'events.normal', 0, n FROM generate_series(1, $3::integer) AS n`,
);
const runs = statement(
  'test.bulk.runs',
  `SELECT event.customer, event.id AS event, run.flow, run.generation, run.state FROM run JOIN event ON event.tenant_id = run.tenant_id AND event.id = run.event_id
   WHERE run.tenant_id = $1 AND event.customer LIKE $2 || '%' AND generation > 0 ORDER BY run.finished_at, run.started_at`,
);
const eventsInOrder = statement(
  'test.bulk.eventsInOrder',
  `SELECT customer, id AS event FROM event WHERE tenant_id = $1 AND customer LIKE $2 || '%' ORDER BY log_offset`,
);

/** The 25th event of them is an invoice, the others are not. */
const nameTypes = statement(
  'test.bulkReplays.types',
  `UPDATE event SET type = CASE log_offset WHEN 25 THEN 'invoice.sent' ELSE 'invoice' END WHERE tenant_id = $1 AND customer LIKE $2 || '%'`,
);

async function operate(commandId: string, more: Partial<StartBulkOperation>): Promise<{ state: string; done: number }> {
  const command: StartBulkOperation = {
    tenant,
    customer: noCustomer,
    commandId,
    actor: 'key:1',
    at: new Date().toISOString(),
    kind: 'replay',
    selection: 'events',
    filter: {},
    flow: null,
    ratePerSecond: 1_000,
    ...more,
  };
  const producer = service.app.get(RecordProducer);
  await producer.append(topics.commands, StartBulkOperation, command);
  await producer.append(topics.commands, StartBulkOperation, command);
  return waitFor(
    async () => {
      const [row] = await database.query<{ state: string; done: number }>(operationRow, [tenant, bulkOperationId(tenant, commandId)]);
      return row !== undefined && row.state !== 'running' && row;
    },
    { what: 'the operation to be over', deadlineMs: 50_000 },
  );
}

interface Ran {
  customer: string;
  event: string;
  flow: string;
  generation: number;
  state: string;
}
const replayed = (customers: string, count: number): Promise<Ran[]> =>
  waitFor(
    async () => {
      const found = await database.query<Ran>(runs, [tenant, customers]);
      return found.length >= count && found.every(({ state }) => state !== 'running') && found;
    },
    { what: `${count} replays`, deadlineMs: 50_000 },
  );

test('500 events are replayed once each, every customer’s in the order in which they came', async () => {
  await database.query(insertEvents, [tenant, 'many-', 500]);
  expect(await operate('cmd_many', { flow: 'triage' })).toMatchObject({ state: 'completed', done: 500 });
  const done = await replayed('many-', 500);
  expect(done).toHaveLength(500);
  expect(new Set(done.map(({ flow, generation }) => `${flow}/${generation}`))).toEqual(new Set(['triage/1']));
  const expected = await database.query<{ customer: string; event: string }>(eventsInOrder, [tenant, 'many-']);
  const byCustomer = (rows: readonly { customer: string; event: string }[]) =>
    Object.fromEntries(
      [...Map.groupBy(rows, ({ customer }) => customer)].map(([customer, own]) => [customer, own.map(({ event }) => event)]),
    );
  expect(byCustomer(done)).toEqual(byCustomer(expected));
});

test('of all events, a flow is replayed on those that it takes or has run on before, and on no other', async () => {
  await database.query(insertEvents, [tenant, 'taken-', 40]);
  const events = await database.query<{ customer: string; event: string }>(eventsInOrder, [tenant, 'taken-']);
  await database.query(nameTypes, [tenant, 'taken-']);
  await database.query(insertFailedRun, [tenant, newRunId(), events[4]!.event, events[4]!.customer, 'bill']);
  const filter = { customer: 'taken-5', runnableBy: 'bill', takes: { types: ['invoice.*'] } };
  expect(await operate('cmd_taken', { flow: 'bill', filter })).toMatchObject({ state: 'completed', done: 2 });
  const ran = await replayed('taken-5', 2);
  expect(ran.map(({ event }) => event).toSorted()).toEqual([events[4]!.event, events[24]!.event].toSorted());
  expect(await operate('cmd_others', { flow: 'bill', filter: { customer: 'taken-6', runnableBy: 'bill' } })).toMatchObject({ done: 2 }); // as builds until 2026-11-30 order it
  expect(await operate('cmd_again', { flow: 'triage', filter: { customer: 'taken-6' } })).toMatchObject({ done: 2 });
  expect((await replayed('taken-6', 2)).map(({ flow }) => flow)).toEqual(['triage', 'triage']);
});

const insertFailedRun = statement(
  'test.bulk.failedRun',
  `INSERT INTO run (tenant_id, id, event_id, customer, flow, flow_version, generation, state, error_code, finished_at)
   VALUES ($1, $2, $3, $4, $5, 1, 0, 'failed', 'model.refused', now())`,
);
const insertDeadLetter = statement(
  'test.bulk.deadLetter',
  `INSERT INTO dead_letter (tenant_id, id, kind, customer, code, message, event_id, run_id) VALUES ($1, $2, 'run', $3, 'model.refused', '', $4, $5)`,
);
async function giveUp({ customer, event }: { customer: string; event: string }, flow = 'bill'): Promise<void> {
  const run = newRunId();
  await database.query(insertFailedRun, [tenant, run, event, customer, flow]);
  await database.query(insertDeadLetter, [tenant, deadLetterId(tenant, 'run', run), customer, event, run]);
}
const open = statement('test.bulk.open', 'SELECT count(*) AS count FROM dead_letter WHERE tenant_id = $1 AND resolved_at IS NULL');

test('what was given up is replayed with the flow that was given up, and no other, and its dead letters are resolved', async () => {
  await database.query(insertEvents, [tenant, 'few-', 5]);
  for (const one of await database.query<{ customer: string; event: string }>(eventsInOrder, [tenant, 'few-'])) await giveUp(one);
  expect(await operate('cmd_few', { selection: 'deadLetters' })).toMatchObject({ state: 'completed', done: 5 });
  const done = await replayed('few-', 5);
  expect(done.map(({ flow, generation, state }) => ({ flow, generation, state }))).toEqual(
    Array.from({ length: 5 }, () => ({ flow: 'bill', generation: 1, state: 'completed' })),
  );
  await waitFor(async () => (await database.query<{ count: number }>(open, [tenant]))[0]!.count === 0, {
    what: 'the dead letters to be resolved',
  });
});

describe('two bulk retries', () => {
  const once = (count: number, flow: string, state: string) =>
    Array.from({ length: count }, () => expect.objectContaining({ flow, generation: 1, state }) as Ran);
  const givenUp = async (customers: string, flow: string): Promise<void> => {
    await database.query(insertEvents, [tenant, customers, 10]);
    for (const one of await database.query<{ customer: string; event: string }>(eventsInOrder, [tenant, customers]))
      await giveUp(one, flow);
  };
  /** The replays once the commands that are on the log have been handled: a last one of each event stands behind them. */
  const allHandled = async (customers: string): Promise<Ran[]> => {
    for (const { customer, event: eventId } of await database.query<{ customer: string; event: string }>(eventsInOrder, [
      tenant,
      customers,
    ])) {
      const last = { tenant, customer, commandId: `cmd_${eventId}`, actor: 'key:1', at: new Date().toISOString(), eventId, flow: 'triage' };
      await service.app.get(RecordProducer).append(topics.commands, ReplayEvent, last);
    }
    return replayed(customers, 20);
  };

  test('at the same time retry each dead letter once', async () => {
    await givenUp('both-', 'bill');
    await Promise.all(['cmd_one', 'cmd_other'].map((id) => operate(id, { selection: 'deadLetters', filter: { flow: 'bill' } })));
    const done = (await allHandled('both-')).filter(({ flow }) => flow === 'bill');
    expect(done).toEqual(once(10, 'bill', 'completed'));
  });

  test('one while the runs of the other wait leaves them alone', async () => {
    await givenUp('asked-', 'ask');
    const letters = { selection: 'deadLetters', filter: { flow: 'ask' } } as const;
    expect(await operate('cmd_ask', letters)).toMatchObject({ total: 10, done: 10 });
    await waitFor(
      async () => (await database.query<Ran>(runs, [tenant, 'asked-'])).filter(({ state }) => state === 'waiting').length === 10,
      {
        what: 'the retries to wait',
      },
    );
    expect(await operate('cmd_ask_again', letters)).toMatchObject({ total: 0, done: 0 });
    expect(await database.query<Ran>(runs, [tenant, 'asked-'])).toEqual(once(10, 'ask', 'waiting'));
  });
});

const stuckRun = statement('test.bulk.stuck', `SELECT id, state, error_code AS code FROM run WHERE tenant_id = $1 AND flow = 'stuck'`);
interface StuckRun {
  id: string;
  state: string;
  code: string | null;
}

test('a replay that is tried again and again is cancelled, though the records of its customer come one after the other', async () => {
  await database.query(insertEvents, [tenant, 'stuck-', 1]);
  const [{ customer, event }] = (await database.query<{ customer: string; event: string }>(eventsInOrder, [tenant, 'stuck-'])) as [
    { customer: string; event: string },
  ];
  const producer = service.app.get(RecordProducer);
  const command = { tenant, customer, actor: 'key:1', at: new Date().toISOString(), eventId: event };
  await producer.append(topics.commands, ReplayEvent, { ...command, commandId: 'cmd_stuck', flow: 'stuck' });
  const found = async (is: (run: StuckRun) => boolean): Promise<StuckRun | undefined> =>
    (await database.query<StuckRun>(stuckRun, [tenant])).find(is);
  const { id } = await waitFor(() => found(({ state }) => state === 'running'), { what: 'the run' });
  await producer.append(topics.commands, CancelRun, { ...command, commandId: 'cmd_cancel', runId: id, reason: null });
  const run = await waitFor(() => found(({ state }) => state === 'failed'), { what: 'the end of the run', deadlineMs: 30_000 });
  expect(run.code).toBe('run.cancelled');
});
