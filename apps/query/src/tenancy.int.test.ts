import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Scope } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import { TenantDatabase } from '#libs/persistence';
import { contractOperations, nodePrefixes } from './operations/operation-runner.js';
import { shapeOf } from './operations/shape.js';
import { QueryServer } from '../../../test/query/query-server.js';

let server: QueryServer;
let acme: string;
let beta: string;

beforeAll(async () => {
  server = await QueryServer.start({ graphqlMaxCost: 100_000 });
  acme = await server.key('acme', 'read', 'operate', 'admin');
  beta = await server.key('beta', 'read', 'operate', 'admin');
  await story('acme', 'a');
});
afterAll(() => server.stop());

/** One event with everything that can hang on it. */
async function story(tenant: string, suffix: string): Promise<void> {
  const { rows } = server;
  await rows.event({ tenant, id: `evt_${suffix}`, customer: 'cus-1' });
  await rows.run({ tenant, id: `run_${suffix}`, event: `evt_${suffix}` });
  await rows.delivery({ tenant, id: `dlv_${suffix}`, event: `evt_${suffix}`, run: `run_${suffix}`, state: 'parked' });
  await rows.deadLetter({ tenant, id: `dlq_${suffix}`, event: `evt_${suffix}`, run: `run_${suffix}`, delivery: `dlv_${suffix}` });
  await rows.bulkOperation({ tenant, id: `bop_${suffix}` });
  await rows.request({ tenant, id: `req_${suffix}` });
  await rows.trial({ tenant, id: `trl_${suffix}`, event: `evt_${suffix}` });
  await rows.review({ tenant, id: `rev_${suffix}`, run: `run_${suffix}`, event: `evt_${suffix}` });
}

const customerId = `cus_${Buffer.from('cus-1').toString('base64url')}`;
const ids = ['evt_a', 'run_a', 'dlv_a', 'dlq_a', 'bop_a', 'req_a', 'rev_a', 'trl_a', customerId];

describe('nothing crosses a tenant', () => {
  const lists = ['events', 'customers', 'runs', 'deliveries', 'deadLetters', 'bulkOperations', 'requests', 'reviews', 'trials'];

  test('every list and every kind of node of the contract is tried here', () => {
    const pages = contractOperations.filter((operation) => operation.kind === 'query' && shapeOf(operation.output)?.kind === 'page');
    // The rows of trialOutcomes have no id of their own: apps/query/src/trials/trial.int.test.ts reads them as another tenant.
    expect([...lists, 'trialOutcomes'].toSorted()).toEqual(pages.map(({ name }) => name).toSorted());
    expect(ids.map((id) => id.split('_', 1).join('')).toSorted()).toEqual(nodePrefixes.toSorted());
  });

  test.each(lists)('%s has the rows of its own tenant, and none of another', async (list) => {
    const query = `{ ${list} { nodes { __typename id } totalCount { value exact } } }`;
    const own = await server.data<Record<string, { nodes: object[]; totalCount: object }>>(acme, query);
    expect(own[list]).toMatchObject({ nodes: [{ id: expect.any(String) as string }], totalCount: { value: 1, exact: true } });
    const others = await server.data<Record<string, object>>(beta, query);
    expect(others[list]).toEqual({ nodes: [], totalCount: { value: 0, exact: true } });
  });

  test('an id of another tenant is as good as none', async () => {
    const query = 'query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }';
    const own = await server.data<{ nodes: { id: string }[] }>(acme, query, { ids });
    expect(own.nodes.map((node) => node?.id)).toEqual(ids);
    expect(await server.data(beta, query, { ids })).toEqual({ nodes: ids.map(() => null) });
    const single =
      '{ event(id: "evt_a") { id } run(id: "run_a") { id } delivery(id: "dlv_a") { id } deadLetter(id: "dlq_a") { id } customer(key: "cus-1") { id } bulkOperation(id: "bop_a") { id } request(id: "req_a") { id } review(id: "rev_a") { id } trial(id: "trl_a") { id } }';
    expect(await server.data(beta, single)).toEqual({
      event: null,
      run: null,
      delivery: null,
      deadLetter: null,
      customer: null,
      bulkOperation: null,
      request: null,
      review: null,
      trial: null,
    });
  });

  test('a mutation with an id of another tenant finds nothing, and orders nothing', async () => {
    const append = vi.spyOn(server.part(RecordProducer), 'append');
    const mutation = `mutation {
      redeliver(input: { deliveryId: "dlv_a", idempotencyKey: "k" }) { __typename ... on NotFoundError { code missing path } }
      replayEvents(input: { ids: ["evt_a"], idempotencyKey: "k" }) { __typename ... on NotFoundError { code missing path } }
      cancelRun(input: { id: "run_a", idempotencyKey: "k" }) { __typename ... on NotFoundError { code missing path } }
      promoteTrial(input: { id: "trl_a", idempotencyKey: "k" }) { __typename ... on NotFoundError { code missing path } }
      cancelTrial(input: { id: "trl_a", idempotencyKey: "k" }) { __typename ... on NotFoundError { code missing path } }
      cancelBulkOperation(input: { id: "bop_a", idempotencyKey: "k" }) { __typename ... on NotFoundError { code missing path } }
      takeRequest(input: { id: "req_a" }) { __typename ... on NotFoundError { code missing path } }
      sendTestEvents(input: { id: "req_a", idempotencyKey: "k" }) { __typename ... on NotFoundError { code missing path } }
      verifyRequest(input: { id: "req_a" }) { __typename ... on NotFoundError { code missing path } }
      claimReview(input: { id: "rev_a" }) { __typename ... on NotFoundError { code missing path } }
      approveReview(input: { id: "rev_a", idempotencyKey: "k" }) { __typename ... on NotFoundError { code missing path } }
      revokeApiKey(input: { id: "nobody" }) { __typename }
      removeDocument(input: { kind: Flow, name: "x" }) { __typename }
    }`;
    expect(await server.data(beta, mutation)).toEqual({
      redeliver: { __typename: 'NotFoundError', code: 'delivery.unknown', missing: ['dlv_a'], path: ['input', 'deliveryId'] },
      replayEvents: { __typename: 'NotFoundError', code: 'event.unknown', missing: ['evt_a'], path: ['input', 'ids'] },
      cancelRun: { __typename: 'NotFoundError', code: 'run.unknown', missing: ['run_a'], path: ['input', 'id'] },
      promoteTrial: { __typename: 'NotFoundError', code: 'trial.unknown', missing: ['trl_a'], path: ['input', 'id'] },
      cancelTrial: { __typename: 'NotFoundError', code: 'trial.unknown', missing: ['trl_a'], path: ['input', 'id'] },
      cancelBulkOperation: { __typename: 'NotFoundError', code: 'bulkOperation.unknown', missing: ['bop_a'], path: ['input', 'id'] },
      takeRequest: { __typename: 'NotFoundError', code: 'request.unknown', missing: ['req_a'], path: ['input', 'id'] },
      sendTestEvents: { __typename: 'NotFoundError', code: 'request.unknown', missing: ['req_a'], path: ['input', 'id'] },
      verifyRequest: { __typename: 'NotFoundError', code: 'request.unknown', missing: ['req_a'], path: ['input', 'id'] },
      claimReview: { __typename: 'NotFoundError', code: 'review.unknown', missing: ['rev_a'], path: ['input', 'id'] },
      approveReview: { __typename: 'NotFoundError', code: 'review.unknown', missing: ['rev_a'], path: ['input', 'id'] },
      revokeApiKey: { __typename: 'NotFoundError' },
      removeDocument: { __typename: 'NotFoundError' },
    });
    expect(append).not.toHaveBeenCalled();
    append.mockRestore();
  });

  test('a bulk operation finds nothing of another tenant, whatever its filter names', async () => {
    const mutation = `mutation {
      events: bulkReplay(input: { filter: { events: { customer: "cus-1" } }, dryRun: true, idempotencyKey: "k" }) { ...Replay }
      runs: bulkReplay(input: { filter: { deadLetters: {} }, dryRun: true, idempotencyKey: "k" }) { ...Replay }
      deliveries: bulkRedeliver(input: { filter: { deliveries: { state: PARKED } }, dryRun: true, idempotencyKey: "k" }) { ...Redeliver }
      parked: bulkRedeliver(input: { filter: { deadLetters: { customer: "cus-1" } }, dryRun: true, idempotencyKey: "k" }) { ...Redeliver }
    }
    fragment Replay on BulkReplaySuccess { matched { value } }
    fragment Redeliver on BulkRedeliverSuccess { matched { value } }`;
    const matched = (count: number) => ({ matched: { value: count } });
    const own = { events: matched(1), runs: matched(0), deliveries: matched(1), parked: matched(1) };
    expect(await server.data(acme, mutation)).toEqual(own);
    expect(await server.data(beta, mutation)).toEqual({ events: matched(0), runs: matched(0), deliveries: matched(0), parked: matched(0) });
  });

  test('a document of another tenant is refused, whoever applies it', async () => {
    const document = { apiVersion: 'millrace/v1', kind: 'Source', metadata: { tenant: 'acme', name: 's' }, spec: { scheme: 'api-key' } };
    const mutation =
      'mutation ($d: [JSON!]!) { applyDocuments(input: { documents: $d }) { ... on ValidationError { violations { path message } } } }';
    expect(await server.data(beta, mutation, { d: [document] })).toEqual({
      applyDocuments: {
        violations: [{ path: ['input', 'documents', '0', 'metadata', 'tenant'], message: 'is acme, and this key acts in beta' }],
      },
    });
  });
});

describe('a key may do what its scopes say', () => {
  const doors: [door: string, scope: Scope, operation: string][] = [
    ['events', 'read', '{ events { nodes { id } } }'],
    ['node', 'read', '{ node(id: "evt_a") { id } }'],
    ['documents', 'read', '{ documents { name } }'],
    ['document', 'read', '{ document(kind: Flow, name: "x") { name } }'],
    ['document', 'admin', '{ document(kind: Destination, name: "x") { name } }'],
    ['documents', 'admin', '{ documents(kind: Source) { name } }'],
    ['apiKeys', 'admin', '{ apiKeys { id } }'],
    ['reviews', 'review', '{ reviews { nodes { id } } }'],
    ['claimReview', 'review', 'mutation { claimReview(input: { id: "x" }) { __typename ... on ForbiddenError { requiredScope } } }'],
    [
      'redeliver',
      'operate',
      'mutation { redeliver(input: { deliveryId: "x", idempotencyKey: "k" }) { __typename ... on ForbiddenError { requiredScope } } }',
    ],
    [
      'cancelRun',
      'operate',
      'mutation { cancelRun(input: { id: "x", idempotencyKey: "k" }) { __typename ... on ForbiddenError { requiredScope } } }',
    ],
    [
      'replayEvents',
      'operate',
      'mutation { replayEvents(input: { ids: ["x"], idempotencyKey: "k" }) { __typename ... on ForbiddenError { requiredScope } } }',
    ],
    [
      'bulkReplay',
      'operate',
      'mutation { bulkReplay(input: { filter: { events: {} }, dryRun: true, idempotencyKey: "k" }) { __typename ... on ForbiddenError { requiredScope } } }',
    ],
    [
      'bulkRedeliver',
      'operate',
      'mutation { bulkRedeliver(input: { filter: { deadLetters: {} }, dryRun: true, idempotencyKey: "k" }) { __typename ... on ForbiddenError { requiredScope } } }',
    ],
    [
      'cancelBulkOperation',
      'operate',
      'mutation { cancelBulkOperation(input: { id: "x", idempotencyKey: "k" }) { __typename ... on ForbiddenError { requiredScope } } }',
    ],
    ['bulkOperations', 'read', '{ bulkOperations { nodes { id } } }'],
    ['trials', 'read', '{ trials { nodes { id } } }'],
    ['trialOutcomes', 'read', '{ trialOutcomes(trial: "trl_a") { nodes { eventId } } }'],
    [
      'createApiKey',
      'admin',
      'mutation { createApiKey(input: { name: "", scopes: [] }) { __typename ... on ForbiddenError { requiredScope } } }',
    ],
    [
      'applyDocuments',
      'admin',
      'mutation { applyDocuments(input: { documents: [] }) { __typename ... on ForbiddenError { requiredScope } } }',
    ],
  ];

  test.each(doors)('%s is for %s', async (door, needed, operation) => {
    for (const scope of ['ingest', 'read', 'operate', 'review', 'admin'] as const) {
      const { data, errors } = await server.ask<Record<string, { __typename?: string; requiredScope?: string } | null>>(
        await keyWith(scope),
        operation,
      );
      const isRefused = errors?.[0]?.extensions.code === 'credential.scope' || data?.[door]?.__typename === 'ForbiddenError';
      expect([scope, isRefused]).toEqual([scope, scope !== needed && scope !== 'admin']);
      if (data?.[door]?.__typename === 'ForbiddenError') expect(data[door]?.requiredScope).toBe(needed.toUpperCase());
    }
  });

  const keys = new Map<Scope, string>();
  async function keyWith(scope: Scope): Promise<string> {
    const key = keys.get(scope) ?? (await server.key('acme', scope));
    keys.set(scope, key);
    return key;
  }
});

test('a page costs the same number of statements however many rows it has', async () => {
  const rowsOfPage = 12;
  for (let n = 0; n < rowsOfPage; n += 1) await story('many', `many${n}`);
  const reader = await server.key('many', 'read');
  const statements = vi.spyOn(server.part(TenantDatabase), 'query');
  const query = `query ($first: Int!) { events(first: $first) { nodes {
    state data customer { key } timeline { title }
    runs { steps { id } modelAttempts { number } operationAttempts { step } deliveries { attempts { number } event { id } run { id } } event { id } }
    decisions { value } deliveries { attempts { number } event { id } } deadLetters { event { id } run { id } delivery { id } }
  } } }`;
  const counted = async (first: number): Promise<number> => {
    statements.mockClear();
    const { events } = await server.data<{ events: { nodes: object[] } }>(reader, query, { first });
    expect(events.nodes).toHaveLength(first);
    return statements.mock.calls.length;
  };
  const ofOne = await counted(1);
  expect(await counted(rowsOfPage)).toBe(ofOne);
  statements.mockRestore();
});
