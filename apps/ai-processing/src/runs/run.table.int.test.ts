import { afterAll, beforeAll, expect, test } from 'vitest';
import { runId } from '#libs/contracts';
import type { ModelAttempt } from '#libs/models';
import { Database } from '#libs/persistence';
import { freshDatabase, uniqueName } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { ModelAttemptTable } from './model-attempt.table.js';
import { RunTable } from './run.table.js';
import type { PlannedRun } from './run.table.js';
import { StepResultTable } from './step-result.table.js';

let fresh: FreshDatabase;
let database: Database;
let runs: RunTable;

beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  runs = new RunTable(database);
});
afterAll(async () => {
  await database.close();
  await fresh.close();
});

const planned = (more: Partial<PlannedRun> = {}): PlannedRun => {
  const tenant = more.tenant ?? uniqueName('t');
  const run = { tenant, eventId: 'evt_1', customer: 'c', flow: 'triage', flowVersion: 3, generation: 0, commandId: null, ...more };
  return { ...run, id: runId(run.tenant, run.eventId, run.flow, run.generation) };
};
const longMs = 60_000;
const goneMs = -1;

test('a run is claimed by one only, for as long as the claim holds', async () => {
  const run = planned();
  const claims = await Promise.all(Array.from({ length: 8 }, () => runs.claim([run], null, longMs)));
  expect(claims.flat()).toHaveLength(1);
  const [held] = await runs.byIds(run.tenant, [run.id]);
  expect(held).toMatchObject({ state: 'running', fence: 1 });
  expect((held as { leaseLeftMs: number }).leaseLeftMs).toBeGreaterThan(longMs / 2);
});

test('a claim that ran out goes to the next, who keeps the flow’s version and whose fence shuts the first one out', async () => {
  const run = planned();
  const [first] = await runs.claim([run], null, goneMs);
  const [second] = await runs.claim([{ ...run, flowVersion: 4 }], null, longMs);
  expect(second).toMatchObject({ fence: 2, flowVersion: 3 });
  expect(await runs.renew(first!, longMs)).toBe(false);
  expect(await runs.complete(first!, 'late', [])).toBeUndefined();
  expect(await runs.fail(first!, 'model.refused', 'late')).toBeUndefined();
  expect(await runs.complete(second!, { queue: 'billing' }, [])).toMatchObject({ state: 'completed', decision: { queue: 'billing' } });
});

test('a finished run is never claimed again, and its decision stays', async () => {
  const run = planned();
  const [held] = await runs.claim([run], null, longMs);
  await runs.complete(held!, null, [{ step: 'tell', destination: 'crm', payload: { z: 1, a: '\u0000' } }]);
  expect(await runs.claim([run], null, longMs)).toEqual([]);
  expect(await runs.byIds(run.tenant, [run.id])).toMatchObject([
    { state: 'completed', decision: null, deliveries: [{ step: 'tell', destination: 'crm', payload: { z: 1, a: '\u0000' } }] },
  ]);
});

test('a claim that is given back can be taken at once, and only what counts uses up the budget', async () => {
  const run = planned();
  const [first] = await runs.claim([run], null, longMs);
  await runs.release(first!, 'does-not-count');
  const [second] = await runs.claim([run], null, longMs);
  expect(second!.failures).toBe(0);
  await runs.release(second!, 'counts');
  expect((await runs.claim([run], null, longMs))[0]!.failures).toBe(1);
});

test('a renewal that comes after the claim was given back takes nothing', async () => {
  const run = planned();
  const [first] = await runs.claim([run], null, longMs);
  await runs.release(first!, 'does-not-count');
  expect(await runs.renew(first!, longMs)).toBe(false);
  expect(await runs.claim([run], null, longMs)).toHaveLength(1);
});

test('a generation that one command made is not another command’s', async () => {
  const run = planned({ generation: 1, commandId: 'cmd_1' });
  await runs.claim([run], null, goneMs);
  expect(await runs.claim([{ ...run, commandId: 'cmd_2' }], null, longMs)).toEqual([]);
  expect(await runs.ofCommand(run.tenant, 'cmd_1', run.eventId)).toHaveLength(1);
  expect(await runs.ofCommand(run.tenant, 'cmd_2', run.eventId)).toEqual([]);
  expect(await runs.lastGenerations(run.tenant, run.eventId)).toEqual(new Map([['triage', 1]]));
});

test('the first output of a step wins for ever, whoever comes second', async () => {
  const results = new StepResultTable(database);
  const [run] = await runs.claim([planned()], null, longMs);
  const at = new Date();
  const step = { step: 'assess', kind: 'infer', state: 'succeeded', startedAt: at, finishedAt: at } as const;
  const kept = await Promise.all([1, 2, 3, 4].map((output) => results.keep(run!, { ...step, output })));
  expect(new Set(kept).size).toBe(1);
  expect(await results.keep(run!, { ...step, output: 'later' })).toBe(kept[0]);
  expect(await results.ofRun(run!)).toEqual(new Map([['assess', kept[0]]]));
});

test('an answer of a model that was not stored before the claim was lost is counted once', async () => {
  const attempts = new ModelAttemptTable(database);
  const run = planned();
  const at = new Date();
  const none = { errorCode: null, errorMessage: null, responseModel: null, providerRequestId: null, inputTokens: null, outputTokens: null };
  const attempt: ModelAttempt = { number: 1, model: 'm', startedAt: at, finishedAt: at, outcome: 'succeeded', ...none };
  const [first] = await runs.claim([run], null, goneMs);
  await attempts.add(first!, 'assess', attempt);
  const [second] = await runs.claim([run], null, goneMs);
  expect(await attempts.lostAnswers(second!)).toBe(1);
  const [third] = await runs.claim([run], null, goneMs);
  expect(await attempts.lostAnswers(third!)).toBe(0);
});
