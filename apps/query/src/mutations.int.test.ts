import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { CancelRun } from '#libs/contracts';
import { LogUnavailable, RecordProducer } from '#libs/messaging';
import { Configuration } from '#libs/persistence';
import { uniqueName, waitFor } from '#libs/testing';
import { QueryServer } from '../../../test/query/query-server.js';

let server: QueryServer;
let operator: string;

beforeAll(async () => {
  server = await QueryServer.start();
  operator = await server.key('acme', 'read', 'operate');
  const { rows } = server;
  await rows.event({ tenant: 'acme', id: 'evt_1', customer: 'cus-1' });
  await rows.event({ tenant: 'acme', id: 'evt_2', customer: 'cus-2' });
  await rows.run({ tenant: 'acme', id: 'run_1', event: 'evt_1' });
  await rows.delivery({ tenant: 'acme', id: 'dlv_1', event: 'evt_1', run: 'run_1', state: 'parked' });
});
afterAll(() => server.stop());

function appended() {
  const append = vi.spyOn(server.part(RecordProducer), 'append');
  onTestFinished(() => append.mockRestore());
  return append;
}

describe('cancelRun', () => {
  const cancel = async (id: string, more = '') => {
    const mutation = `mutation { cancelRun(input: { id: "${id}", idempotencyKey: "${id}" ${more} }) {
      __typename ... on CancelRunSuccess { run { id state } } ... on ValidationError { code violations { path message } }
      ... on NotFoundError { code missing path } } }`;
    return (await server.data<{ cancelRun: { __typename: string } }>(operator, mutation)).cancelRun;
  };

  test('appends a command in the order of the customer, with who asked and why', async () => {
    await server.rows.run({ tenant: 'acme', id: 'run_w', event: 'evt_2', state: 'waiting' });
    const append = appended();
    expect(await cancel('run_w', 'reason: " not needed "')).toEqual({
      __typename: 'CancelRunSuccess',
      run: { id: 'run_w', state: 'WAITING' },
    });
    expect(append.mock.calls.map(([, type, value]) => [type, value])).toEqual([
      [CancelRun, expect.objectContaining({ customer: 'cus-2', eventId: 'evt_2', runId: 'run_w', reason: 'not needed' })],
    ]);
  });

  test('of the same key or of a run that is cancelled succeeds again', async () => {
    for (const [at, id] of ['run_twice', 'run_late'].entries())
      await server.rows.run({ tenant: 'acme', id, event: 'evt_2', state: 'waiting', generation: 5 + at });
    const append = appended();
    await cancel('run_twice');
    await server.rows.endRun('acme', 'run_twice', 'completed'); // the command came too late
    expect(await cancel('run_twice')).toMatchObject({ __typename: 'CancelRunSuccess', run: { state: 'COMPLETED' } });
    const ids = append.mock.calls.map(([, , value]) => (value as unknown as { commandId: string }).commandId);
    expect(ids).toEqual([ids[0], ids[0]]);
    await server.rows.endRun('acme', 'run_late', 'failed', 'run.cancelled');
    expect(await cancel('run_late')).toMatchObject({ __typename: 'CancelRunSuccess', run: { state: 'FAILED' } });
  });

  test('is refused for a run that has ended, that does not exist, or without words as the reason', async () => {
    const append = appended();
    const message = 'names a run that has ended already: run_1 is completed';
    expect(await cancel('run_1')).toMatchObject({ code: 'run.finished', violations: [{ path: ['input', 'id'], message }] });
    expect(await cancel('run_none')).toEqual({
      __typename: 'NotFoundError',
      code: 'run.unknown',
      missing: ['run_none'],
      path: ['input', 'id'],
    });
    expect(await cancel('run_x', 'reason: " "')).toMatchObject({
      violations: [{ path: ['input', 'reason'], message: 'must not be empty' }],
    });
    expect(append).not.toHaveBeenCalled();
  });
});

describe('redeliver', () => {
  const redeliver = (key: string) =>
    server.data<{ redeliver: { __typename: string; commandId?: string } }>(
      operator,
      `mutation { redeliver(input: { deliveryId: "dlv_1", idempotencyKey: "${key}" }) {
        __typename
        ... on RedeliverSuccess { commandId delivery { id state } }
        ... on ValidationError { path violations { path message } }
        ... on UnavailableError { code outcome retryAfterMs }
      } }`,
    );

  test('appends one command, keyed by the customer, that says who asked', async () => {
    const append = appended();
    const { redeliver: result } = await redeliver('first');
    expect(result).toMatchObject({ __typename: 'RedeliverSuccess', delivery: { id: 'dlv_1', state: 'PARKED' } });
    expect(append.mock.calls.map(([topic, , value]) => [topic.name, value])).toEqual([
      [
        expect.stringContaining('commands') as string,
        expect.objectContaining({
          tenant: 'acme',
          customer: 'cus-1',
          deliveryId: 'dlv_1',
          commandId: result.commandId,
          actor: expect.stringMatching(/^key:/) as string,
        }),
      ],
    ]);
  });

  test('the same idempotency key is the same command, another key another one', async () => {
    const [one, again, other] = [await redeliver('same'), await redeliver('same'), await redeliver('other')].map(
      ({ redeliver: result }) => result.commandId,
    );
    expect(again).toBe(one);
    expect(other).not.toBe(one);
  });

  test('a key that nobody can see is refused by its path', async () => {
    expect(await redeliver(' ')).toMatchObject({ redeliver: { __typename: 'ValidationError', path: ['input', 'idempotencyKey'] } });
  });

  test('while the log is away the caller is told to send the request again', async () => {
    const append = appended();
    append.mockRejectedValue(new LogUnavailable('no broker'));
    expect(await redeliver('later')).toMatchObject({
      redeliver: { __typename: 'UnavailableError', code: 'log.unavailable', outcome: 'RETRY' },
    });
  });
});

describe('a delivery that the destination may have taken', () => {
  const tenant = uniqueName('tenant');
  const asOperator = { operatorIn: tenant };
  const redeliver = async (id: string, more = '') => {
    const mutation = `mutation { redeliver(input: { deliveryId: "${id}", idempotencyKey: "${id}${more.length}" ${more} }) {
      __typename
      ... on ValidationError { code path violations { message } }
    } }`;
    return (await server.data<{ redeliver: object }>(asOperator, mutation)).redeliver;
  };

  beforeAll(async () => {
    const head = { apiVersion: 'millrace/v1' };
    const spec = { kind: 'http', url: 'https://crm.example/in', secret: { value: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' } };
    const destination = (name: string, more: object): object => ({
      ...head,
      kind: 'Destination',
      metadata: { tenant, name },
      spec: { ...spec, ...more },
    });
    const documents = [
      { ...head, kind: 'Tenant', metadata: { name: tenant }, spec: { displayName: 'Acme' } },
      destination('anew', { idempotency: { class: 'none' } }),
      destination('keyed', { supersede: 'payload.order' }),
    ];
    const apply = 'mutation ($documents: [JSON!]!) { applyDocuments(input: { documents: $documents }) { __typename } }';
    await server.data(asOperator, apply, { documents });
    await server.rows.event({ tenant, id: 'evt_r' });
    const delivery = async (id: string, more: object): Promise<void> => {
      const run = `run_${id}`;
      await server.rows.run({ tenant, id: run, event: 'evt_r', flow: id.replace('_', '-') });
      await server.rows.delivery({ tenant, id, event: 'evt_r', run, state: 'parked', ...more });
    };
    const reachedAt = new Date('2026-11-29T10:00:00.000Z');
    await delivery('dlv_taken', { destination: 'anew', reachedAt });
    await delivery('dlv_failed', { destination: 'anew' });
    await delivery('dlv_keyed', { destination: 'keyed', reachedAt });
    await delivery('dlv_older', { destination: 'keyed', object: 'o-1' });
    await delivery('dlv_newer', { destination: 'keyed', object: 'o-1', state: 'delivered', reachedAt });
  });

  test('is not sent again without a word, where the destination takes each request anew', async () => {
    const append = appended();
    expect(await redeliver('dlv_taken')).toMatchObject({
      __typename: 'ValidationError',
      code: 'delivery.secondEffect',
      path: ['input', 'deliveryId'],
      violations: [{ message: expect.stringContaining('`evenIfTaken: true`') as string }],
    });
    expect(append).not.toHaveBeenCalled();
    expect(await redeliver('dlv_taken', 'evenIfTaken: true')).toEqual({ __typename: 'RedeliverSuccess' });
    expect(append.mock.calls.map(([, , value]) => value)).toMatchObject([{ deliveryId: 'dlv_taken', evenIfTaken: true }]);
  });

  test('nor by its dead letter', async () => {
    await server.rows.deadLetter({ tenant, id: 'dlq_r', kind: 'delivery', event: 'evt_r', run: 'run_dlv_taken', delivery: 'dlv_taken' });
    const retry =
      'mutation { retryDeadLetter(input: { id: "dlq_r", idempotencyKey: "k" }) { __typename ... on ValidationError { code path } } }';
    expect(await server.data(asOperator, retry)).toEqual({
      retryDeadLetter: { __typename: 'ValidationError', code: 'delivery.secondEffect', path: ['input', 'id'] },
    });
  });

  test.each(['dlv_failed', 'dlv_keyed', 'dlv_newer'])('%s may be sent again: nothing reached it, or a repeat is recognised', async (id) => {
    expect(await redeliver(id)).toEqual({ __typename: 'RedeliverSuccess' });
  });

  test('one whose object a newer one sets is never sent', async () => {
    for (const more of ['', 'evenIfTaken: true']) expect(await redeliver('dlv_older', more)).toMatchObject({ code: 'delivery.superseded' });
  });

  test('shows when it may have been taken, and its destination how often it takes effect', async () => {
    const query =
      '{ delivery(id: "dlv_older") { reachedAt atLeastOnce object } taken: delivery(id: "dlv_taken") { reachedAt } destinations { name promise } }';
    expect(await server.data(asOperator, query)).toEqual({
      delivery: { reachedAt: null, atLeastOnce: false, object: 'o-1' },
      taken: { reachedAt: '2026-11-29T10:00:00.000Z' },
      destinations: [
        { name: 'anew', promise: expect.stringContaining('at most once') as string },
        { name: 'keyed', promise: expect.stringContaining('recognises a repeat') as string },
      ],
    });
  });
});

describe('a dead letter', () => {
  const settle = (mutation: 'skipDeadLetter' | 'retryDeadLetter', id: string, key = id) =>
    server
      .data<Record<string, Record<string, unknown>>>(
        operator,
        `mutation { ${mutation}(input: { id: "${id}", idempotencyKey: "${key}" }) {
          __typename
          ... on NotFoundError { missing }
          ... on ValidationError { code path violations { message } }
        } }`,
      )
      .then((data) => data[mutation]!);

  test.each([
    { kind: 'run', schema: 'replay-event.v1', value: { eventId: 'evt_1', flow: 'triage' } },
    { kind: 'delivery', schema: 'redeliver.v1', value: { deliveryId: 'dlv_1' } },
  ])('of a $kind is retried as $schema', async ({ kind, schema, value }) => {
    const append = appended();
    await server.rows.deadLetter({ tenant: 'acme', id: `dlq_${kind}`, kind, event: 'evt_1', run: 'run_1', delivery: 'dlv_1' });
    expect(await settle('retryDeadLetter', `dlq_${kind}`)).toEqual({ __typename: 'RetryDeadLetterSuccess' });
    expect(append.mock.calls.map(([, type, appendedValue]) => [type.schema, appendedValue])).toMatchObject([[schema, value]]);
  });

  test('of a run is not retried while a later generation is under way or has ended, but after a cancel', async () => {
    const id = 'dlq_retried';
    await server.rows.event({ tenant: 'acme', id: 'evt_retried' });
    for (const [generation, state] of ['failed', 'waiting'].entries())
      await server.rows.run({ tenant: 'acme', event: 'evt_retried', id: `run_retried_${generation}`, generation, state });
    await server.rows.deadLetter({ tenant: 'acme', id, kind: 'run', event: 'evt_retried', run: 'run_retried_0' });
    const append = appended();
    const refused = (code: string, message: string) => ({
      code,
      path: ['input', 'id'],
      violations: [{ message: expect.stringContaining(message) as string }],
    });
    expect(await settle('retryDeadLetter', id, 'one')).toMatchObject(
      refused('deadLetter.underWay', 'run_retried_1 is waiting; wait until it has ended, or cancel it'),
    );
    await server.rows.endRun('acme', 'run_retried_1', 'completed');
    expect(await settle('retryDeadLetter', id, 'two')).toMatchObject(refused('deadLetter.resolved', 'run_retried_1 completed'));
    await server.rows.endRun('acme', 'run_retried_1', 'failed', 'model.refused');
    expect(await settle('retryDeadLetter', id, 'three')).toMatchObject(refused('deadLetter.resolved', 'run_retried_1 was given up, too'));
    expect(append).not.toHaveBeenCalled();
    await server.rows.endRun('acme', 'run_retried_1', 'failed', 'run.cancelled');
    expect(await settle('retryDeadLetter', id, 'four')).toEqual({ __typename: 'RetryDeadLetterSuccess' });
    expect(append.mock.calls.map(([, , value]) => value)).toMatchObject([{ eventId: 'evt_retried', flow: 'triage', deadLetterId: id }]);
    await server.rows.run({ tenant: 'acme', event: 'evt_retried', id: 'run_retried_2', generation: 2, state: 'running' });
    expect(await settle('retryDeadLetter', id, 'four')).toEqual({ __typename: 'RetryDeadLetterSuccess' });
  });

  test('is skipped with a command that names what failed', async () => {
    const append = appended();
    await server.rows.deadLetter({ tenant: 'acme', id: 'dlq_skip', kind: 'delivery', event: 'evt_1', delivery: 'dlv_1' });
    expect(await settle('skipDeadLetter', 'dlq_skip')).toEqual({ __typename: 'SkipDeadLetterSuccess' });
    expect(append.mock.calls.map(([, , value]) => value)).toMatchObject([
      { deadLetterId: 'dlq_skip', kind: 'delivery', deliveryId: 'dlv_1', customer: 'cus-1' },
    ]);
  });

  test.each(['skipDeadLetter', 'retryDeadLetter'] as const)(
    'is not settled by %s under a key that stands for another one',
    async (mutation) => {
      for (const id of [`dlq_one_${mutation}`, `dlq_two_${mutation}`]) {
        await server.rows.deadLetter({ tenant: 'acme', id, kind: 'run', event: 'evt_1', run: 'run_1' });
      }
      await settle(mutation, `dlq_one_${mutation}`, 'once');
      const append = appended();
      expect(await settle(mutation, `dlq_two_${mutation}`, 'once')).toMatchObject({ code: 'request.idempotencyMismatch' });
      expect(append).not.toHaveBeenCalled();
    },
  );

  test.each(['skipDeadLetter', 'retryDeadLetter'] as const)(
    'is settled again by %s with the same key, whatever came of it',
    async (mutation) => {
      const [id, success] = [`dlq_again_${mutation}`, { __typename: `${mutation[0]!.toUpperCase()}${mutation.slice(1)}Success` }];
      await server.rows.deadLetter({ tenant: 'acme', id, kind: 'delivery', event: 'evt_1', delivery: 'dlv_1' });
      const append = appended();
      expect(await settle(mutation, id)).toEqual(success);
      await server.rows.resolve('acme', id, 'redelivered');
      expect(await settle(mutation, id)).toEqual(success);
      expect(await settle(mutation, id, 'another-key')).toMatchObject({ code: 'deadLetter.resolved' });
      const ids = append.mock.calls.map(([, , value]) => (value as unknown as { commandId: string }).commandId);
      expect(ids).toEqual([ids[0], ids[0]]);
    },
  );

  test('that is skipped may be skipped again, and not retried', async () => {
    await server.rows.deadLetter({ tenant: 'acme', id: 'dlq_skipped', kind: 'run', event: 'evt_1', run: 'run_1', resolution: 'skipped' });
    expect(await settle('skipDeadLetter', 'dlq_skipped')).toEqual({ __typename: 'SkipDeadLetterSuccess' });
    expect(await settle('retryDeadLetter', 'dlq_skipped')).toMatchObject({ code: 'deadLetter.resolved' });
  });

  test('of a record that nobody waits for, one that is resolved and one that is not there are refused, each with its reason', async () => {
    await server.rows.deadLetter({ tenant: 'acme', id: 'dlq_passed', kind: 'record' });
    await server.rows.deadLetter({ tenant: 'acme', id: 'dlq_done', kind: 'run', run: 'run_1', resolved: true });
    expect(await settle('retryDeadLetter', 'dlq_passed')).toMatchObject({ code: 'deadLetter.notHeld', path: ['input', 'id'] });
    expect(await settle('skipDeadLetter', 'dlq_done')).toMatchObject({ code: 'deadLetter.resolved' });
    expect(await settle('skipDeadLetter', 'dlq_none')).toEqual({ __typename: 'NotFoundError', missing: ['dlq_none'] });
  });
});

describe('replayEvents', () => {
  const replay = (input: string, key = 'k') =>
    server.data<{ replayEvents: Record<string, unknown> }>(
      operator,
      `mutation { replayEvents(input: { ${input}, idempotencyKey: "${key}" }) {
        __typename
        ... on ReplayEventsSuccess { commandIds events { id } }
        ... on NotFoundError { missing }
        ... on ValidationError { code violations { path message } }
      } }`,
    );

  test('an idempotency key that was used for other events is refused, and nothing is replayed', async () => {
    await replay('ids: ["evt_2", "evt_1"]');
    const append = appended();
    expect((await replay('ids: ["evt_1"]')).replayEvents).toMatchObject({
      __typename: 'ValidationError',
      code: 'request.idempotencyMismatch',
      violations: [{ path: ['input', 'idempotencyKey'] }],
    });
    expect(append).not.toHaveBeenCalled();
  });

  test('appends a command per event, each keyed by its own customer', async () => {
    const append = appended();
    const { replayEvents } = await replay('ids: ["evt_2", "evt_1"]');
    expect(replayEvents['events']).toEqual([{ id: 'evt_2' }, { id: 'evt_1' }]);
    expect(append.mock.calls.map(([, , value]) => value)).toMatchObject([
      { customer: 'cus-2', eventId: 'evt_2', flow: null },
      { customer: 'cus-1', eventId: 'evt_1', flow: null },
    ]);
  });

  test('with an unknown id nothing is replayed, and the unknown ones are named', async () => {
    const append = appended();
    expect((await replay('ids: ["evt_1", "evt_x", "evt_y"]')).replayEvents).toEqual({
      __typename: 'NotFoundError',
      missing: ['evt_x', 'evt_y'],
    });
    expect(append).not.toHaveBeenCalled();
  });

  test('the event of a request is replayed with its own flow, and refused for another', async () => {
    const append = appended();
    await server.rows.event({ tenant: 'acme', id: 'evt_request', requestOf: 'triage' });
    await applyFlows('acme', 'triage', 'any');
    const refused = await replay('ids: ["evt_1", "evt_request"], flow: "any"');
    const message =
      'names the event of a request, on which only the flow triage runs: leave it out, or name that flow or none: evt_request';
    expect(refused.replayEvents['violations']).toEqual([{ path: ['input', 'ids'], message }]);
    expect(append).not.toHaveBeenCalled();
    expect((await replay('ids: ["evt_1"], flow: "any"', 'k2')).replayEvents).toMatchObject({ __typename: 'ReplayEventsSuccess' });
    expect((await replay('ids: ["evt_request"], flow: "triage"', 'k3')).replayEvents).toMatchObject({ __typename: 'ReplayEventsSuccess' });
  });

  test('a flow that runs on requests alone is refused for any other event', async () => {
    const append = appended();
    await applyTenant('acme');
    const onRequest = { default: 0 };
    const asks = {
      apiVersion: 'millrace/v1',
      kind: 'Flow',
      metadata: { tenant: 'acme', name: 'asks' },
      spec: { onRequest, steps: [{ id: 'say', map: { expression: '1' } }] },
    };
    const mutation = 'mutation ($documents: [JSON!]!) { applyDocuments(input: { documents: $documents }) { __typename } }';
    expect(await server.data({ operatorIn: 'acme' }, mutation, { documents: [asks] })).toMatchObject({
      applyDocuments: { __typename: 'ApplyDocumentsSuccess' },
    });
    const message = 'names an event that is no request, and the flow asks runs on requests alone: evt_1';
    expect((await replay('ids: ["evt_1"], flow: "asks"')).replayEvents['violations']).toEqual([{ path: ['input', 'ids'], message }]);
    expect(append).not.toHaveBeenCalled();
  });

  test('no ids, too many of them and an unknown flow are refused by their paths', async () => {
    const refusals = [
      await replay('ids: []'),
      await replay(`ids: [${'"x" '.repeat(101)}]`),
      await replay('ids: ["evt_1"], flow: "no-such"'),
    ];
    expect(refusals.map(({ replayEvents }) => replayEvents['violations'])).toMatchObject([
      [{ path: ['input', 'ids'] }],
      [{ path: ['input', 'ids'] }],
      [{ path: ['input', 'flow'], message: 'names no flow of this tenant: no-such' }],
    ]);
  });
});

async function applyFlows(tenant: string, ...names: string[]): Promise<void> {
  const spec = { steps: [{ id: 'say', map: { expression: '1' } }] };
  const flows = names.map((name) => ({ apiVersion: 'millrace/v1', kind: 'Flow', metadata: { tenant, name }, spec }));
  const mutation = 'mutation ($documents: [JSON!]!) { applyDocuments(input: { documents: $documents }) { __typename } }';
  await applyTenant(tenant);
  await server.data({ operatorIn: tenant }, mutation, { documents: flows });
  await waitFor(
    () =>
      names.every((name) =>
        server
          .part(Configuration)
          .flows(tenant)
          .some((one) => one.name === name),
      ),
    {
      what: 'the flows to be current',
    },
  );
}

const applyTenant = (tenant: string) =>
  server.data(
    { operatorIn: tenant },
    'mutation ($documents: [JSON!]!) { applyDocuments(input: { documents: $documents }) { __typename } }',
    {
      documents: [{ apiVersion: 'millrace/v1', kind: 'Tenant', metadata: { name: tenant }, spec: { displayName: tenant } }],
    },
  );

test('an API key for a tenant that nobody applied is refused with the remedy, and works once it was applied', async () => {
  const tenant = uniqueName('tenant');
  const create = () =>
    server.data(
      { operatorIn: tenant },
      `mutation { createApiKey(input: { name: "first", scopes: [READ] }) { __typename ... on NotFoundError { code message missing } } }`,
    );
  expect(await create()).toEqual({
    createApiKey: {
      __typename: 'NotFoundError',
      code: 'tenant.unknown',
      message: `There is no tenant ${tenant}. Apply its Tenant document first, then create its keys.`,
      missing: [tenant],
    },
  });
  await applyTenant(tenant);
  expect(await create()).toEqual({ createApiKey: { __typename: 'CreateApiKeySuccess' } });
});

test('an API key is shown once, works, is listed without its secret, and ends when it is revoked', async () => {
  const as = { operatorIn: 'acme' };
  await applyTenant('acme');
  const { createApiKey } = await server.data<{ createApiKey: { key: string; apiKey: { id: string } } }>(
    as,
    `mutation { createApiKey(input: { name: "  console ", scopes: [READ, READ] }) { ... on CreateApiKeySuccess { key apiKey { id name scopes createdBy } } } }`,
  );
  expect(createApiKey).toMatchObject({
    key: expect.stringMatching(/^mr_test_/) as string,
    apiKey: { name: 'console', scopes: ['READ'], createdBy: 'operator' },
  });
  const statusWith = async (): Promise<number> => (await server.ask(createApiKey.key, '{ __typename }')).status;
  await waitFor(async () => (await statusWith()) === 200, { what: 'the new key to be in force' });

  const { apiKeys } = await server.data<{ apiKeys: object[] }>(as, '{ apiKeys { id name revokedAt } }');
  expect(apiKeys).toContainEqual({ id: createApiKey.apiKey.id, name: 'console', revokedAt: null });
  await server.data(as, `mutation { revokeApiKey(input: { id: "${createApiKey.apiKey.id}" }) { __typename } }`);
  await waitFor(async () => (await statusWith()) === 401, { what: 'the revoked key to be refused' });
});

test('an API key without a name or scopes, or one that has expired already, is refused with all reasons', async () => {
  const { createApiKey } = await server.data<{ createApiKey: { violations: { path: string[] }[] } }>(
    { operatorIn: 'acme' },
    `mutation { createApiKey(input: { name: " ", scopes: [], expiresAt: "2020-01-01T00:00:00Z" }) { ... on ValidationError { violations { path message } } } }`,
  );
  expect(createApiKey.violations.map(({ path }) => path.join('.'))).toEqual(['input.name', 'input.scopes', 'input.expiresAt']);
});
