import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
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
