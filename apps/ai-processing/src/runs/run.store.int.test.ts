import { afterAll, beforeAll, expect, test } from 'vitest';
import { newRunId } from '#libs/contracts';
import type { NewDelivery } from '#libs/deliveries';
import type { CallRecord } from '#libs/flows';
import type { Json } from '#libs/json';
import { Database, statement } from '#libs/persistence';
import { atTheSameMoment, freshDatabase, uniqueName } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { RunProgressStore } from './run.progress.store.js';
import type { RunEnd, RunProgress } from './run.progress.store.js';
import { RunStore } from './run.store.js';
import type { PlannedRun, RunStart, RunningRun } from './run.store.js';
import { StepResultStore } from './step-result.store.js';

let fresh: FreshDatabase;
let database: Database;
let runs: RunStore;
let progress: RunProgressStore;

beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  runs = new RunStore(database);
  progress = new RunProgressStore(database);
});
afterAll(async () => {
  await database.close();
  await fresh.close();
});

const planned = (more: Partial<PlannedRun> = {}): PlannedRun => {
  const tenant = more.tenant ?? uniqueName('t');
  return {
    tenant,
    id: newRunId(),
    eventId: 'evt_1',
    customer: 'c',
    flow: 'triage',
    flowVersion: 3,
    generation: 0,
    commandId: null,
    ...more,
  };
};
const longMs = 60_000;
const goneMs = -1;

const write = async (run: RunningRun, more: Partial<RunProgress> = {}) =>
  (await progress.write([{ run, steps: [], calls: [], unanswered: 0, ...more }], longMs))[0];
const end = (run: RunningRun, how: RunEnd) => write(run, { end: how });
const completed = (decision: Json, deliveries: NewDelivery[] = []): RunEnd => ({ state: 'completed', decision, deliveries });
const failed: RunEnd = { state: 'failed', code: 'model.refused', message: 'late' };
const renewed = async (run: RunningRun) => (await runs.renew([run], longMs))[0];
const at = new Date();
const step = { step: 'assess', kind: 'infer', state: 'succeeded', output: 'first', ordinal: 0, startedAt: at, finishedAt: at } as const;
const start = (run: PlannedRun, more: Partial<RunStart> = {}): RunStart => ({
  tenant: run.tenant,
  eventId: run.eventId,
  planned: [run],
  traceId: null,
  ...more,
});

test('a run is claimed by one only, for as long as the claim holds', async () => {
  const run = planned();
  const claims = await Promise.all(Array.from({ length: 8 }, () => runs.claim([planned({ tenant: run.tenant })], null, longMs)));
  expect(claims.flat()).toHaveLength(1);
  const [held] = await runs.stored([run]);
  expect(held).toMatchObject({ state: 'running', fence: 1, id: claims.flat()[0]!.id });
  expect((held as { leaseLeftMs: number }).leaseLeftMs).toBeGreaterThan(longMs / 2);
});

test('a claim that ran out goes to the next, who keeps the flow’s version and whose fence shuts the first one out', async () => {
  const run = planned();
  const [first] = await runs.claim([run], null, goneMs);
  const [second] = await runs.claim([planned({ tenant: run.tenant, flowVersion: 4 })], null, longMs);
  expect(second).toMatchObject({ fence: 2, flowVersion: 3, id: run.id });
  expect(await renewed(first!)).toBe(false);
  expect(await end(first!, completed('late'))).toBeUndefined();
  expect(await end(first!, failed)).toBeUndefined();
  expect(await end(second!, completed({ queue: 'billing' }))).toMatchObject({ state: 'completed', decision: { queue: 'billing' } });
});

test('a claim that ends later than any may was made before the clock of Postgres stepped back, and is free', async () => {
  const [atMost, beyond] = [planned(), planned()];
  for (const [run, leaseMs] of [
    [atMost, 300_000],
    [beyond, 7_200_000],
  ] as const) {
    await runs.claim([run], null, leaseMs);
    await runs.start([start(run)], leaseMs);
  }
  expect(await runs.claim([atMost], null, longMs)).toEqual([]);
  expect(await runs.claim([beyond], null, longMs)).toMatchObject([{ fence: 3 }]);
});

test('a finished run is never claimed again, and its decision stays', async () => {
  const run = planned();
  const [held] = await runs.claim([run], null, longMs);
  await end(held!, completed({ z: 1, a: '\u0000' }));
  expect(await runs.claim([run], null, longMs)).toEqual([]);
  expect(await runs.stored([run])).toMatchObject([{ state: 'completed', decision: { z: 1, a: '\u0000' }, deliveries: [] }]);
});

const delivery = (run: RunningRun, more: Partial<NewDelivery> = {}): NewDelivery => ({
  ...run,
  id: `dlv_${run.id}_${more.step ?? 'tell'}`,
  runId: run.id,
  step: 'tell',
  destination: 'crm',
  payload: '{"z":1,"a":"\\u0000"}',
  strict: false,
  object: null,
  atLeastOnce: false,
  traceparent: undefined,
  eventReceivedAt: '2026-11-21T10:00:00.000Z',
  ...more,
});
const deliveries = statement(
  'test.store.deliveries',
  `SELECT step, payload::text, state, next_attempt_at IS NOT NULL AS "hasTurn" FROM delivery WHERE tenant_id = $1 ORDER BY position`,
);

test('a run that completes has its deliveries from that moment, each at the end of its queue, and one whose claim is lost has none', async () => {
  const run = planned();
  const [lost] = await runs.claim([run], null, goneMs);
  const [held] = await runs.claim([run], null, longMs);
  expect(await end(lost!, completed('late', [delivery(lost!)]))).toBeUndefined();
  expect(await database.query(deliveries, [run.tenant])).toEqual([]);
  await end(held!, completed(null, [delivery(held!), delivery(held!, { step: 'tell-too', strict: true })]));
  expect(await database.query(deliveries, [run.tenant])).toEqual([
    { step: 'tell', payload: '{"z":1,"a":"\\u0000"}', state: 'pending', hasTurn: true },
    { step: 'tell-too', payload: '{"z":1,"a":"\\u0000"}', state: 'pending', hasTurn: false },
  ]);
});

test('a run that cannot have its deliveries does not complete', async () => {
  const run = planned();
  const [held] = await runs.claim([run], null, longMs);
  await expect(end(held!, completed(null, [delivery(held!, { payload: 'no JSON' })]))).rejects.toThrow(
    'invalid input syntax for type json',
  );
  expect(await runs.stored([run])).toMatchObject([{ state: 'running' }]);
});

test('a claim that is given back can be taken at once, and only what counts uses up the budget', async () => {
  const run = planned();
  const [first] = await runs.claim([run], null, longMs);
  await end(first!, { state: 'released', failure: 'does-not-count' });
  const [second] = await runs.claim([run], null, longMs);
  expect(second!.failures).toBe(0);
  await end(second!, { state: 'released', failure: 'counts' });
  expect((await runs.claim([run], null, longMs))[0]!.failures).toBe(1);
});

test('a renewal that comes after the claim was given back takes nothing', async () => {
  const run = planned();
  const [first] = await runs.claim([run], null, longMs);
  await end(first!, { state: 'released', failure: 'does-not-count' });
  expect(await renewed(first!)).toBe(false);
  expect(await runs.claim([run], null, longMs)).toHaveLength(1);
});

test('a generation that one command made is not another command’s', async () => {
  const run = planned({ generation: 1, commandId: 'cmd_1' });
  await runs.claim([run], null, goneMs);
  expect(await runs.claim([planned({ ...run, id: newRunId(), commandId: 'cmd_2' })], null, longMs)).toEqual([]);
  expect(await runs.ofCommand(run.tenant, 'cmd_1', run.eventId)).toHaveLength(1);
  expect(await runs.ofCommand(run.tenant, 'cmd_2', run.eventId)).toEqual([]);
  expect(await runs.lastGenerations(run.tenant, run.eventId)).toEqual(new Map([['triage', 1]]));
});

test('what events of several records ask for at once goes to the first; another finds its runs at work', async () => {
  const run = planned();
  const other = planned({ tenant: run.tenant, eventId: 'evt_2' });
  const [first, repeat, second] = await runs.start([start(run), start(planned({ tenant: run.tenant })), start(other)], longMs);
  expect(first).toMatchObject({ claimed: [{ id: run.id, fence: 1 }], others: [] });
  expect(repeat).toMatchObject({ claimed: [], others: [{ id: run.id, state: 'running' }] });
  expect(second).toMatchObject({ claimed: [{ id: other.id }], others: [] });
});

test('of processes that start the runs of the same events at the same moment one has each of them, and none waits for another for ever', async () => {
  const { tenant } = planned();
  const events = Array.from({ length: 200 }, (_, n) => ['a', 'b'].map((flow) => ({ tenant, eventId: `evt_${n}`, flow })));
  const processes = Array.from({ length: 8 }, (_, n) => {
    const starts = events.map((flows) => start(planned(flows[0]), { planned: flows.map((more) => planned(more)) }));
    return n % 2 === 0 ? starts : starts.toReversed();
  });
  const started = await atTheSameMoment(fresh.ownerUrl, 'run', processes.length, () =>
    Promise.all(processes.map((starts) => runs.start(starts, longMs))),
  );
  const claimed = started.flat().flatMap((one) => one.claimed);
  const stored = await runs.stored(events.flat().map((more) => planned(more)));
  expect(stored).toHaveLength(400);
  expect(claimed.map(({ id }) => id).toSorted()).toEqual(stored.map(({ id }) => id).toSorted());
  expect(claimed.every(({ fence }) => fence === 1)).toBe(true);
});

test('a run that was stored with an id without a time is claimed, written and found like any other', async () => {
  const run = planned({ id: 'run_5ezrsw5m37a1eeftfwg5f0eq2rt0hb76' });
  await runs.claim([run], null, goneMs);
  const [again] = await runs.start([start(planned({ tenant: run.tenant }))], longMs);
  expect(again).toMatchObject({ claimed: [{ id: run.id, fence: 2 }], others: [] });
  expect(await end(again!.claimed[0]!, completed('done'))).toMatchObject({ id: run.id, state: 'completed' });
  expect(await runs.stored([planned({ tenant: run.tenant })])).toMatchObject([{ id: run.id, decision: 'done' }]);
});

test('an event keeps the flows it started with, and a claim that ran out is taken with the version it had', async () => {
  const run = planned();
  const late = planned({ tenant: run.tenant, flow: 'late' });
  await runs.start([start(run)], goneMs);
  const [again] = await runs.start([start(run, { planned: [planned({ tenant: run.tenant, flowVersion: 9 }), late] })], longMs);
  expect(again).toMatchObject({ claimed: [{ id: run.id, fence: 2, flowVersion: 3 }], others: [] });
  await end(again!.claimed[0]!, completed('done'));
  const [finished] = await runs.start([start(run, { planned: [] })], longMs);
  expect(finished).toMatchObject({ claimed: [], others: [{ id: run.id, state: 'completed', decision: 'done' }] });
});

test('many runs are written at once: who lost its claim changes nothing, and its neighbours are not touched by that', async () => {
  const lost = planned();
  const fine = planned();
  const [zombie] = await runs.claim([lost], null, goneMs);
  await runs.claim([lost], null, longMs);
  const [holder] = await runs.claim([fine], null, longMs);
  const of = (run: RunningRun): RunProgress => ({ run, steps: [step], calls: [], unanswered: 0, end: completed('done') });
  expect(await progress.write([of(zombie!), of(holder!)], longMs)).toMatchObject([undefined, { state: 'completed', decision: 'done' }]);
  const results = new StepResultStore(database);
  expect((await results.ofRun(zombie!)).steps).toEqual(new Map());
  expect((await results.ofRun(holder!)).steps).toEqual(
    new Map([['assess', { state: 'succeeded', output: 'first', failure: null, characters: 7 }]]),
  );
});

test('a second output of a step is refused, and the first one stands', async () => {
  const [run] = await runs.claim([planned()], null, longMs);
  await write(run!, { steps: [step] });
  await expect(write(run!, { steps: [{ ...step, output: 'second' }], end: completed('second') })).rejects.toThrow('step_result_pkey');
  expect((await new StepResultStore(database).ofRun(run!)).steps).toEqual(
    new Map([['assess', { state: 'succeeded', output: 'first', failure: null, characters: 7 }]]),
  );
  expect(await runs.stored([run!])).toMatchObject([{ state: 'running' }]);
});

test('a call whose result was not stored before the claim was lost is counted once', async () => {
  const run = planned();
  const [first] = await runs.claim([run], null, goneMs);
  await progress.write([{ run: first!, steps: [], calls: [], unanswered: 2 }], goneMs);
  const [second] = await runs.claim([run], null, goneMs);
  expect(second!.lostAnswers).toBe(2);
  const [third] = await runs.claim([run], null, longMs);
  expect(third!.lostAnswers).toBe(0);
});

test('a request to a model is stored even by a process that lost its claim, because it was paid for', async () => {
  const run = planned();
  const [first] = await runs.claim([run], null, goneMs);
  await runs.claim([run], null, longMs);
  const none = {
    errorCode: null,
    errorMessage: null,
    budget: null,
    responseModel: null,
    providerRequestId: null,
    inputTokens: null,
    outputTokens: null,
    costNanos: null,
    currency: null,
  };
  const request: CallRecord = {
    kind: 'model',
    number: 1,
    provider: null,
    model: 'm',
    startedAt: at,
    finishedAt: at,
    outcome: 'succeeded',
    ...none,
  };
  expect(await write(first!, { calls: [{ step: 'assess', request }] })).toBeUndefined();
  const calls = statement('test.calls', 'SELECT step, fence, outcome FROM model_attempt WHERE tenant_id = $1');
  expect(await database.query(calls, [run.tenant])).toEqual([{ step: 'assess', fence: 1, outcome: 'succeeded' }]);
});
