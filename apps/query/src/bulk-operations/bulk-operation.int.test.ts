import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { CancelBulkOperation, StartBulkOperation } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import { Configuration, Database, statement } from '#libs/persistence';
import { uniqueName, waitFor } from '#libs/testing';
import { QueryServer } from '../../../../test/query/query-server.js';

let server: QueryServer;
let database: Database;
let tenant: string;
let operator: string;

beforeAll(async () => {
  server = await QueryServer.start();
  database = await Database.connect({ url: server.databaseUrl, role: 'millrace_service', applicationName: 'test' });
});
afterAll(async () => {
  await database.close();
  await server.stop();
});

/** Ten events a minute apart, of two customers; every odd one’s run failed, every even one’s delivery was parked. */
beforeEach(async () => {
  tenant = uniqueName('t');
  operator = await server.key(tenant, 'read', 'operate');
  const { rows } = server;
  for (let n = 0; n < 10; n += 1) {
    const at = minute(n);
    await rows.event({ tenant, id: `evt_${n}`, customer: `cus-${n % 2}`, receivedAt: at });
    await rows.run({ tenant, id: `run_${n}`, event: `evt_${n}`, state: n % 2 === 1 ? 'failed' : 'completed' });
    if (n % 2 === 1) {
      await rows.deadLetter({ tenant, id: `dlq_${n}`, kind: 'run', event: `evt_${n}`, run: `run_${n}`, createdAt: at });
    } else {
      await rows.delivery({ tenant, id: `dlv_${n}`, event: `evt_${n}`, run: `run_${n}`, state: 'parked', createdAt: at });
      await rows.deadLetter({ tenant, id: `dlq_${n}`, event: `evt_${n}`, run: `run_${n}`, delivery: `dlv_${n}`, createdAt: at });
    }
  }
});
async function applyFlows(...names: string[]): Promise<void> {
  await applyDocuments(...names.map((name) => ({ kind: 'Flow', name, spec: { steps: [{ id: 'say', map: { expression: '1' } }] } })));
  await waitFor(() => server.part(Configuration).flows(tenant).length === names.length, { what: 'the flows to be current' });
}
/** Documents with the names that the rows have, and a flow and a destination to which nothing happened. */
function applyNames(): Promise<void> {
  const crm = { kind: 'http', url: 'https://crm.example', secret: { value: 'whsec_' + 'c2VjcmV0'.repeat(4) } };
  const say = { steps: [{ id: 'say', map: { expression: '1' } }] };
  return applyDocuments(
    { kind: 'Source', name: 'stripe', spec: { scheme: 'api-key' } },
    ...['triage', 'other'].map((name) => ({ kind: 'Flow', name, spec: say })),
    ...['crm', 'erp'].map((name) => ({ kind: 'Destination', name, spec: crm })),
  );
}
async function applyDocuments(...given: { kind: string; name: string; spec: object }[]): Promise<void> {
  const apiVersion = 'millrace/v1';
  const documents = given.map(({ kind, name, spec }) => ({ apiVersion, kind, metadata: { tenant, name }, spec }));
  const itself = { apiVersion, kind: 'Tenant', metadata: { name: tenant }, spec: { displayName: tenant } };
  const mutation =
    'mutation ($documents: [JSON!]!) { applyDocuments(input: { documents: $documents }) { __typename ... on ValidationError { violations { path message } } } }';
  const answer = await server.data({ operatorIn: tenant }, mutation, { documents: [itself, ...documents] });
  expect(answer).toEqual({ applyDocuments: { __typename: 'ApplyDocumentsSuccess' } });
}
const minute = (n: number): Date => new Date(Date.parse('2026-11-20T10:00:00Z') + n * 60_000);

function appended() {
  const append = vi.spyOn(server.part(RecordProducer), 'append');
  onTestFinished(() => append.mockRestore());
  return append;
}

const traces = statement(
  'test.bulk.traces',
  'SELECT (SELECT count(*) FROM audit_entry WHERE tenant_id = $1) + (SELECT count(*) FROM idempotency_key WHERE tenant_id = $1) AS count',
);

interface Answer {
  __typename: string;
  code?: string;
  matched?: { value: number; exact: boolean };
  leftOut?: { code: string; count: number }[];
  operationId?: string | null;
  violations?: { path: string[]; message: string }[];
}
async function ask(mutation: 'bulkReplay' | 'bulkRedeliver', input: string): Promise<Answer> {
  const success =
    mutation === 'bulkReplay'
      ? 'BulkReplaySuccess { matched { value exact } operationId }'
      : 'BulkRedeliverSuccess { matched { value exact } leftOut { code count } operationId }';
  const data = await server.data<Record<string, Answer>>(
    operator,
    `mutation { ${mutation}(input: { ${input} }) {
      __typename
      ... on ${success}
      ... on ValidationError { code violations { path message } }
    } }`,
  );
  return data[mutation]!;
}
const dryRun = async (mutation: 'bulkReplay' | 'bulkRedeliver', filter: string): Promise<number> =>
  (await ask(mutation, `filter: { ${filter} }, dryRun: true, idempotencyKey: "k"`)).matched!.value;

describe('a dry run', () => {
  test('counts what each selection finds, and does nothing else', async () => {
    await applyNames();
    const append = appended();
    const [before] = await database.query(traces, [tenant]);
    expect(await dryRun('bulkReplay', 'events: {}')).toBe(10);
    expect(await dryRun('bulkReplay', 'events: { customer: "cus-1", states: [PARKED], sources: ["stripe"], type: "invoice.*" }')).toBe(5);
    expect(await dryRun('bulkReplay', 'deadLetters: {}')).toBe(5);
    expect(await dryRun('bulkReplay', 'deadLetters: { flow: "triage" }')).toBe(5);
    expect(await dryRun('bulkReplay', 'deadLetters: { flow: "other" }')).toBe(0);
    expect(await dryRun('bulkRedeliver', 'deliveries: { state: PARKED, flow: "triage", destination: "crm" }')).toBe(5);
    expect(await dryRun('bulkRedeliver', 'deliveries: { state: DELIVERED }')).toBe(0);
    expect(await dryRun('bulkRedeliver', 'deadLetters: { destination: "crm" }')).toBe(5);
    expect(await dryRun('bulkRedeliver', 'deadLetters: { destination: "erp" }')).toBe(0);
    expect(append).not.toHaveBeenCalled();
    expect(await database.query(traces, [tenant])).toEqual([before]);
  });

  test('finds what was parked between two moments', async () => {
    const [from, before] = [minute(2).toISOString(), minute(5).toISOString()];
    const between = `createdFrom: "${from}", createdBefore: "${before}"`;
    expect(await dryRun('bulkReplay', `deadLetters: { ${between} }`)).toBe(1);
    expect(await dryRun('bulkRedeliver', `deadLetters: { ${between} }`)).toBe(2);
    expect(await dryRun('bulkRedeliver', `deliveries: { state: PARKED, ${between} }`)).toBe(2);
  });

  test('leaves the events of requests out for flows that do not run on them, and the operation does the same', async () => {
    const append = appended();
    await applyFlows('triage', 'any');
    for (const n of [1, 2]) await server.rows.event({ tenant, id: `evt_request${n}`, requestOf: 'triage' });
    const count = async (input: string): Promise<number> =>
      (await ask('bulkReplay', `filter: { events: {} }, ${input} idempotencyKey: "k"`)).matched!.value;
    expect(await count('dryRun: true,')).toBe(12);
    expect(await count('flow: "triage", dryRun: true,')).toBe(12);
    expect(await count('flow: "any", dryRun: true,')).toBe(10);
    await count('flow: "any",');
    expect(append.mock.calls[0]![2]).toMatchObject({ flow: 'any', filter: { runnableBy: 'any', takes: { types: ['*'] } } });
  });

  test('counts of all events those that the flow takes, or has run on before, and the operation does the same', async () => {
    const append = appended();
    const say = [{ id: 'say', map: { expression: '1' } }];
    const flowOf = (name: string, more: object) => ({ kind: 'Flow', name, spec: { steps: say, ...more } });
    await applyDocuments(
      { kind: 'Source', name: 'stripe', spec: { scheme: 'api-key' } },
      flowOf('bills', { on: { sources: ['stripe'], types: ['in_oice.*'] } }),
      flowOf('all-bills', { on: { types: ['bill.*', '*.late'] } }),
      flowOf('asked', { onRequest: { default: 1 } }),
    );
    const event = (n: number, more: object) => server.rows.event({ tenant, id: `evt_bill${n}`, ...more });
    await event(1, { source: 'stripe', type: 'in_oice.sent' });
    await event(2, { source: 'stripe', type: 'bill.sent' });
    await event(3, { source: 'other', type: 'in_oice.sent' });
    await event(4, { source: 'other', type: 'parcel.late' });
    await server.rows.run({ tenant, id: 'run_bill', event: 'evt_bill4', flow: 'bills' });
    const count = async (input: string): Promise<number> =>
      (await ask('bulkReplay', `filter: { events: {} }, ${input} idempotencyKey: "k"`)).matched!.value;
    expect([await count('flow: "bills", dryRun: true,'), await count('flow: "all-bills", dryRun: true,')]).toEqual([2, 2]);
    expect(await count('flow: "asked", dryRun: true,')).toBe(0);
    await count('flow: "bills",');
    expect(append.mock.calls[0]![2]).toMatchObject({
      filter: { runnableBy: 'bills', takes: { sources: ['stripe'], types: ['in_oice.*'] } },
    });
  });

  test('counts the deliveries that `redeliver` would refuse, by the reason: they would not be sent', async () => {
    await applyDocuments({
      kind: 'Destination',
      name: 'crm',
      spec: {
        kind: 'http',
        url: 'https://crm.example',
        secret: { value: 'whsec_' + 'c2VjcmV0'.repeat(4) },
        idempotency: { class: 'none' },
      },
    });
    const plan = async (run: string, generation: number, more: { reachedAt?: Date; object?: string; state?: string }): Promise<void> => {
      await server.rows.run({ tenant, id: run, event: 'evt_0', generation });
      await server.rows.delivery({
        tenant,
        id: `dlv_${run}`,
        event: 'evt_0',
        run,
        state: 'parked',
        createdAt: minute(generation),
        ...more,
      });
    };
    await plan('taken', 1, { reachedAt: minute(0) });
    await plan('again', 2, { reachedAt: minute(1) });
    await plan('old', 3, { object: 'order-1' });
    await plan('new', 4, { object: 'order-1', state: 'delivered' });
    await server.rows.deadLetter({ tenant, id: 'dlq_taken', event: 'evt_0', delivery: 'dlv_taken' });
    const append = appended();
    for (const isDry of [true, false]) {
      const more = `dryRun: ${isDry}, idempotencyKey`;
      expect(await ask('bulkRedeliver', `filter: { deliveries: { state: PARKED } }, ${more}: "deliveries"`)).toMatchObject({
        matched: { value: 8 },
        leftOut: [
          { code: 'delivery.secondEffect', count: 2 },
          { code: 'delivery.superseded', count: 1 },
        ],
      });
      expect(await ask('bulkRedeliver', `filter: { deadLetters: {} }, ${more}: "deadLetters"`)).toMatchObject({
        matched: { value: 6 },
        leftOut: [{ code: 'delivery.secondEffect', count: 1 }],
      });
    }
    expect(append).toHaveBeenCalledTimes(2);
  });

  test('counts an event once for a flow, however many of its generations were given up', async () => {
    await server.rows.run({ tenant, id: 'run_again', event: 'evt_1', generation: 1, state: 'failed' });
    await server.rows.deadLetter({ tenant, id: 'dlq_again', kind: 'run', event: 'evt_1', run: 'run_again' });
    expect(await dryRun('bulkReplay', 'deadLetters: {}')).toBe(5);
  });
});

describe('an operation', () => {
  const start = 'filter: { deadLetters: { customer: "cus-1" } }, ratePerSecond: 7, idempotencyKey: "k"';

  test('is one command that says what was asked for and by whom, however often it is sent', async () => {
    const append = appended();
    const { operationId, matched } = await ask('bulkReplay', start);
    expect(matched).toEqual({ value: 5, exact: true });
    expect((await ask('bulkReplay', start)).operationId).toBe(operationId);
    expect(append.mock.calls.map(([topic, type]) => [topic.name, type])).toEqual([
      ['commands', StartBulkOperation],
      ['commands', StartBulkOperation],
    ]);
    const [value, again] = append.mock.calls.map(([, , sent]) => sent as StartBulkOperation);
    expect(value).toMatchObject({
      tenant,
      customer: '-',
      actor: expect.stringMatching(/^key:/) as string,
      kind: 'replay',
      selection: 'deadLetters',
      flow: null,
      filter: { customer: 'cus-1' },
      ratePerSecond: 7,
    });
    expect(again?.commandId).toBe(value?.commandId);
    expect(await database.query(audits, [tenant])).toMatchObject([{ action: 'bulkReplay', target: operationId }]);
  });

  test('is not started by a key that stands for another one', async () => {
    await ask('bulkReplay', start);
    const append = appended();
    expect(await ask('bulkReplay', start.replace('cus-1', 'cus-0'))).toMatchObject({
      __typename: 'ValidationError',
      code: 'request.idempotencyMismatch',
      violations: [{ path: ['input', 'idempotencyKey'] }],
    });
    expect(append).not.toHaveBeenCalled();
  });

  test('is shown with its progress, in the list and by its id', async () => {
    await server.rows.bulkOperation({ tenant, id: 'bop_1', total: 500, done: 120 });
    await server.rows.bulkOperation({
      tenant,
      id: 'bop_2',
      kind: 'redelivery',
      state: 'completed',
      total: 5,
      done: 3,
      leftOut: { 'delivery.superseded': 2 },
    });
    const fields = 'id kind state selection filter total { value exact } done failed leftOut { code count } ratePerSecond actor finishedAt';
    const one = {
      id: 'bop_1',
      kind: 'REPLAY',
      state: 'RUNNING',
      selection: 'DEAD_LETTERS',
      filter: {},
      total: { value: 500, exact: true },
      done: 120,
      failed: 0,
      leftOut: [],
      ratePerSecond: 50,
      actor: 'key:test',
      finishedAt: null,
    };
    const query = `{ bulkOperation(id: "bop_1") { ${fields} } node(id: "bop_1") { ... on BulkOperation { ${fields} } }
      bulkOperations(filter: { state: RUNNING }) { nodes { ${fields} } totalCount { value } } }`;
    expect(await server.data(operator, query)).toEqual({
      bulkOperation: one,
      node: one,
      bulkOperations: { nodes: [one], totalCount: { value: 1 } },
    });
    const page = await server.data<{ bulkOperations: { nodes: object[]; pageInfo: { hasNextPage: boolean; endCursor: string } } }>(
      operator,
      '{ bulkOperations(first: 1) { nodes { id leftOut { code count } } pageInfo { hasNextPage endCursor } } }',
    );
    expect(page.bulkOperations).toMatchObject({
      nodes: [{ id: 'bop_2', leftOut: [{ code: 'delivery.superseded', count: 2 }] }],
      pageInfo: { hasNextPage: true },
    });
    const rest = `{ bulkOperations(first: 5, after: "${page.bulkOperations.pageInfo.endCursor}") { nodes { id } } }`;
    expect(await server.data(operator, rest)).toEqual({ bulkOperations: { nodes: [{ id: 'bop_1' }] } });
  });

  test('is cancelled by a command to the app that carries it out', async () => {
    await server.rows.bulkOperation({ tenant, id: 'bop_1', kind: 'redelivery' });
    const append = appended();
    const answer = await server.data(
      operator,
      'mutation { cancelBulkOperation(input: { id: "bop_1", idempotencyKey: "k" }) { ... on CancelBulkOperationSuccess { operation { id state } } } }',
    );
    expect(answer).toEqual({ cancelBulkOperation: { operation: { id: 'bop_1', state: 'RUNNING' } } });
    expect(append.mock.calls.map(([, type, value]) => [type, value])).toEqual([
      [CancelBulkOperation, expect.objectContaining({ tenant, kind: 'redelivery', operationId: 'bop_1' }) as object],
    ]);
  });
});
const audits = statement('test.bulk.audits', 'SELECT action, target, detail FROM audit_entry WHERE tenant_id = $1');

test('what makes no sense is refused by its path, all of it at once', async () => {
  const paths = async (mutation: 'bulkReplay' | 'bulkRedeliver', input: string) =>
    (await ask(mutation, `${input}, idempotencyKey: "k"`)).violations?.map(({ path }) => path.slice(1).join('.'));
  expect(await paths('bulkReplay', 'filter: { events: {} }, flow: "no-such", ratePerSecond: 0')).toEqual(['flow', 'ratePerSecond']);
  const backward = (at: string) => `${at}From: "2026-12-01T00:00:00Z", ${at}Before: "2026-11-01T00:00:00Z"`;
  expect(await paths('bulkReplay', `filter: { events: { ${backward('received')} } }`)).toEqual(['filter.events.receivedBefore']);
  expect(await paths('bulkRedeliver', `filter: { deadLetters: { ${backward('created')} } }`)).toEqual(['filter.deadLetters.createdBefore']);
  expect(await paths('bulkReplay', 'filter: { deadLetters: { kind: DELIVERY, resolved: true } }, flow: "triage"')).toEqual([
    'flow',
    'filter.deadLetters.kind',
    'filter.deadLetters.resolved',
  ]);
  expect(await paths('bulkRedeliver', 'filter: { deliveries: {} }, ratePerSecond: 1001')).toEqual([
    'filter.deliveries.state',
    'ratePerSecond',
  ]);
  const { errors } = await server.ask(
    operator,
    'mutation { bulkReplay(input: { filter: { events: {}, deadLetters: {} }, idempotencyKey: "k" }) { __typename } }',
  );
  expect(errors?.[0]?.message).toContain('exactly one');
});

describe('a name of something that never existed', () => {
  const messages = async (mutation: 'bulkReplay' | 'bulkRedeliver', filter: string, isDry = true) =>
    (await ask(mutation, `filter: { ${filter} }, dryRun: ${isDry}, idempotencyKey: "k"`)).violations?.map(
      ({ path, message }) => `${path.slice(2).join('.')} ${message}`,
    );

  test('is refused by its field, by a dry run and before anything is ordered, with a similar one that exists', async () => {
    await applyNames();
    const append = appended();
    for (const isDry of [true, false]) {
      expect(await messages('bulkReplay', 'events: { sources: ["stripe", "strpe", "hub"] }', isDry)).toEqual([
        'events.sources.1 names no source of this tenant: strpe; did you mean stripe?',
        'events.sources.2 names no source of this tenant: hub',
      ]);
      expect(await messages('bulkReplay', 'deadLetters: { flow: "triagge", code: "x" }', isDry)).toEqual([
        'deadLetters.flow names no flow of this tenant: triagge; did you mean triage?',
      ]);
      expect(await messages('bulkRedeliver', 'deliveries: { flow: "crm", destination: "cmr" }', isDry)).toEqual([
        'deliveries.state must say which: PARKED is what an outage leaves',
        'deliveries.flow names no flow of this tenant: crm',
        'deliveries.destination names no destination of this tenant: cmr; did you mean crm?',
      ]);
      expect(await messages('bulkRedeliver', 'deadLetters: { code: "delivery.timeot" }', isDry)).toEqual([
        'deadLetters.code names no failure code: delivery.timeot; did you mean delivery.timeout?',
      ]);
    }
    expect(append).not.toHaveBeenCalled();
  });

  test('differs from one of something that was removed: what happened to it is still there', async () => {
    await applyNames();
    const removed = await server.data(
      { operatorIn: tenant },
      'mutation { removeDocument(input: { kind: Destination, name: "crm" }) { __typename } }',
    );
    expect(removed).toEqual({ removeDocument: { __typename: 'RemoveDocumentSuccess' } });
    expect(await dryRun('bulkRedeliver', 'deadLetters: { destination: "crm" }')).toBe(5);
  });
});
