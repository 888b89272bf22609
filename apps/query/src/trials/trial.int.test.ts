import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { CancelTrial, StartTrial } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import { Database, statement } from '#libs/persistence';
import { uniqueName } from '#libs/testing';
import { QueryServer } from '../../../../test/query/query-server.js';

let server: QueryServer;
let database: Database;
let tenant: string;
beforeAll(async () => {
  server = await QueryServer.start();
  database = await Database.connect({ url: server.databaseUrl, role: 'millrace_service', applicationName: 'test' });
});
afterAll(async () => {
  await database.close();
  await server.stop();
});

async function apply(...documents: object[]): Promise<void> {
  const mutation = 'mutation ($documents: [JSON!]!) { applyDocuments(input: { documents: $documents }) { __typename } }';
  const { applyDocuments } = await server.data<{ applyDocuments: object }>({ operatorIn: tenant }, mutation, { documents });
  expect(applyDocuments).toEqual({ __typename: 'ApplyDocumentsSuccess' });
}
const flow = (steps: object[] = [{ id: 'action', map: { expression: 'event.data.amount' } }]) => ({
  apiVersion: 'millrace/v1',
  kind: 'Flow',
  metadata: { tenant, name: 'triage' },
  spec: { steps },
});
beforeEach(async () => {
  tenant = uniqueName('tenant');
  await apply({ apiVersion: 'millrace/v1', kind: 'Tenant', metadata: { name: tenant }, spec: { displayName: 'Acme' } }, flow());
  await server.rows.event({ tenant, id: 'evt_1' });
});

function appended() {
  const append = vi.spyOn(server.part(RecordProducer), 'append');
  onTestFinished(() => append.mockRestore());
  return append;
}

const audits = statement('test.trial.audits', 'SELECT action, target, detail FROM audit_entry WHERE tenant_id = $1');

type Answer = { __typename: string; trialId?: string; code?: string; violations?: { path: string[]; message: string }[] };
type Caller = Parameters<QueryServer['data']>[0];
async function start(mutation: 'tryFlow' | 'startBacktest', input: object, caller: Caller = { operatorIn: tenant }): Promise<Answer> {
  const [type, success] = mutation === 'tryFlow' ? ['TryFlowInput', 'TryFlowSuccess'] : ['StartBacktestInput', 'StartBacktestSuccess'];
  const query = `mutation ($input: ${type}!) { started: ${mutation}(input: $input) { __typename ... on ${success} { trialId }
    ... on ValidationError { code violations { path message } } ... on NotFoundError { code } ... on ForbiddenError { code } } }`;
  return (await server.data<{ started: Answer }>(caller, query, { input: { idempotencyKey: uniqueName('k'), ...input } })).started;
}
const paths = ({ violations }: Answer): string[] => (violations ?? []).map(({ path }) => path.slice(1).join('.'));

describe('a trial that is asked for', () => {
  test('is one command on the log, with an audit entry and an id that a repeat shares', async () => {
    const append = appended();
    const input = {
      flow: { applied: { name: 'triage' } },
      filter: { customer: 'c-1', receivedFrom: '2026-11-01T00:00:00Z' },
      last: 7,
      maxCost: { amount: '2.5', currency: 'USD' },
      idempotencyKey: 'once',
    };
    const { trialId } = await start('startBacktest', input);
    expect((await start('startBacktest', input)).trialId).toBe(trialId);
    expect(append.mock.calls.map(([, type]) => type)).toEqual([StartTrial, StartTrial]);
    expect(append.mock.calls[0]![2]).toMatchObject({
      tenant,
      customer: '-',
      kind: 'backtest',
      flow: 'triage',
      version: 1,
      document: null,
      events: { eventId: null, sample: null, filter: { customer: 'c-1', receivedFrom: '2026-11-01T00:00:00.000Z' } },
      maxEvents: 7,
      maxSeconds: 900,
      maxCost: { nanos: 2_500_000_000, currency: 'USD' },
    });
    expect(await database.query(audits, [tenant])).toContainEqual({
      action: 'startBacktest',
      target: trialId,
      detail: { flow: 'triage', version: 1, kind: 'backtest' },
    });
  });

  test('takes a document that is not applied, from who may apply it', async () => {
    const append = appended();
    const given = { flow: { document: flow([{ id: 'other', map: { expression: '1' } }]) }, event: { id: 'evt_1' } };
    expect((await start('tryFlow', given)).__typename).toBe('TryFlowSuccess');
    expect(append.mock.calls[0]![2]).toMatchObject({
      kind: 'try',
      version: null,
      document: { kind: 'Flow' },
      events: { eventId: 'evt_1' },
      maxEvents: 1,
    });
    const operator = await server.key(tenant, 'read', 'operate');
    expect(await start('tryFlow', given, operator)).toMatchObject({ __typename: 'ForbiddenError', code: 'credential.scope' });
    expect((await start('tryFlow', { ...given, flow: { applied: { name: 'triage' } } }, operator)).__typename).toBe('TryFlowSuccess');
    const reader = await server.key(tenant, 'read');
    expect(await start('startBacktest', { flow: { applied: { name: 'triage' } } }, reader)).toMatchObject({ __typename: 'ForbiddenError' });
  });

  test('is refused by the field that does not fit, and nothing is ordered', async () => {
    const append = appended();
    const applied = { applied: { name: 'triage' } };
    const broken = { document: { ...flow([{ id: 'a', map: { expression: 'event.data.' } }]) } };
    expect(
      paths(await start('startBacktest', { flow: applied, last: 1_001, maxSeconds: 0, maxCost: { amount: 'x', currency: 'usd' } })),
    ).toEqual(['last', 'maxSeconds', 'maxCost.amount', 'maxCost.currency']);
    expect(paths(await start('startBacktest', { flow: broken }))).toEqual(['flow.document.spec.steps.0.map.expression']);
    const unknown = { document: flow([{ id: 'tell', deliver: { destination: 'nosuch' } }]) };
    expect(paths(await start('startBacktest', { flow: unknown }))).toEqual(['flow.document.spec.steps.0.deliver.destination']);
    expect(paths(await start('tryFlow', { flow: applied, event: { id: 'evt_1' }, step: 'nosuch' }))).toEqual(['step']);
    expect(paths(await start('tryFlow', { flow: applied, event: { id: 'evt_1' }, outputs: [1] }))).toEqual(['outputs']);
    expect(paths(await start('startBacktest', { flow: applied, outputs: { nosuch: 1 } }))).toEqual(['outputs.nosuch']);
    expect(await start('tryFlow', { flow: applied, event: { id: 'evt_9' } })).toMatchObject({
      __typename: 'NotFoundError',
      code: 'event.unknown',
    });
    expect(await start('tryFlow', { flow: { applied: { name: 'triage', version: 9 } }, event: { id: 'evt_1' } })).toMatchObject({
      code: 'flow.unknown',
    });
    const long = { type: 't', source: 's', customer: 'c', data: 'x'.repeat(600_000) };
    expect(paths(await start('tryFlow', { flow: applied, event: { sample: long } }))).toEqual(['flow']);
    expect(append).not.toHaveBeenCalled();
  });
});

const setPrice = statement(
  'test.estimate.price',
  `UPDATE model_attempt SET cost_nanos = $3, currency = $4 WHERE tenant_id = $1 AND run_id = $2`,
);

const passOver = statement(
  'test.estimate.passOver',
  `INSERT INTO model_attempt (tenant_id, run_id, step, number, fence, event_id, model, outcome, started_at, finished_at)
   SELECT tenant_id, run_id, step, 0, fence, event_id, model, 'passedOver', started_at, started_at FROM model_attempt WHERE tenant_id = $1`,
);

describe('an estimate of costs', () => {
  const ask = (variables: object, of: Caller = { operatorIn: tenant }) =>
    server.ask<{ estimateCost: object }>(
      of,
      `query ($flow: String, $trial: ID, $from: DateTime!, $before: DateTime!) { estimateCost(flow: $flow, trial: $trial, from: $from, before: $before) {
        flow sampleEvents sampleRuns unpricedCalls windowEvents { value exact } estimatedRuns costs { amount currency } } }`,
      { from: '2026-11-01T00:00:00Z', before: '2099-12-01T00:00:00Z', ...variables },
    );

  test('is the average of the runs of a flow, times the share of events that it runs on, times the events of the window', async () => {
    for (const n of [2, 3, 4]) await server.rows.event({ tenant, id: `evt_${n}`, receivedAt: new Date(`2026-11-0${n}T10:00:00Z`) });
    for (const [n, nanos] of [
      [1, 1_000_000],
      [2, 3_000_000],
    ] as const) {
      await server.rows.run({ tenant, id: `run_${n}`, event: `evt_${n}` });
      await database.query(setPrice, [tenant, `run_${n}`, nanos, 'USD']);
    }
    await database.query(passOver, [tenant]);
    const { data } = await ask({ flow: 'triage', from: '2026-11-02T00:00:00Z', before: '2026-11-04T00:00:00Z' });
    expect(data!.estimateCost).toMatchObject({
      flow: 'triage',
      sampleEvents: 4,
      sampleRuns: 2,
      unpricedCalls: 0, // a model that was passed over was not called
      windowEvents: { value: 2, exact: true },
      estimatedRuns: 1,
      costs: [{ amount: '0.002', currency: 'USD' }],
    });
  });

  test('counts the requests of a flow that takes them, and for no other flow', async () => {
    const month = { from: '2026-11-01T00:00:00Z', before: '2099-12-01T00:00:00Z' };
    const day = (n: number): Date => new Date(`2026-11-0${n}T10:00:00Z`);
    for (const n of [2, 3, 4]) await server.rows.event({ tenant, id: `evt_${n}`, source: 'asked', requestOf: 'asked', receivedAt: day(n) });
    await server.rows.event({ tenant, id: 'evt_5', source: 'other', requestOf: 'other', receivedAt: day(5) });
    await server.rows.event({ tenant, id: 'evt_6', source: 'asked', receivedAt: day(6) });
    await server.rows.run({ tenant, id: 'run_2', event: 'evt_2', flow: 'asked' });
    await database.query(setPrice, [tenant, 'run_2', 3_000_000, 'USD']);
    const document = (spec: object) => ({ apiVersion: 'millrace/v1', kind: 'Flow', metadata: { tenant, name: 'asked' }, spec });
    const asked = async (spec: object, of: string): Promise<unknown> => {
      await apply(document({ steps: [{ id: 'a', map: { expression: '1' } }], ...spec }));
      return (await ask({ flow: of, ...month })).data!.estimateCost;
    };
    const source = (name: string) => ({
      apiVersion: 'millrace/v1',
      kind: 'Source',
      metadata: { tenant, name },
      spec: { scheme: 'api-key' },
    });
    await apply(source('stripe'), source('asked'));
    const onRequest = { default: 0 };
    expect(await asked({ onRequest, on: { sources: ['stripe'] } }, 'asked')).toMatchObject({
      sampleEvents: 5,
      sampleRuns: 1,
      windowEvents: { value: 5 },
      estimatedRuns: 1,
      costs: [{ amount: '0.003', currency: 'USD' }],
    });
    expect(await asked({ onRequest, on: { types: ['invoice.*'] } }, 'asked')).toMatchObject({
      sampleEvents: 5,
      windowEvents: { value: 5 },
    });
    expect(await asked({ on: { sources: ['asked'] } }, 'asked')).toMatchObject({ sampleEvents: 4 });
    expect(await asked({}, 'triage')).toMatchObject({ sampleEvents: 2, windowEvents: { value: 2 } });
  });

  test('of a flow that is not applied is made from a trial of it', async () => {
    await database.query(insertTrial, [tenant]);
    await database.query(insertOutcomes, [tenant]);
    await server.rows.event({ tenant, id: 'evt_7', receivedAt: new Date('2026-11-07T10:00:00Z') });
    const window = { from: '2026-11-07T00:00:00Z', before: '2026-11-08T00:00:00Z' };
    const { data } = await ask({ trial: 'trl_1', ...window });
    expect(data!.estimateCost).toMatchObject({
      sampleEvents: 3,
      sampleRuns: 2,
      estimatedRuns: 1,
      costs: [{ amount: '0.001', currency: 'USD' }],
    });
    const { errors } = await ask({ trial: 'trl_1', ...window }, await server.key(uniqueName('tenant'), 'read'));
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'trial.unknown' });
  });

  test('needs a flow or a trial, and a window', async () => {
    const code = async (variables: object) => (await ask(variables)).errors?.[0]?.extensions?.['code'];
    expect(await code({})).toBe('request.invalid');
    expect(await code({ flow: 'triage', trial: 'trl_1' })).toBe('request.invalid');
    expect(await code({ flow: 'nosuch' })).toBe('flow.unknown');
    expect(await code({ flow: 'triage', before: '2026-10-01T00:00:00Z' })).toBe('request.invalid');
  });
});

const insertTrial = statement(
  'test.insertTrial',
  `INSERT INTO trial (tenant_id, id, kind, flow, flow_version, events, outputs, max_events, max_seconds, state, actor, scanned) VALUES
   ($1, 'trl_1', 'backtest', 'triage', 1, '{}', '{}', 100, 900, 'completed', 'key:1', 3), ($1, 'trl_2', 'try', 'triage', 2, '{}', '{}', 1, 150, 'running', 'key:1', 0)`,
);
const insertOutcomes = statement(
  'test.insertOutcomes',
  `INSERT INTO trial_outcome (tenant_id, trial_id, event_id, ordinal, customer, received_at, change, is_match, decision, deliveries, steps, costs, duration_ms,
     base_run_id, base_costs, base_duration_ms, differences, difference_count, obstacle)
   VALUES ($1, 'trl_1', 'evt_1', 0, 'c', now(), 'different', true, '{"a": 2.50}', '[{"step": "tell", "destination": "crm", "payload": {"n": 1}}]',
       '[{"id": "assess", "kind": "infer", "state": "succeeded", "input": "x", "output": {"t": 1}, "inference": {"model": "m"}, "startedAt": "2026-11-30T10:00:00.000Z", "finishedAt": "2026-11-30T10:00:00.250Z", "costs": {"USD": 1500000}}]',
       '{"USD": 1500000}', 250, 'run_1', '{"USD": 1000000}', 400, '[{"path": "decision.a", "before": 1}]', 1, NULL),
     ($1, 'trl_1', 'evt_2', 1, 'c', now(), 'failed', true, NULL, '[]', NULL, '{"USD": 500000}', 750, NULL, '{}', NULL, '[]', 0, 'failed')`,
);

const setCounts = statement(
  'test.trial.setCounts',
  `UPDATE trial SET max_events = $2, scanned = $3, skipped = $4 WHERE tenant_id = $1 AND id = 'trl_1'`,
);

describe('a trial', () => {
  beforeEach(async () => {
    await server.rows.run({ tenant, id: 'run_1', event: 'evt_1' });
    await database.query(insertTrial, [tenant]);
    await database.query(insertOutcomes, [tenant]);
  });

  test('shows how far it is, its results and its costs beside those of the stored runs, to its tenant alone', async () => {
    const query = `{ trial(id: "trl_1") { id kind flowVersion state scanned
        summary { events different failed promotable medianDurationMs baseMedianDurationMs costs { amount currency } baseCosts { amount } } }
      trialOutcomes(trial: "trl_1", first: 5) { totalCount { value } nodes { eventId change decision deliveries { step destination payload } differences { path before after }
        durationMs baseDurationMs obstacle waits costs { amount } baseCosts { amount } event { id } baseRun { id }
        steps { id kind state input output model durationMs costs { amount } } } } }`;
    const reader = await server.key(tenant, 'read');
    expect(await server.data(reader, query)).toEqual({
      trial: {
        id: 'trl_1',
        kind: 'BACKTEST',
        flowVersion: 1,
        state: 'COMPLETED',
        scanned: 3,
        summary: {
          events: 2,
          different: 1,
          failed: 1,
          promotable: 1,
          medianDurationMs: 500,
          baseMedianDurationMs: 400,
          costs: [{ amount: '0.002', currency: 'USD' }],
          baseCosts: [{ amount: '0.001' }],
        },
      },
      trialOutcomes: {
        totalCount: { value: 2 },
        nodes: [
          {
            eventId: 'evt_1',
            change: 'DIFFERENT',
            decision: { a: 2.5 },
            deliveries: [{ step: 'tell', destination: 'crm', payload: { n: 1 } }],
            differences: [{ path: 'decision.a', before: 1, after: null }],
            durationMs: 250,
            baseDurationMs: 400,
            obstacle: null,
            waits: false,
            costs: [{ amount: '0.0015' }],
            baseCosts: [{ amount: '0.001' }],
            event: { id: 'evt_1' },
            baseRun: { id: 'run_1' },
            steps: [
              {
                id: 'assess',
                kind: 'INFER',
                state: 'SUCCEEDED',
                input: 'x',
                output: { t: 1 },
                model: 'm',
                durationMs: 250,
                costs: [{ amount: '0.0015' }],
              },
            ],
          },
          {
            eventId: 'evt_2',
            change: 'FAILED',
            decision: null,
            deliveries: [],
            differences: [],
            durationMs: 750,
            baseDurationMs: null,
            obstacle: 'FAILED',
            waits: false,
            costs: [{ amount: '0.0005' }],
            baseCosts: [],
            event: null,
            baseRun: null,
            steps: null,
          },
        ],
      },
    });
    const others = await server.data(
      await server.key(uniqueName('tenant'), 'read'),
      '{ trial(id: "trl_1") { id } node(id: "trl_1") { id } trials { nodes { id } } trialOutcomes(trial: "trl_1") { nodes { eventId } } }',
    );
    expect(others).toEqual({ trial: null, node: null, trials: { nodes: [] }, trialOutcomes: { nodes: [] } });
  });

  describe('with reviews', () => {
    const storeReviews = statement(
      'test.trial.storeReviews',
      `UPDATE trial_outcome SET stored_reviews = 2, expired_reviews = 1, obstacle = $3, steps = $2::json WHERE tenant_id = $1 AND event_id = 'evt_1'`,
    );
    const decideReview = statement(
      'test.trial.decide',
      `UPDATE review SET state = 'decided', outcome = 'approved', value = proposal, decided_by = 'Ada', ended_at = clock_timestamp() WHERE tenant_id = $1`,
    );
    const at = { startedAt: '2026-11-30T10:00:00.000Z', finishedAt: '2026-11-30T10:00:00.250Z' };
    const stepOf = (id: string, more: object) => ({ id, kind: 'review', state: 'succeeded', output: 1, costs: {}, ...at, ...more });
    const storedSteps = JSON.stringify([
      stepOf('approval', { reviewSource: 'stored', reviewId: 'rev_1', beforeWait: true }),
      stepOf('other', { reviewSource: 'otherQuestion', beforeWait: true }),
      stepOf('late', { reviewSource: 'stored', reviewId: 'rev_1' }),
    ]);
    const promote = (input: string) =>
      server.data(
        { operatorIn: tenant },
        `mutation { promoteTrial(input: { idempotencyKey: "p", id: "trl_1", ${input} }) { ... on PromoteTrialSuccess { matched { value } storedReviews } } }`,
      );
    beforeEach(async () => {
      await server.rows.review({ tenant, id: 'rev_1', run: 'run_1', event: 'evt_1' });
      await database.query(decideReview, [tenant]);
    });

    test('says of each where its decision comes from, and who decided', async () => {
      await database.query(storeReviews, [tenant, storedSteps, null]);
      const query = `{ trial(id: "trl_1") { summary { storedReviews expiredReviews } }
        trialOutcomes(trial: "trl_1", first: 1) { nodes { storedReviews expiredReviews steps { id reviewSource takenReview { id decidedBy } } } } }`;
      expect(await server.data(await server.key(tenant, 'read'), query)).toEqual({
        trial: { summary: { storedReviews: 2, expiredReviews: 1 } },
        trialOutcomes: {
          nodes: [
            {
              storedReviews: 2,
              expiredReviews: 1,
              steps: [
                { id: 'approval', reviewSource: 'STORED', takenReview: { id: 'rev_1', decidedBy: 'Ada' } },
                { id: 'other', reviewSource: 'OTHER_QUESTION', takenReview: null },
                { id: 'late', reviewSource: 'STORED', takenReview: { id: 'rev_1', decidedBy: 'Ada' } },
              ],
            },
          ],
        },
      });
    });

    test('is promoted with the decisions of people that stand, as the audit says; those behind a wait are asked anew', async () => {
      appended();
      await database.query(storeReviews, [tenant, storedSteps, 'waits']);
      expect(await promote('dryRun: true')).toEqual({ promoteTrial: { matched: { value: 1 }, storedReviews: 1 } });
      await database.query(storeReviews, [tenant, storedSteps, null]);
      expect(await promote('dryRun: false')).toEqual({ promoteTrial: { matched: { value: 1 }, storedReviews: 2 } });
      expect(await database.query(audits, [tenant])).toContainEqual({
        action: 'promoteTrial',
        target: expect.stringMatching(/^bop_/) as string,
        detail: expect.objectContaining({ selection: 'outcomes', storedReviews: 2 }) as object,
      });
    });

    test('counts no decision of an outcome that is not promoted', async () => {
      await database.query(storeReviews, [tenant, storedSteps, 'acts']);
      expect(await promote('dryRun: true')).toEqual({ promoteTrial: { matched: { value: 0 }, storedReviews: 0 } });
    });

    test('leaves in the promoted run whose decision it has', async () => {
      await server.rows.run({ tenant, id: 'run_2', event: 'evt_1', generation: 1 });
      await database.query(
        statement(
          'test.trial.takeReview',
          `INSERT INTO step_result (tenant_id, run_id, event_id, started_at, finished_at, step, kind, state, output, ordinal, review_id)
           VALUES ($1, 'run_2', 'evt_1', now(), now(), 'approval', 'review', 'succeeded', '1', 1, 'rev_1')`,
        ),
        [tenant],
      );
      const query = `{ run(id: "run_2") { steps { id takenReview { id decidedBy } } reviews { id } } event(id: "evt_1") { timeline { title actor runId } } }`;
      const { run, event } = await server.data<{
        run: object;
        event: { timeline: object[] };
      }>(await server.key(tenant, 'read'), query);
      expect(run).toMatchObject({ reviews: [] });
      expect((run as { steps: object[] }).steps).toContainEqual({ id: 'approval', takenReview: { id: 'rev_1', decidedBy: 'Ada' } });
      expect(event.timeline).toContainEqual({
        title: 'Step approval has the decision that Ada made on the same question of an earlier run',
        actor: 'Ada',
        runId: 'run_2',
      });
    });
  });

  test('says of each result that cannot be promoted where that lies and what to do instead; one that waits can be', async () => {
    const setObstacle = statement(
      'test.trial.obstacle',
      `UPDATE trial_outcome SET obstacle = $3, steps = $4::json WHERE tenant_id = $1 AND event_id = $2`,
    );
    const query =
      '{ trial(id: "trl_1") { summary { promotable } } trialOutcomes(trial: "trl_1") { nodes { obstacle obstacleMessage waits } } }';
    await database.query(setObstacle, [tenant, 'evt_1', 'waits', '[]']);
    expect(await server.data({ operatorIn: tenant }, query)).toEqual({
      trial: { summary: { promotable: 1 } },
      trialOutcomes: {
        nodes: [
          { obstacle: null, obstacleMessage: null, waits: true },
          {
            obstacle: 'FAILED',
            obstacleMessage: expect.stringMatching(/^The flow fails on it .*: Change the flow|^The flow fails/) as string,
            waits: false,
          },
        ],
      },
    });
    const step = { id: 'lines/4711/opened', kind: 'call', state: 'succeeded', output: 1, costs: {}, acts: true };
    const at = { startedAt: '2026-11-30T10:00:00.000Z', finishedAt: '2026-11-30T10:00:00.250Z' };
    await database.query(setObstacle, [tenant, 'evt_1', 'acts', JSON.stringify([{ ...step, ...at }])]);
    const { trialOutcomes } = await server.data<{ trialOutcomes: { nodes: object[] } }>({ operatorIn: tenant }, query);
    expect(trialOutcomes.nodes[0]).toEqual({
      obstacle: 'ACTS',
      obstacleMessage: expect.stringMatching(/^The step lines\/4711\/opened acts in another system.*replay evt_1/) as string,
      waits: false,
    });
  });

  test('is found in lists, and its results page by page, by how they compare', async () => {
    const page = '{ nodes { eventId } pageInfo { endCursor hasNextPage } }';
    const { trials, first, failed } = await server.data<
      Record<'trials' | 'first' | 'failed', { nodes: { id: string }[]; pageInfo: { endCursor: string } }>
    >(
      { operatorIn: tenant },
      `{ trials(filter: { kind: TRY }) { nodes { id } } first: trialOutcomes(trial: "trl_1", first: 1) ${page}
        failed: trialOutcomes(trial: "trl_1", filter: { changes: [FAILED] }) ${page} }`,
    );
    expect(trials.nodes).toEqual([{ id: 'trl_2' }]);
    expect(failed.nodes).toEqual([{ eventId: 'evt_2' }]);
    const rest = `{ trialOutcomes(trial: "trl_1", first: 1, after: "${first.pageInfo.endCursor}") { nodes { eventId } } }`;
    expect(await server.data({ operatorIn: tenant }, rest)).toEqual({ trialOutcomes: { nodes: [{ eventId: 'evt_2' }] } });
  });

  test('says that it ended because it had looked at as many events as it may', async () => {
    const stopOf = async (...counts: number[]): Promise<unknown> => {
      await database.query(setCounts, [tenant, ...counts]);
      const { trial } = await server.data<{ trial: object }>({ operatorIn: tenant }, '{ trial(id: "trl_1") { stoppedBy } }');
      return trial;
    };
    expect(await stopOf(2, 100, 99)).toEqual({ stoppedBy: 'LOOKS' });
    expect(await stopOf(2, 99, 99)).toEqual({ stoppedBy: null });
    expect(await stopOf(2, 100, 98)).toEqual({ stoppedBy: null });
  });

  test('is promoted by a bulk operation over the outcomes that can be, once it has ended', async () => {
    const append = appended();
    const promote = async (input: string): Promise<Record<string, unknown>> => {
      const query = `mutation { promoted: promoteTrial(input: { idempotencyKey: "p", ${input} }) { __typename ... on PromoteTrialSuccess { matched { value } operationId }
        ... on ValidationError { violations { path message } } ... on NotFoundError { code } } }`;
      return (await server.data<{ promoted: Record<string, unknown> }>({ operatorIn: tenant }, query)).promoted;
    };
    expect(await promote('id: "trl_1", dryRun: true')).toMatchObject({ matched: { value: 1 }, operationId: null });
    expect(append).not.toHaveBeenCalled();
    expect((await promote('id: "trl_1"'))['operationId']).toMatch(/^bop_/);
    expect(append.mock.calls[0]![2]).toMatchObject({
      kind: 'promotion',
      selection: 'outcomes',
      filter: { trial: 'trl_1', onlyChanged: true },
    });
    expect(await promote('id: "trl_2"')).toMatchObject({ __typename: 'ValidationError', violations: [{ path: ['input', 'id'] }] });
    expect(await promote('id: "trl_9"')).toMatchObject({ code: 'trial.unknown' });
  });

  test('is cancelled by a command; one that does not exist is not', async () => {
    const append = appended();
    const cancel = (id: string) =>
      `mutation { cancelTrial(input: { id: "${id}", idempotencyKey: "k-${id}" }) { ... on CancelTrialSuccess { trial { state } } ... on NotFoundError { code } } }`;
    expect(await server.data({ operatorIn: tenant }, cancel('trl_2'))).toEqual({ cancelTrial: { trial: { state: 'RUNNING' } } });
    expect(append.mock.calls.map(([, type, value]) => [type, (value as CancelTrial).trialId])).toEqual([[CancelTrial, 'trl_2']]);
    expect(await server.data({ operatorIn: tenant }, cancel('trl_9'))).toEqual({ cancelTrial: { code: 'trial.unknown' } });
  });
});
