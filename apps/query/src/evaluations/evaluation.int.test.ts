import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Database, statement } from '#libs/persistence';
import { uniqueName } from '#libs/testing';
import { QueryServer } from '../../../../test/query/query-server.js';

let server: QueryServer;
let database: Database;
let tenant: string;
beforeAll(async () => {
  server = await QueryServer.start({ graphqlTimeoutMs: 60_000 }); // longer than an evaluation may take on any machine
  database = await Database.connect({ url: server.databaseUrl, role: 'millrace_service', applicationName: 'test' });
});
afterAll(async () => {
  await database.close();
  await server.stop();
});

const setBody = statement('test.evaluation.body', `UPDATE event SET body = $3 WHERE tenant_id = $1 AND id = $2`);
const insertStep = statement(
  'test.evaluation.step',
  `INSERT INTO step_result (tenant_id, run_id, step, event_id, kind, state, output, started_at, finished_at, ordinal)
   VALUES ($1, 'run_1', $2, 'evt_1', 'map', 'succeeded', $3, now(), now(), $4)`,
);

beforeEach(async () => {
  tenant = uniqueName('tenant');
  await server.rows.event({ tenant, id: 'evt_1' });
  await database.query(setBody, [tenant, 'evt_1', Buffer.from('{"amount": 813683310949021977, "lines": [{"sku": "a"}, {"sku": "b"}]}')]);
});

interface Evaluated {
  value: unknown;
  type: string | null;
  error: { code: string; message: string; position: number | null; limit: string | null } | null;
  warnings: string[];
  durationMs: number;
}
const query = `query ($expression: String!, $event: ID, $run: ID, $names: JSON) {
  evaluate(expression: $expression, event: $event, run: $run, names: $names) { value type error { code message position limit } warnings durationMs } }`;
async function evaluate(expression: string, more: object = { event: 'evt_1' }): Promise<Evaluated> {
  const key = await server.key(tenant, 'read');
  return (await server.data<{ evaluate: Evaluated }>(key, query, { expression, ...more })).evaluate;
}
async function refusal(variables: object, of = tenant): Promise<string | undefined> {
  const { errors } = await server.ask(await server.key(of, 'read'), query, { expression: 'event.id', ...variables });
  return (errors?.[0]?.extensions as { code?: string } | undefined)?.code;
}

test('an expression has its value on a stored event, with the digits of its numbers, and its type', async () => {
  expect(await evaluate('event.data.lines.sku')).toMatchObject({ value: ['a', 'b'], type: 'ARRAY', error: null });
  expect(await evaluate('event.type & "/" & event.customer')).toMatchObject({ type: 'STRING' });
  expect(await evaluate('$string(event.data.amount)')).toMatchObject({ value: '813683310949021977' });
  expect(await evaluate('event.data.amount')).toMatchObject({ type: 'NUMBER' });
  expect(await evaluate('event.data.nosuch')).toMatchObject({ value: null, type: 'NOTHING', error: null });
  expect(await evaluate('item.sku', { event: 'evt_1', names: { item: { sku: 'c' } } })).toMatchObject({ value: 'c' });
});

test('with a run it sees the stored outputs of the steps of the flow, and its event', async () => {
  await server.rows.run({ tenant, id: 'run_1', event: 'evt_1' });
  for (const [at, [step, output]] of Object.entries({
    assess2: { urgency: 0.9 },
    'route2:choice': { case: 0 },
    'route2/tell': 1,
  }).entries())
    await database.query(insertStep, [tenant, step, JSON.stringify(output), 100 + at]);
  expect(await evaluate('steps.assess2.urgency > 0.5', { run: 'run_1' })).toMatchObject({ value: true, type: 'BOOLEAN' });
  expect(await evaluate('$keys(steps)[$contains("route2")]', { run: 'run_1' })).toMatchObject({ type: 'NOTHING' });
  expect(await evaluate('event.id', { run: 'run_1' })).toMatchObject({ value: 'evt_1' });
});

test('names that have no value are told, with those that were perhaps meant', async () => {
  expect((await evaluate('event.data.nosuch & event.customer')).warnings).toEqual([]);
  expect((await evaluate('$uppercas(event.type)')).warnings).toEqual(['uses $uppercas, which nothing defines; did you mean $uppercase?']);
  expect((await evaluate('[event.tpye, steps.assess, evnt]')).warnings).toEqual([
    expect.stringMatching(/^reads event\.tpye, but event has only id, type, .*; did you mean type\?$/),
    'reads steps.assess, but steps is empty',
    'reads evnt, but there is only event and steps; did you mean event?',
  ]);
  expect((await evaluate('item.sku & itm', { event: 'evt_1', names: { item: { sku: 'c' } } })).warnings).toEqual([
    'reads itm, but there is only item and event and steps; did you mean item?',
  ]);
  await server.rows.run({ tenant, id: 'run_1', event: 'evt_1' });
  await database.query(insertStep, [tenant, 'judged', JSON.stringify(1), 100]);
  const { warnings } = await evaluate('steps.juged', { run: 'run_1' });
  expect(warnings).toEqual([expect.stringMatching(/^reads steps\.juged, but steps has only .*judged.*; did you mean judged\?$/)]);
  expect((await evaluate('event.data.lines[')).warnings).toEqual([]);
});

test('a mistake has its place, and a limit its name', async () => {
  expect(await evaluate('event.data.lines[')).toMatchObject({ value: null, type: null, error: { code: 'document.invalid', position: 17 } });
  expect((await evaluate('event.type + 1')).error).toMatchObject({ code: 'flow.expressionFailed', position: 12, limit: null });
  expect((await evaluate('$map([1..3], function($n) { $n & $n + "x" })')).error?.position).toBeGreaterThan(0);
  for (const text of ['$sum([1..200000])', '$sum([1..20000000])'])
    expect((await evaluate(text)).error).toMatchObject({ limit: 'ITEMS', message: 'It had more than 100000 items in a sequence' });
});

test('an expression without an end is stopped, and costs no other tenant its turn', async () => {
  const endless = evaluate('($f := function($n) { $f($n + 1) }; $f(0))');
  const other = uniqueName('tenant');
  await server.rows.event({ tenant: other, id: 'evt_2' });
  const theirs = server.data<{ evaluate: Evaluated }>(await server.key(other, 'read'), query, {
    expression: '$map([1..3], function($n) { $n * 2 })',
    event: 'evt_2',
  });
  expect((await Promise.race([theirs.then(({ evaluate: end }) => end), endless])).value).toEqual([2, 4, 6]);
  expect((await endless).error).toMatchObject({
    code: 'flow.expressionFailed',
    limit: 'TIME',
    message: 'It took longer than 1000 ms',
  });
});

test('what does not exist, belongs to another tenant, or is not named is refused', async () => {
  const other = uniqueName('tenant');
  expect(await refusal({ event: 'evt_1' }, other)).toBe('event.unknown');
  expect(await refusal({ run: 'run_1' })).toBe('run.unknown');
  expect(await refusal({})).toBe('request.invalid');
  for (const name of ['event', 'steps']) expect(await refusal({ event: 'evt_1', names: { [name]: 1 } })).toBe('request.invalid');
  expect(await refusal({ event: 'evt_1', expression: 'x'.repeat(4_097) })).toBe('request.invalid');
  const { errors } = await server.ask(await server.key(tenant, 'ingest'), query, { expression: 'event.id', event: 'evt_1' });
  expect(errors?.[0]?.extensions).toMatchObject({ code: 'credential.scope' });
});
