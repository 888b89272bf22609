import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { StartPull } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
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

const insertProgress = statement(
  'test.insertPull',
  `INSERT INTO pull (tenant_id, name, document_version, connection, list, cursor, next_at, items, failures, last_failure_at, last_failure_code, last_failure_message)
   VALUES ($1, $2, 1, 'stripe', '', '1700000000', $3, 7, $4, $3, $5, 'Why.')`,
);
const document = (tenant: string, kind: string, name: string, spec: object) => ({
  apiVersion: 'millrace/v1',
  kind,
  metadata: kind === 'Tenant' ? { name } : { tenant, name },
  spec,
});
const stripe = { connector: 'stripe', auth: { kind: 'bearer', token: { value: 'rk_test_0123456789' } } };
const customers = { connection: 'stripe', operation: 'listCustomers', type: '"customer.created"', everyMs: 60_000 };

type Applied = { __typename: string; violations?: { path: string[]; message: string }[] };
async function apply(tenant: string, documents: object[]): Promise<Applied> {
  const mutation = `mutation ($documents: [JSON!]!) { applyDocuments(input: { documents: $documents }) {
    __typename ... on ValidationError { violations { path message } } } }`;
  return (await server.data<{ applyDocuments: Applied }>({ operatorIn: tenant }, mutation, { documents })).applyDocuments;
}

async function tenantWith(...pulls: [name: string, spec: object][]): Promise<string> {
  const tenant = uniqueName('tenant');
  const whole = [
    document(tenant, 'Tenant', tenant, { displayName: 'Acme' }),
    document(tenant, 'Connection', 'stripe', stripe),
    ...pulls.map(([name, spec]) => document(tenant, 'Pull', name, spec)),
  ];
  expect(await apply(tenant, whole)).toEqual({ __typename: 'ApplyDocumentsSuccess' });
  return tenant;
}

const list = async (tenant: string) =>
  (
    await server.data<{ pulls: Record<string, unknown>[] }>(
      { operatorIn: tenant },
      '{ pulls { name connection operation state cursor nextAt items failures lastFailure { at code message } } }',
    )
  ).pulls;

test('a pull says how far it is, and why it does not read', async () => {
  const tenant = await tenantWith(['late', customers], ['new', customers], ['shut', customers]);
  const at = new Date();
  await database.query(insertProgress, [tenant, 'late', at, 2, 'operation.limited']);
  await database.query(insertProgress, [tenant, 'shut', at, 1, 'operation.refused']);
  const [late, fresh, shut] = await list(tenant);
  expect(late).toEqual({
    name: 'late',
    connection: 'stripe',
    operation: 'listCustomers',
    state: 'RETRYING',
    cursor: '1700000000',
    nextAt: at.toISOString(),
    items: 7,
    failures: 2,
    lastFailure: { at: at.toISOString(), code: 'operation.limited', message: 'Why.' },
  });
  expect(fresh).toMatchObject({ state: 'WORKING', cursor: null, nextAt: null, items: 0, lastFailure: null });
  expect(shut).toMatchObject({ state: 'REFUSED' });
});

test('pulls of another tenant are not seen', async () => {
  const tenant = await tenantWith(['customers', customers]);
  await database.query(insertProgress, [tenant, 'customers', new Date(), 0, null]);
  expect(await list(await tenantWith(['customers', customers]))).toMatchObject([{ items: 0 }]);
});

test.each([
  [{ operation: 'listCustomer' }, 'operation', /names no operation of stripe: listCustomer; did you mean listCustomers/],
  [{ operation: 'createCustomer' }, 'operation', /^writes: createCustomer; one that reads is needed$/],
  [{ connection: 'other' }, 'connection', /^names no connection of this tenant: other$/],
  [{ customer: 'items.email' }, 'customer', /^reads items, but there is only item/],
  [{ input: '{ "createdAfter": sinse }' }, 'input', /^reads sinse, but there is only since and startedAt/],
  [{ everyMs: undefined, cron: '0 0 30 2 *', timeZone: 'UTC' }, 'cron', /^never comes/],
  [{ everyMs: undefined, cron: '0 0 * * *' }, 'timeZone', /^is missing/],
  [{ items: 'output' }, 'items', /^is what the operation says itself: listCustomers has pages/],
  [{ operation: 'getCustomer' }, 'items', /^is missing: getCustomer has no pages/],
])('a pull with %j is refused with its field', async (change, field, message) => {
  const tenant = await tenantWith();
  const { violations } = await apply(tenant, [document(tenant, 'Pull', 'customers', { ...customers, ...change })]);
  expect(violations).toEqual([{ path: ['input', 'documents', '0', 'spec', field], message: expect.stringMatching(message) }]);
});

test('a connection stays as long as a pull reads from it', async () => {
  const tenant = await tenantWith(['customers', customers]);
  const mutation = `mutation { removeDocument(input: { kind: Connection, name: "stripe" }) { __typename ... on ValidationError { violations { message } } } }`;
  expect(await server.data({ operatorIn: tenant }, mutation)).toMatchObject({
    removeDocument: { violations: [{ message: expect.stringContaining('Pull/customers') }] },
  });
});

const mutation = `mutation ($name: String!, $key: String!) { startPull(input: { name: $name, fromBeginning: true, idempotencyKey: $key }) {
  __typename ... on StartPullSuccess { commandId } ... on NotFoundError { code } } }`;
type Started = { startPull: { __typename: string; commandId: string } };

test('a pass is ordered as a command: the same key is the same one', async () => {
  const tenant = await tenantWith(['customers', customers]);
  const append = vi.spyOn(RecordProducer.prototype, 'append');
  const key = uniqueName('key');
  const start = () => server.data<Started>({ operatorIn: tenant }, mutation, { name: 'customers', key });
  const { startPull: first } = await start();
  expect((await start()).startPull).toEqual(first);
  const [topic, type, record] = append.mock.calls[0]!;
  append.mockRestore();
  expect([topic.name, type]).toEqual(['commands', StartPull]);
  expect(record).toMatchObject({ tenant, pull: 'customers', fromBeginning: true, commandId: first.commandId });
});

test('a pass needs a pull that exists, and a key with OPERATE', async () => {
  const tenant = await tenantWith(['customers', customers]);
  expect(await server.data<Started>({ operatorIn: tenant }, mutation, { name: 'other', key: 'k' })).toEqual({
    startPull: { __typename: 'NotFoundError', code: 'pull.unknown' },
  });
  expect(await server.data<Started>(await server.key(tenant, 'read'), mutation, { name: 'customers', key: 'k' })).toMatchObject({
    startPull: { __typename: 'ForbiddenError' },
  });
});
