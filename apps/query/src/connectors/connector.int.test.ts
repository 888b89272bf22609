import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { builtInConnectors } from '#libs/connectors';
import { uniqueName } from '#libs/testing';
import { QueryServer } from '../../../../test/query/query-server.js';

let server: QueryServer;
beforeAll(async () => {
  server = await QueryServer.start();
});
afterAll(() => server.stop());

const head = { apiVersion: 'millrace/v1' };
const put = {
  summary: 'Put it.',
  effect: 'write',
  idempotency: { class: 'absolute' },
  input: { type: 'object' },
  request: { method: 'PUT', path: '/x', body: 'input' },
};
const ledger = (operations: object) => ({
  summary: 'A ledger.',
  base: 'https://ledger.example',
  hosts: ['ledger.example'],
  auth: [{ kind: 'none' }],
  operations,
});

describe('connectors', () => {
  const apply = async (tenant: string, documents: object[], remove: object[] = []): Promise<object> => {
    const mutation = `mutation ($input: ApplyDocumentsInput!) { applyDocuments(input: $input) { __typename
      ... on ApplyDocumentsSuccess { changes { name change } } ... on ValidationError { violations { path message } } } }`;
    return (await server.data<{ applyDocuments: object }>({ operatorIn: tenant }, mutation, { input: { documents, remove } }))
      .applyDocuments;
  };
  const list = async (as: Parameters<QueryServer['data']>[0]): Promise<{ name: string; isBuiltIn: boolean }[]> =>
    (await server.data<{ connectors: { name: string; isBuiltIn: boolean }[] }>(as, '{ connectors { name isBuiltIn } }')).connectors;
  const of = (tenant: string, operations: object = { put }): object[] => [
    { ...head, kind: 'Tenant', metadata: { name: tenant }, spec: { displayName: 'Acme' } },
    { ...head, kind: 'Connector', metadata: { tenant, name: 'ledger' }, spec: ledger(operations) },
    { ...head, kind: 'Connection', metadata: { tenant, name: 'books' }, spec: { connector: 'ledger', auth: { kind: 'none' } } },
    {
      ...head,
      kind: 'Destination',
      metadata: { tenant, name: 'entries' },
      spec: { kind: 'operation', connection: 'books', operation: 'put' },
    },
  ];

  test('are the built-in ones and those of the tenant, and none of another tenant', async () => {
    const [tenant, other] = [uniqueName('tenant'), uniqueName('tenant')];
    expect(await apply(tenant, of(tenant))).toMatchObject({ __typename: 'ApplyDocumentsSuccess' });
    await apply(other, of(other).slice(0, 1));
    const names = [...builtInConnectors().keys()].toSorted();
    expect(names).toContain('stripe');
    expect((await list({ operatorIn: tenant })).filter(({ isBuiltIn }) => isBuiltIn).map(({ name }) => name)).toEqual(names);
    expect((await list({ operatorIn: tenant })).filter(({ isBuiltIn }) => !isBuiltIn)).toEqual([{ name: 'ledger', isBuiltIn: false }]);
    expect((await list({ operatorIn: other })).map(({ name }) => name)).toEqual(names);
  });

  test('say of each operation what it promises and which input it takes', async () => {
    const query = '{ connectors { name operations { name effect promise input } } }';
    const { connectors } = await server.data<{ connectors: { name: string; operations: object[] }[] }>({ operatorIn: 'acme' }, query);
    expect(connectors.find(({ name }) => name === 'stripe')!.operations).toContainEqual({
      name: 'cancelSubscription',
      effect: 'WRITE',
      promise: 'Takes effect once: a repeat changes nothing.',
      input: { type: 'object', required: ['id'], properties: { id: { type: 'string' } } },
    });
  });

  test('of a tenant stay as long as something uses them, and keep the operations that are used', async () => {
    const tenant = uniqueName('tenant');
    await apply(tenant, of(tenant));
    expect(await apply(tenant, of(tenant).slice(0, 1), [{ kind: 'Connector', name: 'ledger' }])).toMatchObject({
      violations: [{ path: ['input', 'remove', '0', 'name'], message: expect.stringContaining('is used by Connection/books') as string }],
    });
    const [, changed] = of(tenant, { replace: put });
    expect(await apply(tenant, [changed!])).toEqual({
      __typename: 'ValidationError',
      violations: [
        {
          path: ['input', 'documents', '0', 'spec'],
          message: 'does not serve Destination/entries any more: its spec.operation names no operation of ledger: put (it has replace)',
        },
      ],
    });
  });

  test('give a destination of theirs its promise', async () => {
    const tenant = uniqueName('tenant');
    await apply(tenant, of(tenant));
    expect(await server.data({ operatorIn: tenant }, '{ destinations { name promise } }')).toEqual({
      destinations: [{ name: 'entries', promise: 'Takes effect once: a repeat changes nothing.' }],
    });
  });
});
