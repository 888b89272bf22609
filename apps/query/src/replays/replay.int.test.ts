import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Configuration } from '#libs/persistence';
import { freshDatabase } from '#libs/testing';
import { QueryServer } from '../../../../test/query/query-server.js';

let server: QueryServer;
beforeAll(async () => {
  const database = await freshDatabase();
  const owner = new Client({ connectionString: database.ownerUrl });
  await owner.connect();
  await owner.query('DROP TRIGGER configuration_changed_by_insert ON document'); // as if another process applied, and the notice were lost
  await owner.end();
  server = await QueryServer.start({}, database);
});
afterAll(() => server.stop());

async function apply(...documents: object[]): Promise<void> {
  const mutation = 'mutation ($documents: [JSON!]!) { applyDocuments(input: { documents: $documents }) { __typename } }';
  const { applyDocuments } = await server.data<{ applyDocuments: object }>({ operatorIn: 'acme' }, mutation, { documents });
  expect(applyDocuments).toEqual({ __typename: 'ApplyDocumentsSuccess' });
}

test('a flow that was applied a moment ago is replayed, tried and estimated as it is stored, though the process has not heard of it', async () => {
  await apply({ apiVersion: 'millrace/v1', kind: 'Tenant', metadata: { name: 'acme' }, spec: { displayName: 'Acme' } });
  await server.rows.event({ tenant: 'acme', id: 'evt_1' });
  const asked: readonly [name: string, text: string, field: string][] = [
    [
      'replay',
      'mutation { replayEvents(input: { ids: ["evt_1"], flow: "FLOW", idempotencyKey: "FLOW" }) { __typename } }',
      'ReplayEventsSuccess',
    ],
    [
      'bulk',
      'mutation { bulkReplay(input: { filter: { events: {} }, flow: "FLOW", dryRun: true, idempotencyKey: "FLOW" }) { __typename } }',
      'BulkReplaySuccess',
    ],
    [
      'trial',
      'mutation { tryFlow(input: { flow: { applied: { name: "FLOW" } }, event: { id: "evt_1" }, idempotencyKey: "FLOW" }) { __typename } }',
      'TryFlowSuccess',
    ],
    [
      'estimate',
      '{ estimateCost(flow: "FLOW", from: "2026-11-01T00:00:00Z", before: "2026-12-01T00:00:00Z") { __typename } }',
      'CostEstimate',
    ],
  ];
  for (const [name, text, type] of asked) {
    const spec = { steps: [{ id: 'say', map: { expression: '1' } }] };
    await apply({ apiVersion: 'millrace/v1', kind: 'Flow', metadata: { tenant: 'acme', name }, spec });
    expect(server.part(Configuration).flow('acme', name)).toBeUndefined();
    const data = await server.data<Record<string, { __typename: string }>>({ operatorIn: 'acme' }, text.replaceAll('FLOW', name));
    expect(Object.values(data)).toEqual([{ __typename: type }]);
  }
});
