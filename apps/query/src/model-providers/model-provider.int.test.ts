import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { uniqueName } from '#libs/testing';
import { QueryServer } from '../../../../test/query/query-server.js';

let server: QueryServer;
beforeAll(async () => {
  server = await QueryServer.start();
});
afterAll(() => server.stop());
afterEach(() => server.rows.noModelProviders());

const openAi = 'https://one.example/v1/chat/completions';
const other = 'https://two.example/v1/chat/completions';
const minutesAgo = (minutes: number): Date => new Date(Date.now() - minutes * 60_000);

const query = '{ modelProviders { address models listedAt askedAt errorCode errorMessage } }';
const list = async (as: string): Promise<object[]> => (await server.data<{ modelProviders: object[] }>(as, query)).modelProviders;

describe('model providers', () => {
  test('are shown to every tenant with their models, when they were asked, and why that failed', async () => {
    await server.rows.modelProvider({ address: openAi, models: ['gpt-4o'], listedAt: new Date(0) });
    await server.rows.modelProvider({ address: other, models: null, errorCode: 'model.credential', errorMessage: 'The key is wrong' });
    const askedAt = expect.any(String) as string;
    for (const tenant of ['acme', 'beta']) {
      expect(await list(await server.key(tenant, 'read'))).toEqual([
        { address: openAi, models: ['gpt-4o'], listedAt: '1970-01-01T00:00:00.000Z', askedAt, errorCode: null, errorMessage: null },
        { address: other, models: null, listedAt: null, askedAt, errorCode: 'model.credential', errorMessage: 'The key is wrong' },
      ]);
    }
  });

  test('are those that processes call: one from before a change of the address is left out, and the last one stays while no process runs', async () => {
    await server.rows.modelProvider({ address: other, models: ['old'], usedAt: minutesAgo(3) });
    const reader = await server.key('acme', 'read');
    expect(await list(reader)).toMatchObject([{ address: other }]);
    await server.rows.modelProvider({ address: openAi, models: ['new'], usedAt: minutesAgo(1) });
    expect(await list(reader)).toMatchObject([{ address: openAi }]);
  });
});

describe('models', () => {
  let tenant: string;
  beforeEach(() => {
    tenant = uniqueName('tenant');
  });
  const head = { apiVersion: 'millrace/v1' };
  const mistral = {
    service: 'mistral',
    apiKey: { value: 'sk-of-the-tenant' },
    currency: 'EUR',
    limits: { requestsPerMinute: 60 },
    models: { small: { price: { input: 0.1, output: 0.3 }, limits: { tokensPerMinute: 1_000 } } },
  };
  const apply = async (
    ...documents: [kind: string, name: string, spec: object][]
  ): Promise<{ warnings: { path: string[]; message: string }[] }> => {
    const all = [
      { ...head, kind: 'Tenant', metadata: { name: tenant }, spec: { displayName: 'Acme' } },
      ...documents.map(([kind, name, spec]) => ({ ...head, kind, metadata: { tenant, name }, spec })),
    ];
    const mutation = `mutation ($documents: [JSON!]!) { applyDocuments(input: { documents: $documents }) {
      ... on ApplyDocumentsSuccess { warnings { path message } } ... on ValidationError { violations { path message } } } }`;
    return (await server.data<{ applyDocuments: never }>({ operatorIn: tenant }, mutation, { documents: all })).applyDocuments;
  };
  const read = async (filter = ''): Promise<Record<string, unknown>[]> => {
    const fields =
      'provider name routes isListed isNamed address inputPrice outputPrice currency requestsPerMinute tokensPerMinute state reason checkedAt';
    const reader = await server.key(tenant, 'read');
    return (await server.data<{ models: Record<string, unknown>[] }>(reader, `{ models${filter} { ${fields} } }`)).models;
  };
  const flow = (model: string): [string, string, object] => [
    'Flow',
    'triage',
    { on: {}, steps: [{ id: 'assess', infer: { provider: 'mistral', model, instructions: 'i', output: { type: 'object' } } }] },
  ];

  test('are those that providers list and those that documents name, with what is known of each', async () => {
    await server.rows.modelProvider({ address: openAi, models: ['gpt-4o'] });
    const candidates = [{ provider: 'mistral', model: 'small' }, { model: 'local/rules-1' }];
    await apply(['ModelProvider', 'mistral', mistral], ['ModelRoute', 'triage', { candidates }]);
    await server.rows.tenantModelProvider({ tenant, name: 'mistral', models: ['large'] });
    const unsaid = {
      routes: [],
      isListed: true,
      isNamed: false,
      address: 'https://api.mistral.ai/v1',
      inputPrice: null,
      outputPrice: null,
      currency: null,
      requestsPerMinute: null,
      tokensPerMinute: null,
    };
    const usable = { ...unsaid, state: 'USABLE', reason: null, checkedAt: expect.any(String) as string };
    expect(await read()).toEqual([
      { ...usable, provider: null, name: 'gpt-4o', address: openAi },
      { ...usable, provider: null, name: 'local/rules-1', address: openAi, routes: ['triage'], isListed: false },
      { ...usable, provider: 'mistral', name: 'large', requestsPerMinute: 60 },
      {
        ...usable,
        provider: 'mistral',
        name: 'small',
        routes: ['triage'],
        isListed: false,
        isNamed: true,
        inputPrice: 0.1,
        outputPrice: 0.3,
        currency: 'EUR',
        tokensPerMinute: 1_000,
      },
    ]);
    expect((await read('(provider: "mistral")')).map(({ name }) => name)).toEqual(['large', 'small']);
    expect((await read('(route: "triage")')).map(({ name }) => name)).toEqual(['local/rules-1', 'small']);
  });

  test.each([
    ['USABLE', 'is asked', {}],
    ['KEY_REFUSED', 'refuses the key', { errorCode: 'model.credential', errorMessage: 'wrong' }],
    ['MISCONFIGURED', 'is no model API', { errorCode: 'model.misconfigured', errorMessage: 'wrong' }],
    ['OUTAGE', 'is away', { errorCode: 'model.unavailable', errorMessage: 'wrong' }],
    ['UNKNOWN', 'was asked as another version only', { version: 7 }],
  ])('are %s if their provider %s', async (state, _, row) => {
    await apply(['ModelProvider', 'mistral', mistral]);
    await server.rows.tenantModelProvider({ tenant, name: 'mistral', models: null, ...row });
    expect(await read('(provider: "mistral")')).toMatchObject([{ name: 'small', state, reason: 'errorMessage' in row ? 'wrong' : null }]);
  });

  test('are out while a process says so, each for its tenant', async () => {
    await apply(['ModelProvider', 'mistral', mistral]);
    await server.rows.tenantModelProvider({ tenant, name: 'mistral', models: ['large', 'old', 'small'] });
    await server.rows.modelOutage({ tenant, provider: 'mistral', model: 'large', seenAt: new Date() });
    await server.rows.modelOutage({ tenant, provider: 'mistral', model: 'old', seenAt: minutesAgo(3) });
    await server.rows.modelOutage({ tenant: uniqueName('other'), provider: 'mistral', model: 'small', seenAt: new Date() });
    expect((await read('(provider: "mistral")')).map(({ name, state }) => `${String(name)} ${String(state)}`)).toEqual([
      'large OUTAGE',
      'old USABLE',
      'small USABLE',
    ]);
  });

  test('show no credential', async () => {
    await apply(['ModelProvider', 'mistral', mistral]);
    expect(JSON.stringify(await read())).not.toContain('sk-of-the-tenant');
  });

  test('of the provider of a tenant that it does not list are a doubt at apply, unless its document names them', async () => {
    const named = { ...mistral, models: { ...mistral.models, large: {} } };
    await apply(['ModelProvider', 'mistral', named]);
    expect((await apply(flow('largge'))).warnings, 'it was not asked yet').toEqual([]);
    await server.rows.tenantModelProvider({ tenant, name: 'mistral', models: ['large'], listedAt: new Date(0) });
    const message =
      'is listed by no model provider, so runs would fail at this step with model.refused: largge; did you mean large? (asked: the ModelProvider mistral at 1970-01-01T00:00:00.000Z; `millrace models` prints all names)';
    expect((await apply(['ModelProvider', 'mistral', named], flow('largge'))).warnings).toMatchObject([{ message }]);
    for (const model of ['large', 'small']) expect((await apply(flow(model))).warnings).toEqual([]);
    const moved = { ...named, service: 'openai' };
    expect((await apply(['ModelProvider', 'mistral', moved], flow('largge'))).warnings, 'it moves elsewhere').toEqual([]);
  });
});

describe('a flow that names a model', () => {
  const apply = async (model: string): Promise<unknown> => {
    const tenant = uniqueName('tenant');
    const head = { apiVersion: 'millrace/v1' };
    const infer = { model, instructions: 'i', output: { type: 'object' } };
    const documents = [
      { ...head, kind: 'Tenant', metadata: { name: tenant }, spec: { displayName: 'Acme' } },
      { ...head, kind: 'Flow', metadata: { tenant, name: 'triage' }, spec: { on: {}, steps: [{ id: 'assess', infer }] } },
    ];
    const mutation = `mutation ($documents: [JSON!]!) { applyDocuments(input: { documents: $documents }) {
      ... on ApplyDocumentsSuccess { changes { change } warnings { path message } } } }`;
    return (await server.data<{ applyDocuments: object }>({ operatorIn: tenant }, mutation, { documents })).applyDocuments;
  };
  const changes = [{ change: 'CREATED' }, { change: 'CREATED' }];

  test('that no provider lists is applied with a warning, which names the field and the nearest names', async () => {
    await server.rows.modelProvider({ address: openAi, models: ['gpt-4o', 'gpt-4o-mini', 'o3'], listedAt: new Date(0) });
    expect(await apply('gpt-4o-minni')).toEqual({
      changes,
      warnings: [
        {
          path: ['documents', '1', 'spec', 'steps', '0', 'infer', 'model'],
          message: `is listed by no model provider, so runs would fail at this step with model.refused: gpt-4o-minni; did you mean gpt-4o-mini or gpt-4o? (asked: ${openAi} at 1970-01-01T00:00:00.000Z; \`millrace models\` prints all names)`,
        },
      ],
    });
    expect(await apply('o3')).toEqual({ changes, warnings: [] });
  });

  test.each([
    ['lists none', { models: [] }],
    ['was never asked with success', { models: null, errorCode: 'model.unavailable', errorMessage: 'away' }],
  ])('is applied without a warning if the provider %s', async (_, row) => {
    await server.rows.modelProvider({ address: openAi, ...row });
    expect(await apply('anything')).toEqual({ changes, warnings: [] });
  });
});
