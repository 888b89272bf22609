import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
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

const insertHealth = statement(
  'test.insertHealth',
  `INSERT INTO destination_health (tenant_id, destination, document_version, open_since, open_until, open_reason, limited_since, limited_until,
     limited_reason, disabled_since, disabled_reason)
   VALUES ($1, $2, $3, CASE $4 WHEN 'open' THEN now() END, CASE $4 WHEN 'open' THEN now() END, CASE $4 WHEN 'open' THEN 'delivery.timeout' END,
     CASE $4 WHEN 'limited' THEN now() END, CASE $4 WHEN 'limited' THEN now() + interval '1 hour' END,
     CASE $4 WHEN 'limited' THEN 'delivery.unavailable' END, CASE $4 WHEN 'disabled' THEN now() END,
     CASE $4 WHEN 'disabled' THEN 'delivery.destinationDisabled' END)`,
);

async function tenantWith(...names: string[]): Promise<string> {
  const tenant = uniqueName('tenant');
  const secret = { value: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' };
  const documents = names.map((name) => ({
    apiVersion: 'millrace/v1',
    kind: 'Destination',
    metadata: { tenant, name },
    spec: { kind: 'http', url: 'https://crm.example/in', secret },
  }));
  const tenantDocument = { apiVersion: 'millrace/v1', kind: 'Tenant', metadata: { name: tenant }, spec: { displayName: 'Acme' } };
  const apply = `mutation ($documents: [JSON!]!) { applyDocuments(input: { documents: $documents }) { __typename } }`;
  await server.data({ operatorIn: tenant }, apply, { documents: [tenantDocument, ...documents] });
  return tenant;
}

interface Listed {
  destinations: { name: string; state: string; since: string | null; until: string | null; reason: string | null }[];
}
const list = (tenant: string) => server.data<Listed>({ operatorIn: tenant }, '{ destinations { name state since until reason } }');

test('destinations say how they are doing, since when, and why', async () => {
  const names = ['closed', 'disabled', 'limited', 'never', 'open'];
  const tenant = await tenantWith(...names);
  for (const name of names.filter((one) => one !== 'never')) await database.query(insertHealth, [tenant, name, 1, name]);
  const { destinations } = await list(tenant);
  const seen = destinations.map(({ name, state, reason, since, until }) => [name, state, reason, since !== null, until !== null]);
  expect(seen).toEqual([
    ['closed', 'ACTIVE', null, false, false],
    ['disabled', 'DISABLED', 'delivery.destinationDisabled', true, false],
    ['limited', 'LIMITED', 'delivery.unavailable', true, true],
    ['never', 'ACTIVE', null, false, false],
    ['open', 'OPEN', 'delivery.timeout', true, true],
  ]);
});

test('what was known of an older version of the document does not count, nor what another tenant’s destination does', async () => {
  const [tenant, other] = [await tenantWith('crm'), await tenantWith('crm')];
  await database.query(insertHealth, [tenant, 'crm', 0, 'disabled']);
  await database.query(insertHealth, [other, 'crm', 1, 'disabled']);
  expect(await list(tenant)).toMatchObject({ destinations: [{ state: 'ACTIVE' }] });
});

const enable = `mutation ($name: String!) { enableDestination(input: { name: $name, idempotencyKey: "k" }) {
  __typename ... on EnableDestinationSuccess { commandId } ... on NotFoundError { code missing } ... on ValidationError { code }
} }`;

test('enabling is a command on the log, for a destination that is there', async () => {
  const tenant = await tenantWith('crm');
  const append = vi.spyOn(server.part(RecordProducer), 'append');
  onTestFinished(() => append.mockRestore());
  const answer = await server.data<{ enableDestination: object }>({ operatorIn: tenant }, enable, { name: 'crm' });
  expect(answer).toMatchObject({ enableDestination: { __typename: 'EnableDestinationSuccess' } });
  expect(append.mock.calls.map(([, type, value]) => [type.schema, value])).toMatchObject([
    ['enable-destination.v1', { tenant, destination: 'crm' }],
  ]);
  const missing = await server.data({ operatorIn: tenant }, enable, { name: 'erp' });
  expect(missing).toMatchObject({ enableDestination: { __typename: 'NotFoundError', code: 'destination.unknown', missing: ['erp'] } });
  expect(append).toHaveBeenCalledTimes(1);
});

test('an idempotency key that was used for another destination is refused, and nothing is enabled', async () => {
  const tenant = await tenantWith('crm', 'erp');
  await server.data({ operatorIn: tenant }, enable, { name: 'crm' });
  const append = vi.spyOn(server.part(RecordProducer), 'append');
  onTestFinished(() => append.mockRestore());
  const answer = await server.data({ operatorIn: tenant }, enable, { name: 'erp' });
  expect(answer).toMatchObject({ enableDestination: { __typename: 'ValidationError', code: 'request.idempotencyMismatch' } });
  expect(append).not.toHaveBeenCalled();
});
