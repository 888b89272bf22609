import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { budgetPeriodAt, utcDayOf } from '#libs/contracts';
import { uniqueName } from '#libs/testing';
import { wallTime } from '#libs/time';
import { QueryServer } from '../../../../test/query/query-server.js';

let server: QueryServer;
let tenant: string;
let reader: string;

beforeAll(async () => {
  server = await QueryServer.start();
});
afterAll(() => server.stop());
beforeEach(async () => {
  tenant = uniqueName('acme');
  reader = await server.key(tenant, 'read');
});

const today = (): string => utcDayOf(wallTime());
const monthBegan = (): string => budgetPeriodAt('month', wallTime()).firstDay;
const dayBefore = (day: string): string => utcDayOf(new Date(Date.parse(`${day}T00:00:00Z`) - 86_400_000));

async function apply(...specs: [kind: string, name: string, spec: object][]): Promise<{ warnings?: { path: string[] }[] }> {
  const head = { apiVersion: 'millrace/v1' };
  const documents = [
    { ...head, kind: 'Tenant', metadata: { name: tenant }, spec: { displayName: tenant } },
    ...specs.map(([kind, name, spec]) => ({ ...head, kind, metadata: { tenant, name }, spec })),
  ];
  const apply1 = `mutation ($input: ApplyDocumentsInput!) { applied: applyDocuments(input: $input) {
    __typename ... on ApplyDocumentsSuccess { warnings { path message } } ... on ValidationError { violations { path message } } } }`;
  return (await server.data<{ applied: { warnings?: { path: string[] }[] } }>({ operatorIn: tenant }, apply1, { input: { documents } }))
    .applied;
}

const budgets = async (): Promise<object[]> =>
  (
    await server.data<{ budgets: object[] }>(
      reader,
      '{ budgets { name flows per limit { amount currency } spent { amount currency } tokenLimit tokensSpent usedRatio state whenSpent since until } }',
    )
  ).budgets;
const fields = 'day flow provider model calls inputTokens outputTokens cost { amount currency }';
const spend = async (given = ''): Promise<object[]> =>
  (await server.data<{ modelSpend: object[] }>(reader, `{ modelSpend${given} { ${fields} } }`)).modelSpend;

test('a budget below what its period has had already is applied with a warning', async () => {
  await server.rows.modelSpend({ tenant, day: today(), costNanos: 4_250_000_000 });
  const { warnings } = await apply(
    ['Budget', 'enough', { per: 'month', amount: 5, currency: 'EUR' }],
    ['Budget', 'low', { per: 'month', amount: 4, currency: 'EUR', whenSpent: 'stop' }],
    ['Budget', 'tokens', { per: 'day', tokens: 1, whenSpent: 'degrade' }],
  );
  const aboutSpending = warnings?.filter(({ path }) => path.at(-1) !== 'currency');
  expect(aboutSpending).toEqual([
    {
      path: ['documents', '2', 'spec', 'amount'],
      message: expect.stringMatching(/^is spent already: its period has had 4\.25 EUR, so until \S+Z runs that ask models wait$/) as string,
    },
    {
      path: ['documents', '3', 'spec', 'tokens'],
      message: expect.stringMatching(
        /^is spent already: its period has had \d+ tokens, so until \S+Z only models that it does not count are asked$/,
      ) as string,
    },
  ]);
});

test('a budget says what of it is spent in its period, by its currency and its flows', async () => {
  const flow = { steps: [{ id: 'a', map: { expression: '1' } }] };
  await apply(
    ['Flow', 'triage', flow],
    ['Budget', 'euros', { per: 'month', amount: 5, currency: 'EUR', flows: ['triage'], whenSpent: 'stop' }],
    ['Budget', 'tokens', { per: 'day', tokens: 1_000, whenSpent: 'degrade' }],
  );
  expect(await budgets()).toMatchObject([
    { name: 'euros', spent: { amount: '0', currency: 'EUR' }, usedRatio: 0, state: 'OPEN' },
    { name: 'tokens', tokensSpent: 0, state: 'OPEN' },
  ]);
  await server.rows.modelSpend({ tenant, day: monthBegan(), costNanos: 4_250_000_000 });
  await server.rows.modelSpend({ tenant, day: monthBegan(), currency: 'USD' });
  await server.rows.modelSpend({ tenant, day: monthBegan(), flow: 'other' });
  await server.rows.modelSpend({ tenant, day: dayBefore(monthBegan()) });
  await server.rows.modelSpend({ tenant: uniqueName('other'), day: monthBegan() });
  const [euros] = await budgets();
  expect(euros).toEqual({
    name: 'euros',
    flows: ['triage'],
    per: 'MONTH',
    limit: { amount: '5', currency: 'EUR' },
    spent: { amount: '4.25', currency: 'EUR' },
    tokenLimit: null,
    tokensSpent: null,
    usedRatio: 0.85,
    state: 'NEARLY_SPENT',
    whenSpent: 'STOP',
    since: `${monthBegan()}T00:00:00.000Z`,
    until: budgetPeriodAt('month', wallTime()).endsAt.toISOString(),
  });
  await server.rows.modelSpend({ tenant, day: today(), model: 'large' });
  expect(await budgets()).toMatchObject([{ state: 'SPENT' }, { tokensSpent: expect.any(Number), state: 'SPENT' }]);
});

test.each([
  [{ per: 'day' }, 'spec', 'must have either amount or tokens; it has neither'],
  [{ per: 'day', amount: 1, currency: 'EUR', tokens: 1 }, 'spec', 'must have either amount or tokens; it has amount and tokens'],
  [{ per: 'day', amount: 1 }, 'spec.currency', 'is missing: an amount is in a currency, such as USD'],
  [{ per: 'day', tokens: 1, currency: 'EUR' }, 'spec.currency', 'belongs to amount, which is missing'],
  [{ per: 'day', tokens: 1, flows: ['none'] }, 'spec.flows.0', 'names no flow of this tenant: none'],
  [{ per: 'week', tokens: 1 }, 'spec.per', 'must be one of day, month'],
])('a budget that says nothing clear is refused: %j', async (spec, path, message) => {
  expect(await apply(['Budget', 'b', spec])).toMatchObject({
    violations: [{ path: ['input', 'documents', '1', ...path.split('.')], message: expect.stringContaining(message) }],
  });
});

test('a budget in a currency in which no model has a price is a doubt', async () => {
  const provider = {
    service: 'ollama',
    baseUrl: 'http://ollama:11434/v1',
    currency: 'EUR',
    models: { small: { price: { input: 1, output: 1 } } },
  };
  const warned = async (...specs: [string, string, object][]): Promise<unknown> => {
    const documents = specs.map(([kind, name, spec]) => ({ apiVersion: 'millrace/v1', kind, metadata: { tenant, name }, spec }));
    const query = `mutation ($input: ApplyDocumentsInput!) { applied: applyDocuments(input: $input) { ... on ApplyDocumentsSuccess { warnings { message } } } }`;
    return (await server.data<{ applied: { warnings: unknown } }>({ operatorIn: tenant }, query, { input: { documents } })).applied
      .warnings;
  };
  const inDollars: [string, string, object] = ['Budget', 'dollars', { per: 'day', amount: 1, currency: 'USD' }];
  const nobody = 'is that of no model provider of this tenant, so nothing counts: ';
  await apply();
  expect(await warned(inDollars)).toEqual([{ message: `${nobody}none has a price` }]);
  expect(await warned(inDollars, ['ModelProvider', 'own', provider])).toEqual([{ message: `${nobody}their prices are in EUR` }]);
  expect(await warned(['Budget', 'euros', { per: 'day', amount: 1, currency: 'EUR' }])).toEqual([]);
});

test('what was spent is told by flow, day and model, the dearest first, and of the tenant alone', async () => {
  await server.rows.modelSpend({ tenant, day: today(), calls: 2 });
  await server.rows.modelSpend({ tenant, day: today(), flow: '-', provider: '-', model: 'local', currency: '-', costNanos: 0 });
  await server.rows.modelSpend({ tenant, day: today(), flow: 'dear', model: 'large', costNanos: 7e9 });
  await server.rows.modelSpend({ tenant: uniqueName('other'), day: today() });
  expect(await spend()).toMatchObject([
    { flow: 'dear', day: null, provider: null, model: null, cost: { amount: '7', currency: 'EUR' } },
    { flow: 'triage', calls: 2, inputTokens: 900, outputTokens: 100 },
    { flow: null, cost: null },
  ]);
  expect(await spend('(by: [DAY, MODEL])')).toMatchObject([
    { day: today(), flow: null, provider: 'mistral', model: 'large' },
    { provider: 'mistral', model: 'small' },
    { provider: null, model: 'local' },
  ]);
  expect(await spend('(flow: "dear", by: [])')).toMatchObject([{ flow: null, calls: 1 }]);
  expect(await spend(`(to: "${dayBefore(monthBegan())}", from: "${dayBefore(monthBegan())}")`)).toEqual([]);
});

test.each([
  ['from: "2026-02-30"', 'from', 'is no day of the calendar'],
  ['from: "2026-1-1"', 'from', 'must be a day, such as 2026-01-31'],
  ['from: "2026-02-02", to: "2026-02-01"', 'to', 'must not be before from'],
  ['from: "2020-01-01", to: "2026-02-01"', 'to', 'must be at most 400 days after from'],
])('a window that is none is refused with its field: %s', async (given, argument, message) => {
  const { errors } = await server.ask(reader, `{ modelSpend(${given}) { calls } }`);
  expect(errors).toMatchObject([{ message: expect.stringContaining(message), extensions: { code: 'request.invalid', argument } }]);
});
