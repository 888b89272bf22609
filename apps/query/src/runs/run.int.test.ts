import { afterAll, beforeAll, expect, test } from 'vitest';
import { Database, statement } from '#libs/persistence';
import { uniqueName } from '#libs/testing';
import { QueryServer } from '../../../../test/query/query-server.js';

let server: QueryServer;
let database: Database;
beforeAll(async () => {
  server = await QueryServer.start();
  database = await Database.connect({ url: server.databaseUrl, role: 'millrace_service', applicationName: 'test' });
});
afterAll(async () => {
  await database.close();
  await server.stop();
});

const insertWait = statement(
  'test.insertWait',
  `INSERT INTO run_wait (tenant_id, run_id, step, event_id, customer, due_at, began_at, state, reason, over_at, types)
   VALUES ($1, $2, $3, 'evt_1', 'c-1', $4::timestamptz, $4::timestamptz - interval '1 hour', $5::text, CASE WHEN $5 <> 'pending' THEN 'elapsed' END,
     CASE WHEN $5 <> 'pending' THEN $4::timestamptz END,
     CASE WHEN $5 = 'pending' THEN '["paid"]'::json END)`,
);
const cancelRun = statement('test.run.cancel', `UPDATE run SET error_code = 'run.cancelled' WHERE tenant_id = $1 AND id = $2`);
const endRun = statement('test.run.waits', `UPDATE run SET finished_at = NULL WHERE tenant_id = $1`);

const failCall = statement(
  'test.run.failCall',
  `UPDATE model_attempt SET outcome = 'failed', error_code = 'model.credential', error_message = $2 WHERE tenant_id = $1`,
);
const passOver = statement(
  'test.run.passOver',
  `INSERT INTO model_attempt (tenant_id, run_id, step, number, fence, event_id, model, outcome, error_code, error_message, budget, provider, started_at, finished_at)
   SELECT tenant_id, run_id, step, 0, fence, event_id, 'large', 'passedOver', 'model.notFree', 'The budget month is spent: 50 EUR until 2027-01-01T00:00:00.000Z',
     'month', 'dear', started_at, started_at FROM model_attempt WHERE tenant_id = $1`,
);
const withoutPrice = statement('test.run.free', `UPDATE model_attempt SET cost_nanos = NULL, currency = NULL WHERE tenant_id = $1`);

const query = `{ runs(filter: { state: WAITING }) { nodes { id state waits { step forEvent dueAt endedAt reason } event { state } } } }`;

test('an event whose run was cancelled is no more in the hands of an operator; one whose run failed is', async () => {
  const tenant = uniqueName('tenant');
  for (const id of ['1', '2']) {
    await server.rows.event({ tenant, id: `evt_${id}` });
    await server.rows.run({ tenant, id: `run_${id}`, event: `evt_${id}`, state: 'failed' });
  }
  await database.query(cancelRun, [tenant, 'run_1']);
  const states = await server.data(
    await server.key(tenant, 'read'),
    '{ one: event(id: "evt_1") { state } two: event(id: "evt_2") { state } }',
  );
  expect(states).toEqual({ one: { state: 'COMPLETED' }, two: { state: 'PARKED' } });
});

test('a run that waits says where, until when, and which of its waits are over; another tenant sees none of it', async () => {
  const tenant = uniqueName('tenant');
  const dueAt = new Date('2026-06-01T12:00:00Z');
  await server.rows.event({ tenant, id: 'evt_1' });
  await server.rows.run({ tenant, id: 'run_1', event: 'evt_1', state: 'waiting' });
  await database.query(endRun, [tenant]);
  await database.query(insertWait, [tenant, 'run_1', 'first', dueAt, 'taken']);
  await database.query(insertWait, [tenant, 'run_1', 'second', dueAt, 'pending']);
  const at = dueAt.toISOString();
  expect(await server.data(await server.key(tenant, 'read'), query)).toEqual({
    runs: {
      nodes: [
        {
          id: 'run_1',
          state: 'WAITING',
          waits: [
            { step: 'first', forEvent: false, dueAt: at, endedAt: at, reason: 'ELAPSED' },
            { step: 'second', forEvent: true, dueAt: at, endedAt: null, reason: null },
          ],
          event: { state: 'RUNNING' },
        },
      ],
    },
  });
  expect(await server.data(await server.key(uniqueName('other'), 'read'), query)).toEqual({ runs: { nodes: [] } });
});

test('a run that cannot go on says what it waits for, also in the timeline, and only that it had to wait once it went on; another tenant sees none', async () => {
  const tenant = uniqueName('tenant');
  await server.rows.event({ tenant, id: 'evt_1' });
  const endsAt = new Date('2027-01-01T00:00:00Z');
  const startedAt = new Date('2026-12-01T00:00:00Z');
  const runs = [
    { id: 'run_1', state: 'running' },
    { id: 'run_2', state: 'running', generation: 1 },
    { id: 'run_3', state: 'completed', generation: 2 },
  ];
  for (const run of runs) await server.rows.run({ tenant, event: 'evt_1', startedAt, ...run });
  await server.rows.runDelay({ tenant, run: 'run_1', event: 'evt_1', budget: 'month', endsAt });
  await server.rows.runDelay({ tenant, run: 'run_2', event: 'evt_1', budget: 'month', endsAt, isOver: true });
  await server.rows.runDelay({ tenant, run: 'run_3', event: 'evt_1', budget: 'month', endsAt });
  const asked = `{ runs { nodes { id waitingFor { step code message budget since until } } } event(id: "evt_1") { timeline { kind title code runId step } } }`;
  const answer = await server.data<{ runs: { nodes: { id: string }[] }; event: { timeline: { kind: string }[] } }>(
    await server.key(tenant, 'read'),
    asked,
  );
  expect(answer.runs.nodes.toSorted((a, b) => (a.id < b.id ? -1 : 1))).toEqual([
    {
      id: 'run_1',
      waitingFor: {
        step: 'assess',
        code: 'model.budgetSpent',
        message: 'The budget month is spent',
        budget: 'month',
        since: '2026-12-01T00:00:01.000Z',
        until: endsAt.toISOString(),
      },
    },
    { id: 'run_2', waitingFor: null },
    { id: 'run_3', waitingFor: null },
  ]);
  const title = 'Flow triage has to wait at assess: The budget month is spent';
  expect(answer.event.timeline.filter(({ kind }) => kind === 'RUN_DELAYED')).toEqual(
    runs.map(({ id }) => ({ kind: 'RUN_DELAYED', title, code: 'model.budgetSpent', runId: id, step: 'assess' })),
  );
  expect(await server.data(await server.key(uniqueName('other'), 'read'), asked)).toEqual({ runs: { nodes: [] }, event: null });
});

test('a run says which models its routes passed over, for which budget, and why; its timeline does, too', async () => {
  const tenant = uniqueName('tenant');
  await server.rows.event({ tenant, id: 'evt_1' });
  await server.rows.run({ tenant, id: 'run_1', event: 'evt_1' });
  await database.query(passOver, [tenant]);
  const told = `{ run(id: "run_1") { costs { amount } modelAttempts { number provider model outcome errorCode errorMessage budget cost { amount } }
    event { timeline { kind title code step attempt } } } }`;
  type Told = { run: { modelAttempts: object[]; event: { timeline: { kind: string }[] } } };
  const { run } = await server.data<Told>(await server.key(tenant, 'read'), told);
  const message = 'The budget month is spent: 50 EUR until 2027-01-01T00:00:00.000Z';
  const spent = { errorCode: 'model.notFree', errorMessage: message, budget: 'month' };
  expect(run.modelAttempts).toEqual([
    { number: 0, provider: 'dear', model: 'large', outcome: 'passedOver', ...spent, cost: null },
    expect.objectContaining({ number: 1, outcome: 'succeeded', budget: null }),
  ]);
  expect(run).toMatchObject({ costs: [{ amount: '1.25' }] });
  expect(run.event.timeline.filter(({ kind }) => kind.startsWith('MODEL_'))).toEqual([
    {
      kind: 'MODEL_PASSED_OVER',
      title: `Model large of dear was passed over for assess: ${message}`,
      code: 'model.notFree',
      step: 'assess',
      attempt: null,
    },
    expect.objectContaining({ kind: 'MODEL_ATTEMPT', code: null, attempt: 1 }),
  ]);
});

test('a run says which provider its calls of models asked and what they cost, also in sum', async () => {
  const tenant = uniqueName('tenant');
  await server.rows.event({ tenant, id: 'evt_1' });
  await server.rows.run({ tenant, id: 'run_1', event: 'evt_1', steps: ['first', 'second'] });
  const costs = '{ run(id: "run_1") { costs { amount currency } modelAttempts { provider cost { amount currency } } } }';
  const attempt = { provider: 'mine', cost: { amount: '1.25', currency: 'EUR' } };
  expect(await server.data(await server.key(tenant, 'read'), costs)).toEqual({
    run: { costs: [{ amount: '2.5', currency: 'EUR' }], modelAttempts: [attempt, attempt] },
  });
  await database.query(withoutPrice, [tenant]);
  expect(await server.data(await server.key(tenant, 'read'), costs)).toMatchObject({
    run: { costs: [], modelAttempts: [{ cost: null }, { cost: null }] },
  });
});

test('the timeline says why a call of a model failed, also while its run waits for it', async () => {
  const tenant = uniqueName('tenant');
  await server.rows.event({ tenant, id: 'evt_1' });
  await server.rows.run({ tenant, id: 'run_1', event: 'evt_1', state: 'running' });
  await database.query(failCall, [tenant, 'The key is refused at POST https://models.example/v1']);
  const { event } = await server.data<{ event: { timeline: { title: string; code: string | null }[] } }>(
    await server.key(tenant, 'read'),
    '{ event(id: "evt_1") { timeline { title code } } }',
  );
  expect(event.timeline).toContainEqual({
    title: 'Model local/rules-1 of mine failed for assess, attempt 1: The key is refused at POST https://models.example/v1',
    code: 'model.credential',
  });
});
