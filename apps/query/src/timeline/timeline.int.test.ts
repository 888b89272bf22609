import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newRunId } from '#libs/contracts';
import { QueryServer } from '../../../../test/query/query-server.js';

let server: QueryServer;
let operator: string;
const at = (second: number): Date => new Date(Date.UTC(2026, 10, 1, 8, 0, second));

beforeAll(async () => {
  server = await QueryServer.start();
  operator = await server.key('acme', 'read', 'operate');
});
afterAll(() => server.stop());

test('an event tells everything that happened to it, in order', async () => {
  const { rows } = server;
  await rows.event({ tenant: 'acme', id: 'evt_t', receivedAt: at(0), recordedAt: at(1) });
  await rows.run({ tenant: 'acme', id: 'run_t', event: 'evt_t', startedAt: at(2) });
  await rows.delivery({ tenant: 'acme', id: 'dlv_t', event: 'evt_t', run: 'run_t', state: 'parked', createdAt: at(3) });
  await rows.deadLetter({ tenant: 'acme', id: 'dlq_t', event: 'evt_t', run: 'run_t', delivery: 'dlv_t', createdAt: at(4) });
  await server.data(operator, 'mutation { redeliver(input: { deliveryId: "dlv_t", idempotencyKey: "again" }) { __typename } }');
  await server.data(operator, 'mutation { redeliver(input: { deliveryId: "dlv_t", idempotencyKey: "again" }) { __typename } }');

  const query = '{ event(id: "evt_t") { state timeline { kind title code runId deliveryId deadLetterId attempt actor } } }';
  const { event } = await server.data<{ event: { state: string; timeline: { kind: string; title: string }[] } }>(operator, query);
  expect(event.state).toBe('PARKED');
  expect(event.timeline.map(({ kind, title }) => `${kind}: ${title}`)).toEqual([
    'RECEIVED: Received from stripe',
    'RECORDED: Recorded',
    'RUN_STARTED: Flow triage started',
    'MODEL_ATTEMPT: Model local/rules-1 of mine answered for assess',
    'STEP_FINISHED: Step assess (infer) finished',
    'RUN_COMPLETED: Flow triage reached its decision',
    'DELIVERY_SCHEDULED: Delivery to crm scheduled',
    'DELIVERY_ATTEMPT: Delivery to crm failed, attempt 1 (503)',
    'PARKED: Gave up on the delivery: The destination refused',
    'REDELIVERY_REQUESTED: Redelivery to crm requested',
  ]);
  expect(event.timeline.at(-1)).toMatchObject({ deliveryId: 'dlv_t', actor: expect.stringMatching(/^key:/) as string });
  expect(event.timeline.at(-3)).toMatchObject({ code: 'delivery.unavailable', attempt: 1 });
});

test('steps of one millisecond stand in the order they ran, each call of a model before its step', async () => {
  const { rows } = server;
  const ids = ['zeta', 'alpha', 'mid', 'beta', 'omega', 'gamma'];
  await rows.flow({ tenant: 'acme', name: 'ordered', version: 3, steps: ids });
  await rows.flow({ tenant: 'acme', name: 'ordered', version: 4, steps: ids.toReversed() });
  await rows.event({ tenant: 'acme', id: 'evt_o', receivedAt: at(0) });
  const run = { tenant: 'acme', event: 'evt_o', flow: 'ordered', flowVersion: 3, startedAt: at(2) };
  await rows.run({ ...run, id: 'run_o', steps: ids.toReversed() });
  const query = '{ event(id: "evt_o") { timeline { kind step } runs { steps { id } modelAttempts { step } } } }';
  const { event } = await server.data<{
    event: { timeline: { kind: string; step: string | null }[]; runs: { steps: { id: string }[]; modelAttempts: { step: string }[] }[] };
  }>(operator, query);
  expect(event.runs[0]!.steps.map(({ id }) => id)).toEqual(ids);
  expect(event.runs[0]!.modelAttempts.map(({ step }) => step)).toEqual(ids);
  const ofSteps = event.timeline.filter(({ step }) => step !== null);
  expect(ofSteps.map(({ kind, step }) => `${kind} ${step}`)).toEqual(ids.flatMap((id) => [`MODEL_ATTEMPT ${id}`, `STEP_FINISHED ${id}`]));
});

test('steps within others stand in the order in which they ended, with what they began with and what they fell back from', async () => {
  const { rows } = server;
  await rows.event({ tenant: 'acme', id: 'evt_n', receivedAt: at(0) });
  await rows.run({ tenant: 'acme', id: 'run_n', event: 'evt_n', startedAt: at(2), steps: [] });
  await rows.results({
    tenant: 'acme',
    run: 'run_n',
    event: 'evt_n',
    at: at(5),
    results: [
      { step: 'route:choice', kind: 'branch', state: 'began', output: { case: 1 } },
      { step: 'route/zeta', kind: 'map', state: 'succeeded', output: 1 },
      { step: 'route/assess:error', kind: 'infer', state: 'failed', errorCode: 'model.refused' },
      { step: 'route/assess', kind: 'infer', state: 'succeeded', output: 2, errorCode: 'model.refused' },
      { step: 'route', kind: 'branch', state: 'succeeded', output: 2 },
      { step: 'last', kind: 'map', state: 'failed', errorCode: 'flow.expressionFailed' },
    ],
  });
  const query = '{ event(id: "evt_n") { timeline { kind title code } runs { steps { id state failure { code message } } } } }';
  const { event } = await server.data<{
    event: {
      timeline: { kind: string; title: string; code: string | null }[];
      runs: { steps: { id: string; state: string; failure: object | null }[] }[];
    };
  }>(operator, query);
  const refused = { code: 'model.refused', message: 'It failed' };
  expect(event.runs[0]!.steps).toEqual([
    { id: 'route:choice', state: 'BEGAN', failure: null },
    { id: 'route/zeta', state: 'SUCCEEDED', failure: null },
    { id: 'route/assess:error', state: 'FAILED', failure: refused },
    { id: 'route/assess', state: 'SUCCEEDED', failure: refused },
    { id: 'route', state: 'SUCCEEDED', failure: null },
    { id: 'last', state: 'FAILED', failure: { code: 'flow.expressionFailed', message: 'It failed' } },
  ]);
  const told = event.timeline.filter(({ kind }) => kind.startsWith('STEP_')).map(({ kind, title, code }) => [kind, title, code]);
  expect(told).toEqual([
    ['STEP_BEGAN', 'Step route (branch) began the steps within it', null],
    ['STEP_FINISHED', 'Step route/zeta (map) finished', null],
    ['STEP_FAILED', 'Step route/assess failed (model.refused)', 'model.refused'],
    ['STEP_FINISHED', 'Step route/assess (infer) fell back', 'model.refused'],
    ['STEP_FINISHED', 'Step route (branch) finished', null],
    ['STEP_FAILED', 'Step last failed (flow.expressionFailed)', 'flow.expressionFailed'],
  ]);
});

test('of every flow the newest generation says how far an event got', async () => {
  const { rows } = server;
  const state = async (id: string): Promise<string> =>
    (await server.data<{ event: { state: string } }>(operator, `{ event(id: "${id}") { state } }`)).event.state;
  await rows.event({ tenant: 'acme', id: 'evt_s' });
  expect(await state('evt_s')).toBe('RECORDED');
  await rows.run({ tenant: 'acme', id: 'run_s0', event: 'evt_s', state: 'failed' });
  expect(await state('evt_s')).toBe('PARKED');
  await rows.run({ tenant: 'acme', id: 'run_s1', event: 'evt_s', generation: 1, state: 'running' });
  expect(await state('evt_s')).toBe('RUNNING');
  await rows.run({ tenant: 'acme', id: 'run_s2', event: 'evt_s', generation: 2, planned: 1 });
  expect(await state('evt_s')).toBe('DELIVERING'); // decided, and its delivery is not written yet
  await rows.delivery({ tenant: 'acme', id: 'dlv_s', event: 'evt_s', run: 'run_s2', state: 'delivered' });
  expect(await state('evt_s')).toBe('COMPLETED');
});

const stateOf = async (id: string): Promise<string> =>
  (await server.data<{ event: { state: string } }>(operator, `{ event(id: "${id}") { state } }`)).event.state;

test('a failed run parks its event until its dead letter is skipped; of another flow each counts', async () => {
  const { rows } = server;
  const run = { tenant: 'acme', event: 'evt_k', state: 'failed' };
  await rows.event({ tenant: 'acme', id: 'evt_k' });
  await rows.run({ ...run, id: 'run_k0' });
  await rows.run({ ...run, id: 'run_k1', flow: 'other' });
  await rows.deadLetter({ tenant: 'acme', id: 'dlq_k0', kind: 'run', event: 'evt_k', run: 'run_k0', resolution: 'skipped' });
  expect(await stateOf('evt_k')).toBe('PARKED');
  await rows.deadLetter({ tenant: 'acme', id: 'dlq_k1', kind: 'run', event: 'evt_k', run: 'run_k1' });
  expect(await stateOf('evt_k')).toBe('PARKED');
  await rows.settled({ tenant: 'acme', deadLetter: 'dlq_k1', resolution: 'skipped' });
  expect(await stateOf('evt_k')).toBe('COMPLETED');
  await rows.run({ ...run, id: 'run_k2', generation: 1 });
  expect(await stateOf('evt_k')).toBe('PARKED'); // a replay failed after the skip
});

describe('a replay that was cancelled', () => {
  const cancelled = { tenant: 'acme', state: 'failed', errorCode: 'run.cancelled', generation: 1 };

  test('leaves its event parked while the dead letter of the run before it is open', async () => {
    const { rows } = server;
    await rows.event({ tenant: 'acme', id: 'evt_c' });
    await rows.run({ tenant: 'acme', id: 'run_c0', event: 'evt_c', state: 'failed' });
    await rows.deadLetter({ tenant: 'acme', id: 'dlq_c', kind: 'run', event: 'evt_c', run: 'run_c0' });
    await rows.run({ ...cancelled, id: 'run_c1', event: 'evt_c' });
    expect(await stateOf('evt_c')).toBe('PARKED');
    const { events } = await server.data<{ events: { nodes: { id: string }[] } }>(
      operator,
      '{ events(filter: { states: [PARKED] }) { nodes { id } } }',
    );
    expect(events.nodes).toContainEqual({ id: 'evt_c' });
    await rows.settled({ tenant: 'acme', deadLetter: 'dlq_c', resolution: 'skipped' });
    expect(await stateOf('evt_c')).toBe('COMPLETED');
  });

  test('leaves the decision before it as it was: what that delivers counts', async () => {
    const { rows } = server;
    await rows.event({ tenant: 'acme', id: 'evt_d' });
    await rows.run({ tenant: 'acme', id: 'run_d0', event: 'evt_d', planned: 1 });
    await rows.delivery({ tenant: 'acme', id: 'dlv_d', event: 'evt_d', run: 'run_d0', state: 'parked' });
    await rows.run({ ...cancelled, id: 'run_d1', event: 'evt_d' });
    expect(await stateOf('evt_d')).toBe('PARKED');
  });

  test('and the first run of its event, too, leave nothing to do but the notice to who asked for it', async () => {
    const { rows } = server;
    await rows.event({ tenant: 'acme', id: 'evt_b' });
    await rows.run({ ...cancelled, id: 'run_b0', event: 'evt_b', generation: 0 });
    expect(await stateOf('evt_b')).toBe('COMPLETED');
    await rows.run({ ...cancelled, id: 'run_b1', event: 'evt_b' });
    expect(await stateOf('evt_b')).toBe('COMPLETED');
    await rows.delivery({ tenant: 'acme', id: 'dlv_b', event: 'evt_b', run: 'run_b1', state: 'pending' });
    expect(await stateOf('evt_b')).toBe('DELIVERING');
  });
});

test('the timeline tells which dead letter was skipped, and by whom', async () => {
  const { rows } = server;
  await rows.event({ tenant: 'acme', id: 'evt_z', receivedAt: at(0), recordedAt: at(1) });
  await rows.run({ tenant: 'acme', id: 'run_z', event: 'evt_z', state: 'failed', startedAt: at(2), steps: [] });
  await rows.deadLetter({ tenant: 'acme', id: 'dlq_z', kind: 'run', event: 'evt_z', run: 'run_z', createdAt: at(3) });
  await rows.deadLetter({ tenant: 'acme', id: 'dlq_y', kind: 'record', event: 'evt_z', createdAt: at(4), resolution: 'skipped' });
  const skip = (as: string | { operatorIn: string }, idempotencyKey: string) =>
    server.data(as, `mutation { skipDeadLetter(input: { id: "dlq_z", idempotencyKey: "${idempotencyKey}" }) { __typename } }`);
  await skip({ operatorIn: 'acme' }, 'first');
  await rows.settled({ tenant: 'acme', deadLetter: 'dlq_z', resolution: 'skipped' });
  await skip(operator, 'second'); // changes nothing
  const { event } = await server.data<{ event: { timeline: object[] } }>(
    operator,
    '{ event(id: "evt_z") { timeline { title kind runId deadLetterId actor } } }',
  );
  expect(event.timeline.slice(-3)).toEqual([
    { title: 'Gave up on the record: The destination refused', kind: 'PARKED', runId: null, deadLetterId: 'dlq_y', actor: null },
    { title: 'The record was skipped', kind: 'SKIPPED', runId: null, deadLetterId: 'dlq_y', actor: null },
    { title: 'The run was skipped by operator', kind: 'SKIPPED', runId: 'run_z', deadLetterId: 'dlq_z', actor: 'operator' },
  ]);
});

test('the timeline tells who retried a dead letter of a run or a delivery', async () => {
  const { rows } = server;
  await rows.event({ tenant: 'acme', id: 'evt_r', receivedAt: at(0), recordedAt: at(1) });
  await rows.run({ tenant: 'acme', id: 'run_r0', event: 'evt_r', state: 'failed', startedAt: at(2), steps: [] });
  await rows.run({ tenant: 'acme', id: 'run_r1', event: 'evt_r', flow: 'other', startedAt: at(2), steps: [] });
  await rows.delivery({ tenant: 'acme', id: 'dlv_r', event: 'evt_r', run: 'run_r1', state: 'parked', createdAt: at(3) });
  await rows.deadLetter({ tenant: 'acme', id: 'dlq_r0', kind: 'run', event: 'evt_r', run: 'run_r0', createdAt: at(4) });
  await rows.deadLetter({ tenant: 'acme', id: 'dlq_r1', event: 'evt_r', run: 'run_r1', delivery: 'dlv_r', createdAt: at(4) });
  for (const id of ['dlq_r0', 'dlq_r1']) {
    const retry = `mutation { retryDeadLetter(input: { id: "${id}", idempotencyKey: "${id}" }) { __typename } }`;
    expect(await server.data({ operatorIn: 'acme' }, retry)).toEqual({ retryDeadLetter: { __typename: 'RetryDeadLetterSuccess' } });
  }
  const { event } = await server.data<{ event: { timeline: object[] } }>(
    operator,
    '{ event(id: "evt_r") { timeline { title deliveryId actor } } }',
  );
  expect(event.timeline.slice(-2)).toEqual([
    { title: 'Replay of flow triage requested', deliveryId: null, actor: 'operator' },
    { title: 'Redelivery to crm requested', deliveryId: 'dlv_r', actor: 'operator' },
  ]);
});

test('an event has the deliveries of its runs, those of before ids began with a time among them', async () => {
  const { rows } = server;
  const runs = [
    { generation: 0, run: 'run_5ezrsw5m37a1eeftfwg5f0eq2rt0hb76', delivery: 'dlv_am6j6pxa1q1x6qshz1vdqn1ybcysas8t' },
    { generation: 1, run: newRunId(), delivery: 'dlv_1k9abcdef0123456789abcdefghjkmnpqrs' },
  ];
  await rows.event({ tenant: 'acme', id: 'evt_old', receivedAt: at(0) });
  for (const { generation, run, delivery } of runs) {
    await rows.run({ tenant: 'acme', id: run, event: 'evt_old', generation, planned: 1, startedAt: at(10 * generation + 1) });
    await rows.delivery({ tenant: 'acme', id: delivery, event: 'evt_old', run, createdAt: at(10 * generation + 2) });
  }
  const { event } = await server.data<{
    event: {
      state: string;
      deliveries: { id: string }[];
      runs: { id: string; deliveries: { id: string }[] }[];
      timeline: { deliveryId: string }[];
    };
  }>(operator, '{ event(id: "evt_old") { state deliveries { id } runs { id deliveries { id } } timeline { deliveryId } } }');
  expect(event.state).toBe('COMPLETED');
  expect(event.deliveries.map(({ id }) => id)).toEqual(runs.toReversed().map(({ delivery }) => delivery));
  expect(event.runs.map(({ id, deliveries }) => [id, ...deliveries.map((one) => one.id)])).toEqual(
    runs.toReversed().map(({ run, delivery }) => [run, delivery]),
  );
  expect(event.timeline.flatMap(({ deliveryId: id }) => id ?? [])).toEqual(runs.flatMap(({ delivery }) => [delivery, delivery]));
});

test('a list by state has the events that say they are in it', async () => {
  const states = ['RECORDED', 'RUNNING', 'DELIVERING', 'COMPLETED', 'PARKED'];
  await server.rows.event({ tenant: 'acme', id: 'evt_new' });
  for (const state of states) {
    const { events } = await server.data<{ events: { nodes: { state: string }[] } }>(
      operator,
      'query ($states: [EventState!]) { events(filter: { states: $states }) { nodes { id state } } }',
      { states: [state] },
    );
    expect(events.nodes.every((node) => node.state === state)).toBe(true);
    if (['RECORDED', 'COMPLETED', 'PARKED'].includes(state)) expect(events.nodes.length).toBeGreaterThan(0);
  }
});
