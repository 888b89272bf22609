import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { MockInstance } from 'vitest';
import { SecretBox } from '#libs/auth';
import { DomainError, EvaluationsBusy, NotFound, document, eventId as eventIdOf, topics } from '#libs/contracts';
import type { DeadLettered, EventReceived, Owned, RunCompleted } from '#libs/contracts';
import { FlowCompiler } from '#libs/flows';
import type { CompiledFlow } from '#libs/flows';
import { LogUnavailable, RecordProducer, ensureTopics } from '#libs/messaging';
import type { RecordContext } from '#libs/messaging';
import { ModelBudgetSpent, ModelOutage, ModelGateway, OpenAiProvider } from '#libs/models';
import { Configuration, Database, DocumentTable, statement } from '#libs/persistence';
import { atTheSameMoment, freshDatabase, noOperations, startHttpSink, testBrokers, uniqueName, waitFor } from '#libs/testing';
import { registry } from '#libs/tracing';
import type { FreshDatabase } from '#libs/testing';
import { HoldTable } from '#libs/holds';
import { DeadLetterConsumer } from '../dead-letters/dead-letter.consumer.js';
import { DeadLetterStore } from '../dead-letters/dead-letter.store.js';
import { EventRecorder } from '../events/event.recorder.js';
import { EventStore } from '../events/event.store.js';
import { FlowMatcher } from './flow.matcher.js';
import { ReplayConsumer } from '../replays/replay.consumer.js';
import { FailedRuns } from './failed.runs.js';
import { RunAnnouncer } from './run.announcer.js';
import { CancelRunConsumer } from './cancel-run.consumer.js';
import { RunGivenUp, RunLeasedElsewhere, RunsUnfinished } from './run.errors.js';
import { RunProgressStore } from './run.progress.store.js';
import { RunService } from './run.service.js';
import { RunStore } from './run.store.js';
import { RunDrafts } from './run.drafts.js';
import { RunWorker } from './run.worker.js';
import { ContinueRunConsumer } from '../waits/continue-run.consumer.js';
import { ReviewClock } from '../reviews/review.clock.js';
import { ReviewStore } from '../reviews/review.store.js';
import { RunWaitTable } from '../waits/run-wait.table.js';
import { RunWaker } from '../waits/run.waker.js';
import { StepResultStore } from './step-result.store.js';

type Sink = Awaited<ReturnType<typeof startHttpSink>>;

let fresh: FreshDatabase;
let database: Database;
let documents: DocumentTable;
let configuration: Configuration;
let producer: RecordProducer;
let model: Sink;
let gateway: ModelGateway;
let runStore: RunStore;
let runs: RunService;
let replays: ReplayConsumer;
let recorder: EventRecorder;
let continuing: ContinueRunConsumer;

beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  const secretBox = new SecretBox(randomBytes(32));
  documents = new DocumentTable(secretBox);
  configuration = new Configuration(database, { secretBox });
  await configuration.start();
  const log = { brokers: testBrokers(), clientId: 'test' };
  await ensureTopics(log, Object.values(topics));
  producer = new RecordProducer(log);
  await producer.connect();
  model = await startHttpSink();
  const once = { retries: 0, initialDelayMs: 1, factor: 1, maxDelayMs: 1, jitter: 0 };
  gateway = new ModelGateway({ provider: new OpenAiProvider({ baseUrl: `${model.url}/v1`, apiKey: 'k' }), retry: once });

  runStore = new RunStore(database);
  runs = startProcess();
  const events = new EventStore(database);
  recorder = new EventRecorder(events, producer, new RunWaker(new RunWaitTable(database, new ReviewStore(database)), producer));
  replays = new ReplayConsumer(events, runs);
  continuing = new ContinueRunConsumer(events, runs);
});

/** The services of one process. @param known its configuration; default: the one that follows the database */
function startProcess(known = configuration): RunService {
  const compiler = new FlowCompiler({ models: gateway, operations: noOperations });
  const options = { runRetries: 1, runLeaseMs: 30_000 };
  const waits = new RunWaitTable(database, new ReviewStore(database));
  const stores = [runStore, new RunProgressStore(database), new StepResultStore(database), waits] as const;
  const worker = new RunWorker(...stores, new RunWaker(waits, producer), new RunDrafts(producer), compiler, known, options);
  const deadLetters = new DeadLetterStore(database);
  const failedRuns = new FailedRuns(known, deadLetters);
  const announcer = new RunAnnouncer(producer, deadLetters);
  return new RunService(new FlowMatcher(known, compiler), runStore, worker, announcer, failedRuns, options);
}

afterAll(async () => {
  await gateway.close();
  await model.stop();
  await producer.disconnect();
  await configuration.stop();
  await database.close();
  await fresh.close();
});

let tenant: string;
let asked: string[];
let appends: MockInstance<RecordProducer['append']>;
let appended: { topic: string; schema: string; value: Owned & Record<string, unknown> }[];

beforeEach(() => {
  tenant = uniqueName('t');
  asked = [];
  appended = [];
  const append = producer.append.bind(producer);
  appends = vi.spyOn(producer, 'append').mockImplementation(async (topic, type, value, options) => {
    const answer = await append(topic, type, value, options);
    appended.push({ topic: topic.name, schema: type.schema, value: value as never });
    return answer;
  });
  answerWith((n) => ({ topic: `answer ${n}` }));
});

afterEach(() => void vi.restoreAllMocks());

/** The model answers its nth question of this test, from 1. */
function answerWith(answer: (n: number) => object): void {
  model.respondWith((request) => {
    asked.push(request.body.toString('utf8'));
    const completion = {
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 1,
      model: 'model-2026',
      choices: [
        {
          index: 0,
          finish_reason: 'stop',
          message: { role: 'assistant', content: JSON.stringify(answer(asked.length)), refusal: null },
        },
      ],
      usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
    };
    return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(completion) };
  });
}

function failWith(status: number, headers: Record<string, string> = {}): void {
  model.respondWith((request) => {
    asked.push(request.body.toString('utf8'));
    return { status, headers: { 'content-type': 'application/json', ...headers }, body: '{"error":{"message":"no"}}' };
  });
}

const infer = (id: string, more: object = {}) => ({
  id,
  infer: {
    model: 'm',
    instructions: 'Say what it is about.',
    output: { type: 'object', additionalProperties: false, required: ['topic'], properties: { topic: { type: 'string' } } },
    timeoutMs: 2_000,
    ...more,
  },
});
const tell = { id: 'tell', deliver: { destination: 'crm' } };

async function apply(name: string, spec: object): Promise<void> {
  const flow = document.parse({ apiVersion: 'millrace/v1', kind: 'Flow', metadata: { tenant, name }, spec });
  const { version } = await documents.save(database, { document: flow, actor: 'test' });
  await waitFor(() => configuration.flows(tenant).some((one) => one.name === name && one.version === version), {
    what: `${name} to be current`,
  });
}

const eventOf = (id: string, more: Partial<EventReceived> = {}): EventReceived => ({
  eventId: eventIdOf(tenant, 'shop', { providerEventId: id }),
  tenant,
  source: 'shop',
  customer: 'c-1',
  lane: 'normal',
  type: 'order.paid',
  providerEventId: id,
  occurredAt: '2026-11-21T10:00:00.000Z',
  receivedAt: '2026-11-21T10:00:01.000Z',
  contentType: 'application/json',
  body: '{"amount":7}',
  ...more,
});

let offset = 0;
const contextOf = (more: Partial<RecordContext> = {}): RecordContext => ({
  tenant,
  customer: 'c-1',
  topic: topics.eventsNormal.name,
  partition: 0,
  offset: String((offset += 1)),
  timestampMs: Date.now(),
  attempt: 1,
  signal: new AbortController().signal,
  ...more,
});

const announced = (schema: string) => appended.filter((one) => one.schema === schema).map(({ value }) => value);
const states = statement(
  'test.runs',
  'SELECT flow, flow_version, generation, state, fence, failures, decision, error_code, command_id FROM run WHERE tenant_id = $1 ORDER BY flow, generation',
);
const deliveryRows = statement('test.service.deliveries', 'SELECT * FROM delivery WHERE tenant_id = $1 ORDER BY position');
const stored = () => database.query<Record<string, unknown>>(states, [tenant]);

test('a repeat of an event is one run: the model is asked once, and the stored decision is announced again', async () => {
  await apply('triage', { steps: [infer('assess'), tell] });
  const event = eventOf('1');
  const together = await Promise.allSettled([runs.runFlows(event, contextOf()), runs.runFlows(event, contextOf())]);
  expect(together.map(({ status }) => status)).toContain('fulfilled'); // the other one may have to wait for it
  await runs.runFlows(event, contextOf());
  expect(asked).toHaveLength(1);
  expect(await stored()).toMatchObject([{ state: 'completed', decision: { topic: 'answer 1' } }]);
  const completed = announced('run.completed.v1');
  expect(new Set(completed.map((one) => JSON.stringify(one))).size).toBe(1);
  expect(completed[0]).toMatchObject({
    decision: { topic: 'answer 1' },
    eventReceivedAt: event.receivedAt,
    deliveries: [],
  });
  expect(await database.query(deliveryRows, [tenant])).toMatchObject([
    {
      event_id: event.eventId,
      step: 'tell',
      destination: 'crm',
      payload: { eventId: event.eventId, decision: { topic: 'answer 1' } },
      event_received_at: new Date(event.receivedAt),
    },
  ]);
});

test('a run without a call is stored once, finished; a repeat of its event is announced from what is stored', async () => {
  await apply('plain', { steps: [{ id: 'sum', map: { expression: 'event.data.amount + 1' } }, tell] });
  const event = eventOf('1');
  const starts = vi.spyOn(runStore, 'start');
  await runs.runFlows(event, contextOf());
  expect(starts).not.toHaveBeenCalled();
  const first = await stored();
  expect(first).toMatchObject([{ state: 'completed', fence: 1, decision: 8 }]);
  await apply('plain', { steps: [{ id: 'sum', map: { expression: 'event.data.amount + 2' } }, tell] });
  await apply('late', { steps: [{ id: 'a', map: { expression: '1' } }] });
  await runs.runFlows(event, contextOf());
  await runs.runFlows(event, contextOf({ attempt: 2 }));
  expect(await stored()).toEqual(first);
  expect(await database.query(deliveryRows, [tenant])).toHaveLength(1);
  const completed = announced('run.completed.v1');
  expect(completed).toHaveLength(3);
  expect(new Set(completed.map((one) => JSON.stringify(one))).size).toBe(1);
});

test('an event to which a flow was promoted has its own runs of other flows all the same, whether they began before or not', async () => {
  await apply('own', { on: { types: ['order.paid'] }, steps: [{ id: 'a', map: { expression: '1' } }] });
  await apply('other', { on: { types: ['order.paid'], sources: ['shop'] }, steps: [{ id: 'a', map: { expression: '3' } }] });
  await apply('any', { on: { types: ['nothing'] }, steps: [{ id: 'a', map: { expression: '2' } }] });
  const outcome = { flow: 'any', version: 1, waits: false, decision: 2, deliveries: [], steps: [] };
  const [before, after] = [eventOf('0'), eventOf('1')];
  const asking = eventOf('2', { request: { flow: 'own', flowVersion: 1 } });
  for (const event of [before, asking]) await runs.promote(event, outcome, 'cmd_1', contextOf());
  for (const event of [before, after, asking]) await runs.runFlows(event, contextOf());
  await runs.promote(after, outcome, 'cmd_1', contextOf());
  const promoted = { flow: 'any', generation: 1, state: 'completed', decision: 2 };
  const own = { flow: 'own', generation: 0, state: 'completed', decision: 1 };
  const other = { flow: 'other', generation: 0, state: 'completed', decision: 3 };
  expect(await stored()).toMatchObject([promoted, promoted, promoted, other, other, own, own, own]);
  for (const event of [before, after, asking]) await runs.runFlows(event, contextOf());
  expect(await stored()).toHaveLength(8);
});

test.each(['replayed', 'promoted'])('a flow that was %s on an event before its own runs began is not run again by these', async (how) => {
  await apply('triage', { steps: [{ id: 'a', map: { expression: '1' } }, tell] });
  await apply('other', { steps: [{ id: 'a', map: { expression: '2' } }] });
  const event = eventOf('1');
  if (how === 'replayed') await runs.rerunFlows(event, { commandId: 'cmd_1', flow: 'triage' }, contextOf());
  else {
    const outcome = { flow: 'triage', version: 1, waits: false, decision: 1, deliveries: [], steps: [] };
    await runs.promote(event, outcome, 'cmd_1', contextOf());
  }
  await runs.runFlows(event, contextOf());
  await runs.runFlows(event, contextOf({ attempt: 2 }));
  expect(await stored()).toMatchObject([
    { flow: 'other', generation: 0, command_id: null },
    { flow: 'triage', generation: 1, command_id: 'cmd_1', state: 'completed' },
  ]);
  await runs.rerunFlows(event, { commandId: 'cmd_2', flow: 'triage' }, contextOf());
  expect(await stored()).toMatchObject([{ flow: 'other' }, { flow: 'triage' }, { flow: 'triage', generation: 2, command_id: 'cmd_2' }]);
});

test('the record of an event waits for a run of its flow that a command has begun', async () => {
  await apply('triage', { steps: [infer('assess')] });
  const event = eventOf('1');
  failWith(500);
  await expect(runs.rerunFlows(event, { commandId: 'cmd_1', flow: 'triage' }, contextOf())).rejects.toThrow(RunsUnfinished);
  await expect(runs.runFlows(event, contextOf())).rejects.toThrow(RunsUnfinished);
  answerWith(() => ({ topic: 'billing' }));
  await runs.rerunFlows(event, { commandId: 'cmd_1', flow: 'triage' }, contextOf({ attempt: 2 }));
  const before = asked.length;
  await runs.runFlows(event, contextOf({ attempt: 2 }));
  expect(asked).toHaveLength(before);
  expect(await stored()).toMatchObject([{ generation: 1, command_id: 'cmd_1' }]);
});

test('an event whose flow was replaced by another one since keeps its run', async () => {
  await apply('first', { on: { types: ['order.paid'] }, steps: [{ id: 'a', map: { expression: '1' } }] });
  const event = eventOf('1');
  await runs.runFlows(event, contextOf());
  await apply('first', { on: { types: ['nothing'] }, steps: [{ id: 'a', map: { expression: '1' } }] });
  await apply('second', { steps: [infer('assess')] });
  await runs.runFlows(event, contextOf());
  expect(await stored()).toMatchObject([{ flow: 'first', state: 'completed' }]);
  expect(asked).toEqual([]);
});

test('records of one event that processes begin at the same moment are one run and one set of deliveries, whenever each was received', async () => {
  await apply('triage', { steps: [infer('assess'), tell] });
  const events = Array.from({ length: 30 }, (_, n) => eventOf(String(n)));
  const processes = Array.from({ length: 4 }, (_, n) => ({
    service: startProcess(),
    receivedAt: new Date(Date.now() - n * 86_400_000).toISOString(),
  }));
  const all = await atTheSameMoment(fresh.ownerUrl, 'run', processes.length, () =>
    Promise.allSettled(
      processes.flatMap(({ service, receivedAt }) => events.map((event) => service.runFlows({ ...event, receivedAt }, contextOf()))),
    ),
  );
  const waited = all.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
  expect(waited.every((reason) => reason instanceof RunsUnfinished)).toBe(true);
  expect(announced('run.completed.v1')).toHaveLength(all.length - waited.length); // whoever did not get the run waited for it
  for (const { service, receivedAt } of processes) {
    await Promise.all(events.map((event) => service.runFlows({ ...event, receivedAt }, contextOf())));
  }
  expect(asked).toHaveLength(events.length);
  const completed = announced('run.completed.v1') as unknown as RunCompleted[];
  expect(completed.length).toBeGreaterThan(events.length);
  for (const event of events) {
    const own = completed.filter(({ eventId }) => eventId === event.eventId);
    expect(new Set(own.map(({ runId }) => runId)).size).toBe(1);
  }
  const planned = await database.query<{ event_id: string }>(deliveryRows, [tenant]);
  expect(planned.map(({ event_id: eventId }) => eventId).toSorted()).toEqual(events.map(({ eventId }) => eventId).toSorted());
});

test('a run that is tried again goes on from what is stored: a model that would answer differently is not asked a second time', async () => {
  await apply('triage', { steps: [infer('first'), infer('second')], decision: '[steps.first.topic, steps.second.topic]' });
  const event = eventOf('1');
  const broken = new AbortController();
  const infers = vi.spyOn(gateway, 'infer');
  const ask = gateway.infer.bind(gateway);
  infers.mockImplementationOnce(ask).mockImplementationOnce(() => {
    broken.abort(new Error('the process is killed'));
    throw broken.signal.reason;
  });
  await expect(runs.runFlows(event, contextOf({ signal: broken.signal }))).rejects.toThrow('the process is killed');
  expect(await registry.metrics()).toMatch(new RegExp(`^millrace_runs_total\\{tenant="${tenant}",outcome="abandoned"\\} 1$`, 'm'));
  await runs.runFlows(event, contextOf());
  expect(asked).toHaveLength(2);
  expect(await stored()).toMatchObject([{ state: 'completed', failures: 0, fence: 2, decision: ['answer 1', 'answer 2'] }]);
});

test('a model that is down is tried again; when the budget is spent the run is parked, and the event’s other flow was never held up', async () => {
  await apply('needy', { steps: [infer('assess')] });
  await apply('plain', { steps: [{ id: 'sum', map: { expression: 'event.data.amount + 1' } }] });
  failWith(503);
  const event = eventOf('1');
  await expect(runs.runFlows(event, contextOf())).rejects.toThrow(RunsUnfinished);
  expect(announced('run.completed.v1')).toMatchObject([{ flow: 'plain', decision: 8 }]);
  await expect(runs.runFlows(event, contextOf({ attempt: 2 }))).rejects.toThrow(RunGivenUp);
  expect(await stored()).toMatchObject([
    { flow: 'needy', state: 'failed', error_code: 'model.unavailable' },
    { flow: 'plain', state: 'completed', decision: 8 },
  ]);
  expect(announced('run.failed.v1')).toMatchObject([{ flow: 'needy', code: 'model.unavailable' }]);
  expect(announced('dead-lettered.v1')).toMatchObject([{ kind: 'run', code: 'model.unavailable', eventId: event.eventId }]);
});

test('a model that is down and comes back costs nothing but time', async () => {
  await apply('triage', { steps: [infer('assess')] });
  failWith(503);
  const event = eventOf('1');
  await expect(runs.runFlows(event, contextOf())).rejects.toMatchObject({ ours: true, outcome: 'retry' });
  answerWith(() => ({ topic: 'billing' }));
  await runs.runFlows(event, contextOf({ attempt: 2 }));
  expect(await stored()).toMatchObject([{ state: 'completed', decision: { topic: 'billing' } }]);
});

test('a limited model is waited for: for as long as it asks, and without using up the budget', async () => {
  await apply('triage', { steps: [infer('assess', { model: 'limited' })] }); // the limit holds for all calls of the model
  failWith(429, { 'retry-after': '60' });
  const before = asked.length;
  for (let attempt = 1; attempt <= 3; attempt += 1) {
    const tried = await runs.runFlows(eventOf('1'), contextOf({ attempt })).catch((error: unknown) => error as DomainError);
    expect(tried).toMatchObject({ outcome: 'retry', ours: true });
    expect((tried as DomainError).retryAfterMs).toBeGreaterThan(50_000);
  }
  expect(asked.length - before, 'it is not asked again while it is limited').toBeLessThanOrEqual(1);
  expect(await stored()).toMatchObject([{ state: 'running', failures: 0, fence: 3 }]);
});

test('a run that waits for a spent budget says since when, for which and until when, and goes on once the budget is raised', async () => {
  await apply('thrifty', { steps: [{ id: 'sum', map: { expression: '1' } }, infer('assess')] });
  const delays = statement(
    'test.service.delays',
    `SELECT step, code, budget, message, ends_at, began_at, last_at, run_delay.fence = run.fence AS "isCurrent" FROM run_delay
     JOIN run ON run.tenant_id = run_delay.tenant_id AND run.id = run_id WHERE run_delay.tenant_id = $1`,
  );
  const event = eventOf('1');
  const endsAt = new Date('2027-01-01T00:00:00.000Z');
  const spent = new ModelBudgetSpent('The budget month is spent', { budget: 'month', endsAt, retryAfterMs: 60_000 });
  const infers = vi.spyOn(gateway, 'infer').mockRejectedValue(spent);
  await expect(runs.runFlows(event, contextOf())).rejects.toMatchObject({ code: 'run.unfinished', retryAfterMs: 60_000 });
  const [first] = await database.query<Record<string, unknown>>(delays, [tenant]);
  expect(first).toMatchObject({
    step: 'assess',
    code: 'model.budgetSpent',
    budget: 'month',
    message: 'The budget month is spent',
    ends_at: endsAt,
    isCurrent: true,
  });
  await expect(runs.runFlows(event, contextOf({ attempt: 2 }))).rejects.toBeInstanceOf(RunsUnfinished);
  const again = await database.query<Record<string, unknown>>(delays, [tenant]);
  expect(again).toMatchObject([{ ...first, last_at: expect.any(Date) as Date }]);
  infers.mockRestore();
  await runs.runFlows(event, contextOf({ attempt: 3 }));
  expect(await stored()).toMatchObject([{ state: 'completed', failures: 0 }]);
  expect(await database.query(delays, [tenant])).toMatchObject([{ began_at: first!['began_at'], isCurrent: false }]);
});

test('a run says which models a route passed over, once for each reason, however often it looks', async () => {
  await apply('routed', { steps: [infer('assess')] });
  const attempts = statement(
    'test.service.passedOver',
    `SELECT step, provider, model, outcome, error_code, error_message, budget FROM model_attempt WHERE tenant_id = $1 ORDER BY started_at, number`,
  );
  const at = new Date('2026-11-30T12:00:00.000Z');
  const none = { responseModel: null, providerRequestId: null, inputTokens: null, outputTokens: null, costNanos: null, currency: null };
  const left = { startedAt: at, finishedAt: at, outcome: 'passedOver', ...none } as const;
  const infers = vi.spyOn(gateway, 'infer').mockImplementation(async (request) => {
    const spent = { errorCode: 'model.notFree', errorMessage: 'The budget month is spent', budget: 'month' } as const;
    await request.onAttempt({ number: 1, provider: 'dear', model: 'large', ...spent, ...left });
    await request.onAttempt({
      number: 2,
      provider: null,
      model: 'small',
      errorCode: 'model.outage',
      errorMessage: 'It is away',
      budget: null,
      ...left,
    });
    throw new ModelOutage('It is away', { retryAfterMs: 1_000 });
  });
  const event = eventOf('1');
  for (const attempt of [1, 2]) await expect(runs.runFlows(event, contextOf({ attempt }))).rejects.toBeInstanceOf(RunsUnfinished);
  infers.mockRestore();
  await runs.runFlows(event, contextOf({ attempt: 3 }));
  const passedOver = { step: 'assess', outcome: 'passedOver' };
  const spent = {
    provider: 'dear',
    model: 'large',
    error_code: 'model.notFree',
    error_message: 'The budget month is spent',
    budget: 'month',
  };
  expect(await database.query(attempts, [tenant])).toMatchObject([
    { ...passedOver, ...spent },
    { ...passedOver, provider: null, model: 'small', error_code: 'model.outage', budget: null },
    { step: 'assess', outcome: 'succeeded', error_code: null, budget: null },
  ]);
});

test('a run that waits before it could store anything says why; one that is tried again because it failed does not', async () => {
  await apply('busy', { on: { types: ['order.paid'] }, steps: [{ id: 'sum', map: { expression: '1' } }] });
  await apply('failing', { on: { types: ['order.lost'] }, steps: [infer('assess')] });
  const reasons = statement('test.service.reasons', 'SELECT step, code, budget FROM run_delay WHERE tenant_id = $1');
  const flow = configuration.flows(tenant).find(({ name }) => name === 'busy')!;
  const compiled = new FlowCompiler({ models: gateway, operations: noOperations }).compile(flow);
  const busy: CompiledFlow = {
    ...compiled,
    steps: compiled.steps.map((step) => ({ ...step, work: () => Promise.reject(new EvaluationsBusy(1)) })),
  };
  vi.spyOn(FlowCompiler.prototype, 'compile').mockReturnValueOnce(busy);
  await expect(runs.runFlows(eventOf('1'), contextOf())).rejects.toBeInstanceOf(RunsUnfinished);
  failWith(500);
  await expect(runs.runFlows(eventOf('2', { type: 'order.lost' }), contextOf())).rejects.toBeInstanceOf(RunsUnfinished);
  expect(await database.query(reasons, [tenant])).toEqual([{ step: 'sum', code: 'evaluation.busy', budget: '-' }]);
});

test('a worker that lost its claim while the model thought changes and announces nothing', async () => {
  await apply('triage', { steps: [infer('assess')] });
  const event = eventOf('1');
  const steal = statement('test.steal', 'UPDATE run SET fence = fence + 1 WHERE tenant_id = $1 RETURNING id');
  const ask = gateway.infer.bind(gateway);
  vi.spyOn(gateway, 'infer').mockImplementationOnce(async (request) => {
    const answer = await ask(request);
    await database.query(steal, [tenant]);
    return answer;
  });
  await expect(runs.runFlows(event, contextOf())).rejects.toThrow(/claim of the run .* was lost/);
  expect(await stored()).toMatchObject([{ state: 'running', fence: 2, decision: null }]);
  expect(announced('run.completed.v1')).toEqual([]);
  await expect(runs.runFlows(event, contextOf())).rejects.toThrow(/at work in another process/);
});

test('a run keeps the version it started with, and an event keeps the flows it started with', async () => {
  await apply('triage', { steps: [infer('assess'), { id: 'version', map: { expression: '1' } }] });
  failWith(503);
  const event = eventOf('1');
  await expect(runs.runFlows(event, contextOf())).rejects.toThrow(RunsUnfinished);
  await apply('triage', { steps: [infer('assess'), { id: 'version', map: { expression: '2' } }] });
  await apply('late', { steps: [{ id: 'a', map: { expression: '"late"' } }] });
  answerWith(() => ({ topic: 'billing' }));
  await runs.runFlows(event, contextOf({ attempt: 2 }));
  expect(await stored()).toMatchObject([{ flow: 'triage', flow_version: 1, state: 'completed', decision: 1 }]);
  await runs.runFlows(eventOf('2'), contextOf());
  expect(await stored()).toHaveLength(3);
});

test('only flows that listen for the event run; one whose condition fails is parked with the reason', async () => {
  const steps = [{ id: 'a', map: { expression: '1' } }];
  await apply('another-source', { on: { sources: ['crm'] }, steps });
  await apply('another-type', { on: { types: ['invoice.*'] }, steps });
  await apply('too-small', { on: { when: 'event.data.amount > 100' }, steps });
  await apply('matching', { on: { sources: ['shop'], types: ['order.*'], when: 'event.data.amount = 7' }, steps });
  await apply('broken', { on: { when: '$number(event.type)' }, steps });
  await expect(runs.runFlows(eventOf('1'), contextOf())).rejects.toThrow(RunGivenUp);
  expect(await stored()).toMatchObject([
    { flow: 'broken', state: 'failed', error_code: 'flow.expressionFailed' },
    { flow: 'matching', state: 'completed' },
  ]);
});

test('a run that is given up holds its customer until its dead letter is resolved, however often the event comes', async () => {
  const deadLetters = new DeadLetterStore(database);
  await apply('broken', { steps: [{ id: 'a', map: { expression: '$number(event.type)' } }] });
  const event = eventOf('1');
  const failure = await runs.runFlows(event, contextOf()).catch((error: unknown) => error);
  const [letter] = announced('dead-lettered.v1') as [DeadLettered];
  expect(failure).toMatchObject({ deadLetterId: letter.deadLetterId });
  await deadLetters.open(letter);
  await expect(runs.runFlows(event, contextOf())).rejects.toThrow(RunGivenUp);
  await deadLetters.skip(tenant, letter.deadLetterId);
  await runs.runFlows(event, contextOf());
});

test('a replay that fails, too, leaves one open dead letter, for which the customer waits', async () => {
  const deadLetters = new DeadLetterStore(database);
  await apply('broken', { steps: [{ id: 'a', map: { expression: '$number(event.type)' } }] });
  const event = eventOf('1');
  await recorder.record(event, contextOf());
  await expect(runs.runFlows(event, contextOf())).rejects.toThrow(RunGivenUp);
  const command = { tenant, customer: 'c-1', commandId: 'cmd_1', actor: 'key:1', at: event.receivedAt, eventId: event.eventId };
  await replays.onReplayEvent({ ...command, flow: 'broken' }, contextOf());
  const [first, again] = announced('dead-lettered.v1') as unknown as [DeadLettered, DeadLettered];
  for (const letter of [first, again]) await deadLetters.open(letter);
  await expect(runs.runFlows(event, contextOf())).rejects.toMatchObject({ deadLetterId: again.deadLetterId });
  await deadLetters.skip(tenant, again.deadLetterId);
  await runs.runFlows(event, contextOf());
});

test('an event waits for each of its failed runs', async () => {
  const deadLetters = new DeadLetterStore(database);
  const steps = [{ id: 'a', map: { expression: '$number(event.type)' } }];
  await apply('one', { steps });
  await apply('other', { steps });
  const event = eventOf('1');
  for (let settled = 0; settled < 2; settled += 1) {
    const { deadLetterId: held } = (await runs.runFlows(event, contextOf()).catch((error: unknown) => error)) as RunGivenUp;
    const letter = (announced('dead-lettered.v1') as unknown as DeadLettered[]).find(({ deadLetterId }) => deadLetterId === held);
    await deadLetters.open(letter!);
    await deadLetters.skip(tenant, held);
  }
  await runs.runFlows(event, contextOf());
});

test('a later generation that completes resolves the dead letter of the run that failed', async () => {
  const flow = { onFailure: 'skip', steps: [{ id: 'a', map: { expression: '$number(event.type)' } }] };
  await apply('triage', flow);
  const event = eventOf('1');
  await recorder.record(event, contextOf());
  await runs.runFlows(event, contextOf());
  const [letter] = announced('dead-lettered.v1') as unknown as DeadLettered[];
  const deadLetters = new DeadLetterStore(database);
  await deadLetters.open(letter!);
  expect([...(await deadLetters.openOf(tenant, [letter!.runId!])).keys()]).toEqual([letter!.runId]);
  await apply('triage', { ...flow, steps: [{ id: 'a', map: { expression: '1' } }] });
  const command = { tenant, customer: 'c-1', commandId: 'cmd_1', actor: 'key:1', at: event.receivedAt, eventId: event.eventId };
  await replays.onReplayEvent({ ...command, flow: 'triage' }, contextOf());
  expect(await deadLetters.openOf(tenant, [letter!.runId!])).toEqual(new Map());
});

test('a flow that skips holds nobody', async () => {
  await apply('broken', { onFailure: 'skip', steps: [{ id: 'a', map: { expression: '$number(event.type)' } }] });
  await runs.runFlows(eventOf('1'), contextOf());
  expect(await stored()).toMatchObject([{ state: 'failed' }]);
});

test('an announcement that failed is made when the record comes again, from the stored decision', async () => {
  await apply('triage', { steps: [infer('assess')] });
  appends.mockRejectedValueOnce(new LogUnavailable('away'));
  const event = eventOf('1');
  await expect(runs.runFlows(event, contextOf())).rejects.toMatchObject({ ours: true });
  await runs.runFlows(event, contextOf({ attempt: 2 }));
  expect(asked).toHaveLength(1);
});

test('a replay runs the flows again as the next generation, once per command; the earlier decision stays', async () => {
  await apply('triage', { steps: [infer('assess'), tell] });
  await apply('other', { steps: [{ id: 'a', map: { expression: '1' } }] });
  const event = eventOf('1');
  await recorder.record(event, contextOf());
  await runs.runFlows(event, contextOf());
  const command = { tenant, customer: 'c-1', commandId: 'cmd_1', actor: 'key:1', at: event.receivedAt, eventId: event.eventId };
  await replays.onReplayEvent({ ...command, flow: 'triage' }, contextOf());
  await replays.onReplayEvent({ ...command, flow: 'triage' }, contextOf());
  await replays.onReplayEvent({ ...command, commandId: 'cmd_2', flow: null }, contextOf());
  expect(await stored()).toMatchObject([
    { flow: 'other', generation: 0 },
    { flow: 'other', generation: 1 },
    { flow: 'triage', generation: 0, decision: { topic: 'answer 1' } },
    { flow: 'triage', generation: 1, decision: { topic: 'answer 2' } },
    { flow: 'triage', generation: 2, decision: { topic: 'answer 3' } },
  ]);
});

test('a replay of an event, or of a flow, that is not there is refused', async () => {
  const event = eventOf('1');
  const command = {
    tenant,
    customer: 'c-1',
    commandId: 'cmd_1',
    actor: 'key:1',
    at: event.receivedAt,
    eventId: event.eventId,
    flow: 'none',
  };
  await expect(replays.onReplayEvent(command, contextOf())).rejects.toThrow(new NotFound('event', command.eventId));
  await recorder.record(event, contextOf());
  await expect(replays.onReplayEvent(command, contextOf())).rejects.toMatchObject({ code: 'flow.unknown' });
});

test('a replay runs what was applied before it, in a process that has not heard of it yet, also the flows that are called', async () => {
  const say = (text: string) => ({ steps: [{ id: 'say', map: { expression: `"${text}"` } }] });
  await apply('called', { on: { types: ['never'] }, ...say('old') });
  await apply('calling', { steps: [{ id: 'sub', call: { flow: 'called' } }] });
  const behind = new Configuration(database, { secretBox: new SecretBox(randomBytes(32)) });
  await behind.start();
  await behind.stop(); // it hears of nothing any more
  const event = eventOf('1');
  await recorder.record(event, contextOf());
  await runs.runFlows(event, contextOf());
  await apply('called', { on: { types: ['never'] }, ...say('new') });
  await apply('plain', say('plain'));
  const replaying = new ReplayConsumer(new EventStore(database), startProcess(behind));
  const command = { tenant, customer: 'c-1', actor: 'key:1', at: event.receivedAt, eventId: event.eventId };
  await replaying.onReplayEvent({ ...command, commandId: 'cmd_1', flow: null }, contextOf());
  await apply('plain', say('plainer'));
  await replaying.onReplayEvent({ ...command, commandId: 'cmd_2', flow: 'plain' }, contextOf());
  expect(await stored()).toMatchObject([
    { flow: 'calling', generation: 0, decision: 'old' },
    { flow: 'calling', generation: 1, decision: 'new' },
    { flow: 'plain', generation: 1, decision: 'plain' },
    { flow: 'plain', generation: 2, decision: 'plainer' },
  ]);
});

test('a replay of a request runs the flow that it names, and is passed over for any other', async () => {
  await apply('triage', { steps: [{ id: 'say', map: { expression: '1' } }] });
  await apply('other', { steps: [{ id: 'say', map: { expression: '2' } }] });
  const event = eventOf('1', { request: { flow: 'triage', flowVersion: 1 } });
  await recorder.record(event, contextOf());
  const command = { tenant, customer: 'c-1', actor: 'key:1', at: event.receivedAt, eventId: event.eventId };
  for (const [n, flow] of ['other', 'triage', null].entries())
    await replays.onReplayEvent({ ...command, commandId: `cmd_${n}`, flow }, contextOf());
  expect(await stored()).toMatchObject([
    { flow: 'triage', generation: 1, decision: 1 },
    { flow: 'triage', generation: 2, decision: 1 },
  ]);
  expect(await stored()).toHaveLength(2);
});

test('a replay with a flow that runs on requests alone is passed over for any other event', async () => {
  const onRequest = { default: 0 };
  await apply('asks', { onRequest, steps: [{ id: 'say', map: { expression: '1' } }] });
  const event = eventOf('1');
  await recorder.record(event, contextOf());
  const command = { tenant, customer: 'c-1', actor: 'key:1', at: event.receivedAt, eventId: event.eventId };
  await replays.onReplayEvent({ ...command, commandId: 'cmd_1', flow: 'asks' }, contextOf());
  expect(await stored()).toEqual([]);
});

test('an event is announced once recorded: again when its record comes again, not for its repeats', async () => {
  const event = eventOf('1');
  const first = contextOf();
  await recorder.record(event, first);
  await recorder.record(event, contextOf());
  expect(announced('event.recorded.v1')).toHaveLength(1);
  await recorder.record(event, first);
  expect(announced('event.recorded.v1')).toHaveLength(2);
});

const stepRows = statement(
  'test.service.steps',
  'SELECT step, state, output, ordinal FROM step_result WHERE tenant_id = $1 ORDER BY ordinal',
);

test('a run within a branch goes on from the stored choice, and its delivery is planned under its path', async () => {
  const route = { id: 'route', branch: { cases: [{ when: 'event.data.amount = 7', steps: [infer('assess'), tell] }] } };
  await apply('branching', { steps: [route] });
  failWith(503);
  await expect(runs.runFlows(eventOf('1'), contextOf())).rejects.toThrow(RunsUnfinished);
  answerWith(() => ({ topic: 'late' }));
  await runs.runFlows(eventOf('1', { body: '{"amount":8}' }), contextOf({ attempt: 2 }));
  expect(await stored()).toMatchObject([{ state: 'completed', decision: { topic: 'late' } }]);
  expect(await database.query(stepRows, [tenant])).toEqual([
    { step: 'route:choice', state: 'began', output: { case: 0 }, ordinal: 0 },
    { step: 'route/assess', state: 'succeeded', output: { topic: 'late' }, ordinal: 1 },
    { step: 'route/tell', state: 'succeeded', output: { destination: 'crm' }, ordinal: 2 },
    { step: 'route', state: 'succeeded', output: { topic: 'late' }, ordinal: 3 },
  ]);
  expect(await database.query(deliveryRows, [tenant])).toMatchObject([{ step: 'route/tell', payload: { decision: { topic: 'late' } } }]);
});

describe('a run that waits', () => {
  const waiting = { steps: [infer('assess'), { id: 'pause', wait: { for: 'PT1H' } }, tell], decision: 'steps.assess' };
  const waits = statement(
    'test.service.waits',
    'SELECT step, state, reason, due_at AS "dueAt" FROM run_wait WHERE tenant_id = $1 ORDER BY step',
  );
  const letPass = statement(
    'test.service.letPass',
    `UPDATE run_wait SET due_at = clock_timestamp() - interval '1 second', told_at = told_at - interval '1 hour' WHERE tenant_id = $1`,
  );
  const stateOfWaits = () => database.query<{ step: string; state: string; reason: string | null }>(waits, [tenant]);
  const wake = () => new RunWaker(new RunWaitTable(database, new ReviewStore(database)), producer).look();
  const told = () => announced('continue-run.v1') as unknown as { runId: string; eventId: string; customer: string }[];
  const continueAll = async (): Promise<void> => {
    for (const { runId, eventId } of told())
      await continuing.onContinueRun({ tenant, runId, eventId, customer: 'c-1', at: '' }, contextOf());
  };
  const recorded = async (id: string): Promise<EventReceived> => {
    const event = eventOf(id);
    await recorder.record(event, contextOf());
    return event;
  };

  test('among the steps of onFailure is one like any other: the run ends when it is over', async () => {
    const after = [{ id: 'later', wait: { for: 'PT1H' } }, tell];
    await apply('triage', { steps: [{ id: 'bad', map: { expression: '$number("x")' } }], onFailure: { policy: 'skip', steps: after } });
    await runs.runFlows(await recorded('1'), contextOf());
    expect(await stored()).toMatchObject([{ state: 'waiting' }]);
    await database.query(letPass, [tenant]);
    await wake();
    await continueAll();
    expect(await stored()).toMatchObject([{ state: 'failed', error_code: 'flow.expressionFailed' }]);
    expect(await database.query(deliveryRows, [tenant])).toMatchObject([{ step: 'onFailure/tell' }]);
  });

  test('lets go of its record and announces nothing; when its time comes, it goes on from what is stored', async () => {
    await apply('triage', waiting);
    const event = await recorded('1');
    await runs.runFlows(event, contextOf());
    expect(await stored()).toMatchObject([{ state: 'waiting', decision: null }]);
    expect(await stateOfWaits()).toMatchObject([{ step: 'pause', state: 'pending', reason: null }]);
    expect(announced('run.completed.v1')).toEqual([]);
    await wake();
    expect(told()).toEqual([]);
    await database.query(letPass, [tenant]);
    await wake();
    expect(told()).toMatchObject([{ eventId: event.eventId, customer: 'c-1' }]);
    await continueAll();
    expect(await stored()).toMatchObject([{ state: 'completed', decision: { topic: 'answer 1' } }]);
    expect(asked).toHaveLength(1);
    expect(announced('run.completed.v1')).toHaveLength(1);
    expect(await database.query(deliveryRows, [tenant])).toHaveLength(1);
    expect(await stateOfWaits()).toMatchObject([{ state: 'taken', reason: 'elapsed' }]);
  });

  test('is left alone by repeats of its event and by records that come twice, and takes effect once', async () => {
    await apply('triage', waiting);
    const event = await recorded('1');
    await runs.runFlows(event, contextOf());
    await runs.runFlows(event, contextOf({ attempt: 2 }));
    await runs.runFlows(event, contextOf());
    expect(await stored()).toMatchObject([{ state: 'waiting', fence: 1 }]);
    const [run] = await database.query<{ id: string }>(statement('test.service.runId', 'SELECT id FROM run WHERE tenant_id = $1'), [
      tenant,
    ]);
    await continuing.onContinueRun({ tenant, runId: run!.id, eventId: event.eventId, customer: 'c-1', at: '' }, contextOf());
    expect(await stored()).toMatchObject([{ state: 'waiting', fence: 1 }]); // nothing is over
    await database.query(letPass, [tenant]);
    await Promise.all([wake(), wake()]);
    expect(told()).toHaveLength(1);
    const twice = await Promise.allSettled([continueAll(), continueAll()]);
    expect(twice.some(({ status }) => status === 'fulfilled')).toBe(true);
    await continueAll();
    expect(await stored()).toMatchObject([{ state: 'completed' }]);
    expect(await database.query(deliveryRows, [tenant])).toHaveLength(1);
    expect(new Set(announced('run.completed.v1').map((one) => JSON.stringify(one))).size).toBe(1);
  });

  test('is told again if nobody continued it, and not once it is at work', async () => {
    await apply('triage', waiting);
    await runs.runFlows(await recorded('1'), contextOf());
    await database.query(letPass, [tenant]);
    appends.mockRejectedValueOnce(new LogUnavailable('away'));
    await expect(wake()).rejects.toBeInstanceOf(LogUnavailable);
    expect(told()).toEqual([]);
    await wake();
    expect(told()).toEqual([]); // told a moment ago, as far as anybody knows
    await database.query(letPass, [tenant]);
    await wake();
    expect(told()).toHaveLength(1);
    await continueAll();
    await database.query(letPass, [tenant]);
    await wake();
    expect(told()).toHaveLength(1);
  });

  test('and took the default decision meanwhile is announced by the end of its wait, also if the log lost that, and then left alone', async () => {
    await apply('triage', waiting);
    const decideBy = new Date(Date.now() + 60_000).toISOString();
    const deadline = { decideBy, default: { topic: 'default' }, deliverTo: ['crm'] };
    const event = eventOf('1', { request: { flow: 'triage', flowVersion: 1, deadline } });
    await recorder.record(event, contextOf());
    await runs.runFlows(event, contextOf());
    await runStore.settle({ ...event, request: { flow: 'triage', flowVersion: 1, deadline } }, 'decision.deadline', undefined);
    expect(await stored()).toMatchObject([{ state: 'completed', decision: { topic: 'default' } }]);
    expect(announced('run.completed.v1')).toEqual([]);
    await database.query(letPass, [tenant]);
    appends.mockRejectedValueOnce(new LogUnavailable('away'));
    await expect(wake()).rejects.toBeInstanceOf(LogUnavailable);
    await database.query(letPass, [tenant]);
    await wake();
    await continueAll();
    expect(announced('run.completed.v1')).toMatchObject([{ decision: { topic: 'default' }, deliveries: [{ destination: 'crm' }] }]);
    await database.query(letPass, [tenant]);
    await wake();
    expect(told()).toHaveLength(1);
    expect(await stateOfWaits()).toMatchObject([{ state: 'taken' }]);
  });

  test('whose process ends after it went on is continued by the next one, and the model is not asked again', async () => {
    await apply('triage', { ...waiting, steps: [infer('assess'), { id: 'pause', wait: { for: 'PT1H' } }, infer('again'), tell] });
    const event = await recorded('1');
    await runs.runFlows(event, contextOf());
    await database.query(letPass, [tenant]);
    await wake();
    failWith(500);
    await expect(continueAll()).rejects.toBeInstanceOf(RunsUnfinished); // as after a crash, the record comes again
    expect(await stored()).toMatchObject([{ state: 'running', fence: 2 }]);
    answerWith(() => ({ topic: 'late' }));
    await continueAll();
    expect(await stored()).toMatchObject([{ state: 'completed', fence: 3 }]);
  });

  test('with several waits goes on at each, and waits again for the others', async () => {
    const steps = [
      { id: 'first', wait: { for: 'PT1H' } },
      { id: 'second', needs: [], wait: { for: 'PT2H' } },
      { id: 'end', needs: ['first', 'second'], map: { expression: '1' } },
    ];
    await apply('triage', { steps });
    await runs.runFlows(await recorded('1'), contextOf());
    const pass = statement(
      'test.service.passOne',
      `UPDATE run_wait SET due_at = clock_timestamp() - interval '1 ms' WHERE tenant_id = $1 AND step = $2`,
    );
    for (const [step, state] of [
      ['second', 'waiting'],
      ['first', 'completed'],
    ]) {
      await database.query(pass, [tenant, step]);
      await wake();
      await continueAll();
      expect(await stored()).toMatchObject([{ state }]);
    }
    expect(await stateOfWaits()).toMatchObject([{ state: 'taken' }, { state: 'taken' }]);
  });

  test('that is given up later has a dead letter, and holds no later event', async () => {
    await apply('triage', {
      steps: [
        { id: 'pause', wait: { for: 'PT1H' } },
        { id: 'bad', map: { expression: '$number("x")' } },
      ],
    });
    await runs.runFlows(await recorded('1'), contextOf());
    await database.query(letPass, [tenant]);
    await wake();
    await continueAll();
    expect(await stored()).toMatchObject([{ state: 'failed', error_code: 'flow.expressionFailed' }]);
    expect(announced('dead-lettered.v1')).toHaveLength(1);
  });

  describe('for a person', () => {
    const ask = {
      id: 'approval',
      review: {
        proposal: 'steps.assess',
        default: '{ "topic": "none" }',
        schemaOf: 'assess',
        expiresAfter: 'P1D',
        escalateAfter: 'PT1H',
        priority: 7,
      },
    };
    const flow = {
      steps: [infer('assess'), ask, tell],
      decision: '{ "why": steps.approval.outcome, "topic": steps.approval.value.topic }',
    };
    const table = (): ReviewStore => new ReviewStore(database);
    const reviewRows = statement('test.service.reviews', 'SELECT * FROM review WHERE tenant_id = $1 ORDER BY place');
    const reviews = () => database.query<Record<string, unknown>>(reviewRows, [tenant]);
    /** Decides as `apps/query` does. */
    const decideAll = statement(
      'test.service.decide',
      `WITH decided AS (
         UPDATE review SET state = 'decided', outcome = 'approved', value = proposal, decided_by = 'key:1', ended_at = clock_timestamp()
         WHERE tenant_id = $1 AND state = 'open' AND expires_at > clock_timestamp() RETURNING *)
       UPDATE run_wait SET due_at = date_trunc('milliseconds', clock_timestamp()) FROM decided
       WHERE run_wait.tenant_id = decided.tenant_id AND run_wait.run_id = decided.run_id AND run_wait.step = decided.step`,
    );
    const letExpire = statement(
      'test.service.letExpire',
      `WITH late AS (UPDATE review SET expires_at = clock_timestamp() - interval '1 ms' WHERE tenant_id = $1)
       UPDATE run_wait SET due_at = clock_timestamp() - interval '1 ms' WHERE tenant_id = $1`,
    );
    const expireSoon = statement(
      'test.service.expireSoon',
      `UPDATE review SET expires_at = clock_timestamp() + interval '2 s' WHERE tenant_id = $1`,
    );
    const lateOnes = statement('test.service.lateOnes', 'SELECT FROM review WHERE tenant_id = $1 AND expires_at <= clock_timestamp()');
    const blocked = statement(
      'test.service.blocked',
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%review%'`,
    );
    const letEscalate = statement(
      'test.service.letEscalate',
      `UPDATE review SET escalate_at = clock_timestamp() - interval '1 ms' WHERE tenant_id = $1 AND escalate_at IS NOT NULL`,
    );
    const waitsForPerson = async (): Promise<EventReceived> => {
      await apply('triage', flow);
      const event = await recorded('1');
      await runs.runFlows(event, contextOf());
      expect(await stored()).toContainEqual(expect.objectContaining({ flow: 'triage', state: 'waiting' }));
      return event;
    };
    const goOn = async (): Promise<void> => {
      await wake();
      await continueAll();
    };

    test('asks once, however often its record comes, and goes on with the decision; the model is not asked again', async () => {
      const event = await waitsForPerson();
      const [asking] = await reviews();
      expect(asking).toMatchObject({
        step: 'approval',
        event_id: event.eventId,
        customer: 'c-1',
        flow: 'triage',
        state: 'open',
        priority: 7,
        proposal: { topic: 'answer 1' },
        default_value: { topic: 'none' },
        schema: { required: ['topic'] },
      });
      await runs.runFlows(event, contextOf({ attempt: 2 }));
      await goOn();
      expect(await reviews()).toEqual([asking]);
      await database.query(decideAll, [tenant]);
      await goOn();
      expect(await stored()).toMatchObject([{ state: 'completed', decision: { why: 'approved', topic: 'answer 1' } }]);
      expect(asked).toHaveLength(1);
      expect(await database.query(deliveryRows, [tenant])).toHaveLength(1);
    });

    test('has its review in the same statement as its wait, also where it is stored with its first write', async () => {
      await apply('plain', { steps: [{ ...ask, review: { proposal: 'event.data.amount', expiresAfter: 'P1D' } }] });
      await runs.runFlows(await recorded('1'), contextOf());
      expect(await stored()).toMatchObject([{ state: 'waiting', fence: 1 }]);
      expect(await reviews()).toMatchObject([{ proposal: 7, default_value: null, schema: null, context: null }]);
    });

    test('goes on with the default where nobody decided, and no decision comes after that', async () => {
      await waitsForPerson();
      await database.query(letExpire, [tenant]);
      const expired = async (): Promise<number> => Number(/^millrace_reviews_expired_total (\d+)$/m.exec(await registry.metrics())?.[1]);
      const before = await expired();
      await goOn();
      expect(await expired()).toBe(before + 1);
      await database.query(decideAll, [tenant]);
      expect(await stored()).toMatchObject([{ state: 'completed', decision: { why: 'expired', topic: 'none' } }]);
      expect(await reviews()).toMatchObject([{ state: 'expired', outcome: 'expired', value: { topic: 'none' }, decided_by: null }]);
    });

    test('waits for a decision that is being stored when the review would expire: run and review say the same', async () => {
      await waitsForPerson();
      const [{ run_id: runId } = {}] = await reviews();
      await database.query(expireSoon, [tenant]);
      let ends: ReturnType<ReviewStore['endsOf']>;
      await database.transaction(async (session) => {
        await session.query(decideAll, [tenant]);
        await waitFor(async () => (await database.query(lateOnes, [tenant])).length === 1, { what: 'the review to be late' });
        ends = table().endsOf(tenant, runId as string);
        await waitFor(async () => (await database.query(blocked)).length > 0, { what: 'the run to wait for the decision' });
      });
      expect(await ends!).toEqual(new Map([['approval', expect.objectContaining({ outcome: 'approved' })]]));
      await goOn();
      expect(await stored()).toMatchObject([{ state: 'completed', decision: { why: 'approved' } }]);
      expect(await reviews()).toMatchObject([{ state: 'decided', outcome: 'approved' }]);
    });

    test('that was decided while its process was killed goes on in another process', async () => {
      await waitsForPerson();
      await database.query(decideAll, [tenant]);
      appends.mockRejectedValueOnce(new LogUnavailable('killed'));
      await expect(wake()).rejects.toBeInstanceOf(LogUnavailable);
      await database.query(letPass, [tenant]);
      await wake();
      failWith(500); // nothing is asked of the model any more
      await continueAll();
      expect(await stored()).toMatchObject([{ state: 'completed', decision: { why: 'approved' } }]);
    });

    test('goes on with the version of its flow that asked, also where that is replaced and then removed', async () => {
      await waitsForPerson();
      await apply('triage', { steps: [{ id: 'other', map: { expression: '1' } }] });
      await database.transaction((session) => documents.remove(session, { tenant, kind: 'Flow', name: 'triage', actor: 'test' }));
      await waitFor(() => configuration.flows(tenant).length === 0, { what: 'the flow to be gone' });
      await database.query(decideAll, [tenant]);
      await goOn();
      expect(await stored()).toMatchObject([{ state: 'completed', flow_version: 1, decision: { why: 'approved', topic: 'answer 1' } }]);
    });

    test('asks about each item of a list at once, and goes on at each decision, without asking about the others again', async () => {
      const about = { proposal: 'item', expiresAfter: 'P1D', context: '$pad("", item, "x")' };
      const each = { id: 'each', forEach: { items: '[1, 2, 3]', steps: [{ id: 'seen', review: about }] } };
      await apply('listed', { steps: [each], decision: 'steps.each.value' });
      await runs.runFlows(await recorded('1'), contextOf());
      const first = await reviews();
      expect(first.map(({ step }) => step)).toEqual(['each/0/seen', 'each/1/seen', 'each/2/seen']);
      const decideOne = statement(
        'test.service.decideOne',
        `WITH decided AS (
           UPDATE review SET state = 'decided', outcome = 'corrected', value = '9', ended_at = clock_timestamp() WHERE tenant_id = $1 AND step = $2
           RETURNING *)
         UPDATE run_wait SET due_at = date_trunc('milliseconds', clock_timestamp()) FROM decided
         WHERE run_wait.tenant_id = decided.tenant_id AND run_wait.run_id = decided.run_id AND run_wait.step = decided.step`,
      );
      await database.query(decideOne, [tenant, 'each/1/seen']);
      await goOn();
      expect(await stored()).toMatchObject([{ state: 'waiting' }]);
      expect((await stateOfWaits()).map(({ step, state }) => [step, state])).toEqual([
        ['each/0/seen', 'pending'],
        ['each/1/seen', 'taken'],
        ['each/2/seen', 'pending'],
      ]);
      await database.query(decideAll, [tenant]);
      await goOn();
      expect(await stored()).toMatchObject([{ state: 'completed', decision: [1, 9, 3] }]);
    });

    test('that asks for more at once than may be stored together is given up', async () => {
      const about = { proposal: '$pad("", 200000, "x")', expiresAfter: 'P1D' };
      const each = { id: 'each', forEach: { items: '[1..90]', steps: [{ id: 'seen', review: about }] } };
      await apply('listed', { steps: [each], onFailure: 'skip' });
      await runs.runFlows(await recorded('1'), contextOf());
      expect(await stored()).toMatchObject([{ state: 'failed', error_code: 'flow.runTooLarge' }]);
      expect(await reviews()).toEqual([]);
    });

    test('asks anew in a replay, and the first question stays open', async () => {
      const event = await waitsForPerson();
      await replays.onReplayEvent(
        { tenant, customer: 'c-1', eventId: event.eventId, commandId: 'cmd_1', actor: 'test', flow: null, at: '' },
        contextOf(),
      );
      expect((await reviews()).map(({ state }) => state)).toEqual(['open', 'open']);
      await database.query(decideAll, [tenant]);
      await goOn();
      expect(await stored()).toMatchObject([
        { generation: 0, state: 'completed' },
        { generation: 1, state: 'completed' },
      ]);
    });

    test('is escalated once, to the front of the queue, and expires in the queue by itself', async () => {
      await apply('urgent', { steps: [{ ...ask, review: { proposal: '1', expiresAfter: 'P1D', priority: 9 } }] });
      await waitsForPerson();
      expect((await reviews()).map(({ priority }) => priority)).toEqual([9, 7]);
      await database.query(letEscalate, [tenant]);
      const clock = new ReviewClock(table());
      await clock.look();
      await clock.look();
      const escalated = await reviews();
      expect(escalated.map(({ flow: of, priority }) => [of, priority])).toEqual([
        ['triage', 9],
        ['urgent', 9],
      ]);
      expect(escalated[0]).toMatchObject({ change: 'escalated', escalated_at: expect.any(Date) as Date });
      await database.query(letExpire, [tenant]);
      await clock.look();
      expect((await reviews()).map(({ state, change }) => [state, change])).toEqual([
        ['expired', 'expired'],
        ['expired', 'expired'],
      ]);
    });

    describe('that ends without the decision', () => {
      const withdrawn = async (): Promise<number> =>
        Number(/^millrace_reviews_withdrawn_total (\d+)$/m.exec(await registry.metrics())?.[1]);
      const passPause = statement(
        'test.service.passPause',
        `UPDATE run_wait SET due_at = date_trunc('milliseconds', clock_timestamp()) WHERE tenant_id = $1 AND step = 'pause'`,
      );
      /** Fails an hour after it asked, by another branch. */
      const failsLater = {
        steps: [
          { ...ask, review: { proposal: '1', expiresAfter: 'P1D' } },
          { id: 'pause', needs: [], wait: { for: 'PT1H' } },
          { id: 'bad', needs: ['pause'], map: { expression: '$number("x")' } },
        ],
        onFailure: 'skip',
      };
      const asksAndFails = async (): Promise<void> => {
        await apply('failing', failsLater);
        await runs.runFlows(await recorded('1'), contextOf());
        await database.query(passPause, [tenant]);
      };

      test('withdraws the review when a person cancels it', async () => {
        const event = await waitsForPerson();
        const [row] = await reviews();
        const before = await withdrawn();
        await runs.cancelRun(row!['run_id'] as string, { actor: 'key:1', reason: 'no more' }, event, contextOf());
        expect(await reviews()).toMatchObject([{ state: 'withdrawn', change: 'withdrawn' }]);
        expect(await withdrawn()).toBe(before + 1);
      });

      test('withdraws the review with the default decision, at the deadline of its caller', async () => {
        await apply('triage', flow);
        await apply('other', { steps: [{ ...ask, review: { proposal: '1', expiresAfter: 'P1D' } }] });
        const deadline = { decideBy: new Date(Date.now() + 60_000).toISOString(), default: { topic: 'default' }, deliverTo: [] };
        const event = eventOf('1', { request: { flow: 'triage', flowVersion: 1, deadline } });
        await recorder.record(event, contextOf());
        await runs.runFlows(event, contextOf());
        const [{ id, run_id: runId } = {}] = await reviews();
        await runs.runFlows(await recorded('2'), contextOf());
        const others = (await reviews()).filter((row) => row['run_id'] !== runId);
        expect(others).toHaveLength(2);
        const heard: string[] = [];
        const listening = await database.listen('millrace_reviews', (text) => heard.push(text));
        const before = await withdrawn();
        await database.query(letPass, [tenant]);
        await wake();
        vi.useFakeTimers({ toFake: ['Date'], now: Date.parse(deadline.decideBy) });
        onTestFinished(() => void vi.useRealTimers());
        await runs.continueRun(runId as string, event, contextOf());
        expect(await stored()).toContainEqual(expect.objectContaining({ state: 'completed', decision: { topic: 'default' } }));
        const after = await reviews();
        expect(after.filter((row) => row['run_id'] === runId)).toMatchObject([
          { state: 'withdrawn', change: 'withdrawn', ended_at: expect.any(Date) as Date },
        ]);
        expect(after.filter((row) => row['run_id'] !== runId)).toEqual(others);
        expect(await withdrawn()).toBe(before + 1);
        await waitFor(() => heard.some((text) => text.startsWith(`${tenant}/${id as string}/withdrawn/`)), {
          what: 'the queue to be told',
        });
        await listening.close();
      });

      test('withdraws the review with its end when another branch fails', async () => {
        await asksAndFails();
        await goOn();
        expect(await stored()).toMatchObject([{ state: 'failed' }]);
        expect(await reviews()).toMatchObject([{ state: 'withdrawn' }]);
      });

      test('does not wait for a person who holds the review at that moment: it is withdrawn later, unless the person decided', async () => {
        await asksAndFails();
        await database.transaction(async (session) => {
          await session.query(statement('test.service.holdReview', `SELECT FROM review WHERE tenant_id = $1 FOR UPDATE`), [tenant]);
          await goOn();
          expect(await stored()).toMatchObject([{ state: 'failed' }]);
        });
        expect(await reviews()).toMatchObject([{ state: 'open' }]);
        await new ReviewClock(table()).measure();
        expect(await reviews()).toMatchObject([{ state: 'withdrawn' }]);
      });
    });
  });

  describe('for an event', () => {
    const match = 'arrived.data.amount = event.data.amount';
    const flow = {
      on: { types: ['order.created'] },
      steps: [{ id: 'pause', wait: { event: { types: ['order.p*', 'order.x_y'], match, timeout: 'PT1H' } } }],
      decision: '{ "why": steps.pause.reason, "by": steps.pause.event.id }',
    };
    const created = async (more: Partial<EventReceived> = {}): Promise<EventReceived> => {
      const event = eventOf('1', { type: 'order.created', ...more });
      await recorder.record(event, contextOf());
      return event;
    };
    const arrives = async (id: string, more: Partial<EventReceived> = {}): Promise<EventReceived> => {
      const event = eventOf(id, { type: 'order.paid', receivedAt: '2026-11-21T10:00:05.000Z', ...more });
      await recorder.record(event, contextOf());
      return event;
    };
    /** Goes on with what was told, and forgets that it was told. */
    const goOn = async (): Promise<void> => {
      await continueAll();
      appended = appended.filter(({ schema }) => schema !== 'continue-run.v1');
    };

    test('goes on with the first one that is the one, and not for others', async () => {
      await apply('triage', flow);
      await runs.runFlows(await created(), contextOf());
      await arrives('other customer', { customer: 'c-2' });
      await arrives('other type', { type: 'order.sent' });
      await arrives('no wildcard', { type: 'order.xzy' });
      await arrives('before', { receivedAt: '2026-11-21T10:00:00.000Z' });
      expect(told()).toEqual([]);
      await arrives('not the one', { body: '{"amount":8}' });
      expect(told()).toHaveLength(1);
      await goOn();
      expect(await stored()).toMatchObject([{ state: 'waiting', fence: 2 }]);
      expect(await stateOfWaits()).toMatchObject([{ state: 'pending', reason: null }]);
      expect(told()).toEqual([]); // what it has looked at wakes it no more
      const paid = await arrives('paid');
      await arrives('paid again', { receivedAt: '2026-11-21T10:00:06.000Z' });
      await goOn();
      expect(await stored()).toMatchObject([{ state: 'completed', decision: { why: 'event', by: paid.eventId } }]);
    });

    test('finds one that was recorded before it waited', async () => {
      await apply('triage', flow);
      const event = await created();
      const paid = await arrives('paid');
      await runs.runFlows(event, contextOf());
      expect(await stored()).toMatchObject([{ state: 'completed', decision: { by: paid.eventId } }]);
    });

    test('finds one that is recorded between its look and the store of its wait', async () => {
      await apply('triage', flow);
      const event = await created();
      const arrivals = vi.spyOn(RunWaitTable.prototype, 'arrivals').mockImplementationOnce(async () => {
        await arrives('paid');
        return [];
      });
      await runs.runFlows(event, contextOf());
      arrivals.mockRestore();
      expect(told()).toHaveLength(1);
      await goOn();
      expect(await stored()).toMatchObject([{ state: 'completed', decision: { why: 'event' } }]);
    });

    test('is timed out when its time comes', async () => {
      await apply('triage', flow);
      await runs.runFlows(await created(), contextOf());
      await database.query(letPass, [tenant]);
      await wake();
      await goOn();
      expect(await stored()).toMatchObject([{ state: 'completed', decision: { why: 'timedOut' } }]);
    });

    test('is woken by one of many events that processes record at once, and decides once', async () => {
      await apply('triage', flow);
      await runs.runFlows(await created(), contextOf());
      await Promise.all(Array.from({ length: 20 }, (_, n) => arrives(`paid ${n}`)));
      expect(told().length).toBeGreaterThan(0);
      await Promise.allSettled([continueAll(), continueAll()]);
      await continueAll();
      expect(await stored()).toMatchObject([{ state: 'completed', decision: { why: 'event' } }]);
    });
  });
});

test('an item that failed for good is stored with its reason, its attempts are counted on, and the step says that it fell back', async () => {
  const each = {
    id: 'each',
    forEach: { items: '["x", "y"]', key: 'item', concurrency: 1, onItemFailure: 'collect', steps: [infer('assess'), tell] },
  };
  const rescued = { ...infer('again'), onError: { retry: { times: 1, delayMs: 0 }, value: 'error.code' } };
  await apply('each', { steps: [each, rescued] });
  answerWith((n) => (n === 4 ? { topic: 'y' } : { wrong: n })); // the first item fails after two repairs
  await runs.runFlows(eventOf('1'), contextOf());
  const failure = { code: 'model.invalidOutput', message: expect.stringContaining('schema') as string };
  expect(await stored()).toMatchObject([{ state: 'completed', decision: 'model.invalidOutput' }]);
  const rows = await database.query<Record<string, unknown>>(failedRows, [tenant]);
  expect(rows).toMatchObject([
    { step: 'each/x:error', state: 'failed', error_code: failure.code },
    { step: 'again:error', state: 'failed', error_code: failure.code },
    { step: 'again', state: 'succeeded', output: failure.code, error_code: failure.code },
  ]);
  expect(await database.query(attemptRows, [tenant])).toEqual([
    { step: 'each/x/assess', numbers: [1, 2, 3] },
    { step: 'each/y/assess', numbers: [1] },
    { step: 'again', numbers: [1, 2, 3, 4, 5, 6] },
  ]);
  expect((await database.query<{ step: string }>(deliveryRows, [tenant])).map(({ step }) => step)).toEqual(['each/y/tell']);
});

const failedRows = statement(
  'test.service.failed',
  'SELECT step, state, output, error_code FROM step_result WHERE tenant_id = $1 AND error_code IS NOT NULL ORDER BY ordinal',
);
const attemptRows = statement(
  'test.service.attempts',
  'SELECT step, array_agg(number ORDER BY number) AS numbers FROM model_attempt WHERE tenant_id = $1 GROUP BY step ORDER BY min(started_at)',
);

test('a called flow keeps the version that the run began with, and a run that is given up says which step failed', async () => {
  await apply('called', { on: { types: ['never'] }, steps: [infer('assess'), { id: 'in', map: { expression: '"first"' } }] });
  await apply('calling', { steps: [{ id: 'sub', call: { flow: 'called' } }] });
  failWith(503);
  await expect(runs.runFlows(eventOf('1'), contextOf())).rejects.toThrow(RunsUnfinished);
  await apply('called', { on: { types: ['never'] }, steps: [{ id: 'in', map: { expression: '"second"' } }] });
  answerWith(() => ({ topic: 'late' }));
  await runs.runFlows(eventOf('1'), contextOf({ attempt: 2 }));
  expect(await stored()).toMatchObject([{ flow: 'calling', state: 'completed', decision: 'first' }]);

  await apply('calling', { onFailure: 'skip', steps: [{ id: 'sub', call: { flow: 'failing' } }] });
  await apply('failing', { on: { types: ['never'] }, steps: [{ id: 'bad', map: { expression: '$number("x")' } }] });
  await runs.runFlows(eventOf('2'), contextOf());
  expect(await database.query(failedRows, [tenant])).toMatchObject([
    { step: 'sub/bad', state: 'failed', error_code: 'flow.expressionFailed' },
  ]);
});

describe('a run that is cancelled', () => {
  const waiting = { steps: [{ id: 'pause', wait: { for: 'P30D' } }, tell] };
  const cancel = async (event: EventReceived, more: object = {}): Promise<void> => {
    const [{ id: runId }] = (await database.query<{ id: string }>(ids, [tenant])) as [{ id: string }];
    const head = { tenant, customer: 'c-1', commandId: 'cmd_1', actor: 'key:1', at: event.receivedAt };
    const command = { ...head, eventId: event.eventId, runId, reason: 'a mistake', ...more };
    await new CancelRunConsumer(new EventStore(database), runs).onCancelRun(command, contextOf());
  };
  const lease = statement('test.service.lease', `UPDATE run SET lease_until = clock_timestamp() + $2::interval WHERE tenant_id = $1`);
  const ids = statement('test.service.ids', 'SELECT id FROM run WHERE tenant_id = $1');
  test('whose event the recorder has not stored yet is cancelled once it has', async () => {
    await apply('waiting', waiting);
    const event = eventOf('1');
    await expect(runs.runFlows(event, contextOf())).resolves.toBeUndefined();
    await expect(cancel(event)).rejects.toMatchObject({ code: 'event.unrecorded', outcome: 'retry', ours: true });
    await recorder.record(event, contextOf());
    await cancel(event);
    expect(await stored()).toMatchObject([{ state: 'failed', error_code: 'run.cancelled' }]);
  });
  const openWaits = statement('test.service.openWaits', `SELECT step FROM run_wait WHERE tenant_id = $1 AND state <> 'taken'`);
  const ended = { state: 'failed', error_code: 'run.cancelled', decision: null };

  test('while it waits ends at once, without a dead letter, and holds nobody', async () => {
    await apply('triage', waiting);
    const event = eventOf('1');
    await recorder.record(event, contextOf());
    await runs.runFlows(event, contextOf());
    await cancel(event);
    await cancel(event);
    expect(await stored()).toMatchObject([ended]);
    expect(await database.query(openWaits, [tenant])).toEqual([]);
    expect(announced('run.failed.v1')[0]).toMatchObject({ code: 'run.cancelled', message: 'Cancelled by key:1: a mistake' });
    expect(announced('dead-lettered.v1')).toEqual([]);
    await runs.runFlows(event, contextOf({ attempt: 2 })); // a log that is read again
    const [run] = (await database.query<{ id: string }>(ids, [tenant])) as [{ id: string }];
    await continuing.onContinueRun({ tenant, runId: run.id, eventId: event.eventId, customer: 'c-1', at: '' }, contextOf());
    expect(await stored()).toMatchObject([ended]);
    expect(announced('dead-lettered.v1')).toEqual([]);
  });

  test('between two tries is not tried again', async () => {
    await apply('triage', { steps: [infer('assess', { model: 'limited too' }), tell] });
    const event = eventOf('1');
    await recorder.record(event, contextOf());
    failWith(429, { 'retry-after': '60' });
    await expect(runs.runFlows(event, contextOf())).rejects.toThrow(RunsUnfinished);
    await cancel(event, { reason: null });
    const before = asked.length;
    await runs.runFlows(event, contextOf({ attempt: 2 }));
    expect(await stored()).toMatchObject([ended]);
    expect(asked).toHaveLength(before);
    expect(announced('run.failed.v1')[0]).toMatchObject({ message: 'Cancelled by key:1' });
  });

  test('after its end stays as it is', async () => {
    await apply('triage', { steps: [{ id: 'one', map: { expression: '1' } }] });
    const event = eventOf('1');
    await recorder.record(event, contextOf());
    await runs.runFlows(event, contextOf());
    await cancel(event);
    expect(await stored()).toMatchObject([{ state: 'completed', decision: 1 }]);
  });

  describe('and is of a job', () => {
    const job = (flow = 'triage'): EventReceived => eventOf('1', { request: { flow, flowVersion: 1, notify: 'crm' } });
    const waitsFor = async (event: EventReceived): Promise<void> => {
      await apply('triage', waiting);
      await recorder.record(event, contextOf());
      await runs.runFlows(event, contextOf());
    };

    test('has its caller told once, with the state that the job has', async () => {
      const event = job();
      await waitsFor(event);
      await cancel(event);
      await cancel(event);
      expect(await stored()).toMatchObject([ended]);
      expect(await database.query(deliveryRows, [tenant])).toMatchObject([
        {
          event_id: event.eventId,
          destination: 'crm',
          state: 'pending',
          payload: {
            eventId: event.eventId,
            flow: 'triage',
            customer: 'c-1',
            state: 'failed',
            errorCode: 'run.cancelled',
            errorMessage: 'Cancelled by key:1: a mistake',
          },
        },
      ]);
      expect(await database.query(deliveryRows, [tenant])).toHaveLength(1);
    });

    test('ends also where nobody can be told, and its end says why', async () => {
      const spec = {
        kind: 'http',
        url: 'https://crm.example/in',
        secret: { value: 'whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0' },
        supersede: '$number("x")',
      };
      const crm = document.parse({ apiVersion: 'millrace/v1', kind: 'Destination', metadata: { tenant, name: 'crm' }, spec });
      await documents.save(database, { document: crm, actor: 'test' });
      await waitFor(() => configuration.destination(tenant, 'crm') !== undefined, { what: 'the destination to be known' });
      const event = job();
      await waitsFor(event);
      await cancel(event);
      expect(await stored()).toMatchObject([ended]);
      expect(await database.query(deliveryRows, [tenant])).toEqual([]);
      const message = /^Cancelled by key:1: a mistake; crm cannot be told \(flow\.expressionFailed\): /;
      expect(announced('run.failed.v1')[0]).toMatchObject({ message: expect.stringMatching(message) as string });
    });
  });

  test('withdraws what it has asked a person for, also where a caller gets the default decision', async () => {
    await apply('triage', { steps: [{ id: 'approval', review: { proposal: '1', expiresAfter: 'P1D' } }] });
    const deadline = { decideBy: new Date(Date.now() + 60_000).toISOString(), default: 0, deliverTo: [] };
    const event = eventOf('1', { request: { flow: 'triage', flowVersion: 1, deadline } });
    await recorder.record(event, contextOf());
    await runs.runFlows(event, contextOf());
    const told: string[] = [];
    const listening = await database.listen('millrace_reviews', (text) => told.push(text));
    await cancel(event);
    const rows = await database.query<{ id: string }>(
      statement('test.service.withdrawn', `SELECT id FROM review WHERE tenant_id = $1 AND state = 'withdrawn' AND change = 'withdrawn'`),
      [tenant],
    );
    expect(rows).toHaveLength(1);
    await waitFor(() => told.some((text) => text.startsWith(`${tenant}/${rows[0]!.id}/withdrawn/`)), { what: 'the queue to be told' });
    await listening.close();
    expect(await stored()).toMatchObject([{ state: 'completed', decision: 0 }]);
  });

  test('has the default decision at once where a caller waits for it, with what follows from it', async () => {
    await apply('triage', waiting);
    const deadline = { decideBy: new Date(Date.now() + 60_000).toISOString(), default: { topic: 'default' }, deliverTo: ['crm'] };
    const reply = { to: 'door-1', until: deadline.decideBy };
    const event = eventOf('1', { request: { flow: 'triage', flowVersion: 1, deadline, reply } });
    await recorder.record(event, contextOf());
    await runs.runFlows(event, contextOf());
    await cancel(event);
    await cancel(event);
    expect(await stored()).toMatchObject([{ state: 'completed', decision: { topic: 'default' } }]);
    expect(await database.query(openWaits, [tenant])).toEqual([]);
    expect(announced('decision.replied.v1')[0]).toMatchObject({
      to: 'door-1',
      decision: { topic: 'default' },
      defaultReason: 'run.cancelled',
    });
    expect(announced('run.completed.v1')[0]).toMatchObject({
      deliveries: [{ destination: 'crm', payload: { default: true, reason: 'run.cancelled' } }],
    });
    expect(announced('run.failed.v1')).toEqual([]);
  });

  test('while a process works on it is cancelled later', async () => {
    await apply('triage', { steps: [infer('assess')] });
    const event = eventOf('1');
    await recorder.record(event, contextOf());
    failWith(503);
    await expect(runs.runFlows(event, contextOf())).rejects.toThrow(RunsUnfinished);
    await database.query(lease, [tenant, '1 minute']);
    await expect(cancel(event)).rejects.toThrow(RunLeasedElsewhere);
    await database.query(lease, [tenant, '0']);
    await cancel(event);
    expect(await stored()).toMatchObject([ended]);
  });
});

describe('the steps of onFailure', () => {
  const bad = { id: 'bad', map: { expression: '$number("x")' } };
  const withSteps = (steps: object[]) => ({
    steps: [{ id: 'read', map: { expression: '7' } }, bad],
    onFailure: { policy: 'skip', steps },
  });
  const rows = statement('test.service.ends', 'SELECT step, state, error_code FROM step_result WHERE tenant_id = $1 ORDER BY ordinal');

  test('run once when a run is given up, and what they deliver is planned with its end', async () => {
    await apply('triage', withSteps([{ id: 'say', map: { expression: '{ "why": error.code, "read": steps.read }' } }, tell]));
    await runs.runFlows(eventOf('1'), contextOf());
    await runs.runFlows(eventOf('1'), contextOf({ attempt: 2 }));
    expect(await stored()).toMatchObject([{ state: 'failed', error_code: 'flow.expressionFailed', decision: null }]);
    expect(announced('dead-lettered.v1')[0]).toMatchObject({ kind: 'run', code: 'flow.expressionFailed' });
    expect(await database.query(deliveryRows, [tenant])).toMatchObject([
      { step: 'onFailure/tell', payload: { flow: 'triage', error: { code: 'flow.expressionFailed' } } },
    ]);
    expect(await database.query(rows, [tenant])).toMatchObject([
      { step: 'read', state: 'succeeded' },
      { step: 'onFailure:error', state: 'failed', error_code: 'flow.expressionFailed' },
      { step: 'onFailure/say', state: 'succeeded' },
      { step: 'onFailure/tell', state: 'succeeded' },
      { step: 'bad', state: 'failed', error_code: 'flow.expressionFailed' },
    ]);
  });

  test('are tried again as a run is, and go on with what is stored', async () => {
    await apply('triage', withSteps([infer('assess'), tell]));
    failWith(503);
    await expect(runs.runFlows(eventOf('1'), contextOf())).rejects.toThrow(RunsUnfinished);
    expect(await stored()).toMatchObject([{ state: 'running' }]);
    answerWith(() => ({ topic: 'late' }));
    await runs.runFlows(eventOf('1'), contextOf({ attempt: 2 }));
    expect(await stored()).toMatchObject([{ state: 'failed', error_code: 'flow.expressionFailed' }]);
    expect(await database.query(deliveryRows, [tenant])).toHaveLength(1);
  });

  test('that fail are told with the failure of the run', async () => {
    await apply('triage', withSteps([{ id: 'worse', map: { expression: '$number("y")' } }]));
    await runs.runFlows(eventOf('1'), contextOf());
    const message = expect.stringContaining('its onFailure failed, too') as string;
    expect(announced('dead-lettered.v1')[0]).toMatchObject({ code: 'flow.expressionFailed', message });
    expect(await database.query(failedRows, [tenant])).toMatchObject([
      { step: 'onFailure:error' },
      { step: 'bad' },
      { step: 'onFailure/worse' },
    ]);
  });
});

test('a run with more results than it may have is given up with the limit', async () => {
  const items = {
    id: 'each',
    forEach: { items: 'event.data.items', steps: Array.from({ length: 11 }, (_, at) => ({ id: `s${at}`, map: { expression: '1' } })) },
  };
  await apply('large', { onFailure: 'skip', steps: [items] });
  await runs.runFlows(eventOf('1', { body: JSON.stringify({ items: Array.from({ length: 1_000 }, (_, at) => at) }) }), contextOf());
  expect(await stored()).toMatchObject([{ state: 'failed', error_code: 'flow.runTooLarge' }]);
});

describe('a dead letter of a run', () => {
  const failing = { onFailure: 'skip', steps: [{ id: 'a', map: { expression: '$number(event.type)' } }] };
  const asking = { steps: [{ id: 'approval', review: { proposal: '1', expiresAfter: 'P1D' } }, tell] };
  let letters: DeadLetterConsumer;
  let event: EventReceived;
  let letter: DeadLettered;

  beforeEach(async () => {
    letters = new DeadLetterConsumer(new DeadLetterStore(database), new HoldTable(database), new EventStore(database), runs);
    await apply('broken', failing);
    event = eventOf('1');
    await recorder.record(event, contextOf());
    await runs.runFlows(event, contextOf());
    letter = await newest();
  });

  /** The dead letter that was announced last, once it is read from the log. */
  const newest = async (): Promise<DeadLettered> => {
    const last = (announced('dead-lettered.v1') as unknown as DeadLettered[]).at(-1)!;
    await letters.onDeadLettered(last);
    return last;
  };
  const head = (commandId: string) => ({ tenant, customer: 'c-1', commandId, actor: 'key:1', at: event.receivedAt });
  const replay = (commandId: string) => replays.onReplayEvent({ ...head(commandId), eventId: event.eventId, flow: 'broken' }, contextOf());
  const retry = (commandId: string, { deadLetterId } = letter) =>
    replays.onReplayEvent({ ...head(commandId), eventId: event.eventId, flow: 'broken', deadLetterId }, contextOf());
  const skip = () =>
    letters.onSkipDeadLetter({ ...head('cmd_skip'), deadLetterId: letter.deadLetterId, kind: 'run', deliveryId: null }, contextOf());
  const counted = async () => {
    const metrics = await registry.metrics();
    const of = (outcome: string) =>
      Number(new RegExp(`^millrace_dead_letter_retries_total\\{outcome="${outcome}"\\} (\\d+)$`, 'm').exec(metrics)![1]);
    return { began: of('began'), passedOver: of('passed_over') };
  };
  const generations = async (): Promise<unknown[]> => (await stored()).map(({ generation, state }) => [generation, state]);
  const runIds = statement('test.service.runIds', 'SELECT id FROM run WHERE tenant_id = $1 ORDER BY generation');
  const openReviews = statement('test.service.openReviews', `SELECT id FROM review WHERE tenant_id = $1 AND state = 'open'`);

  test('is retried once by three commands at the same moment, and by none after that', async () => {
    await apply('broken', { steps: [{ id: 'a', map: { expression: '1' } }, tell] });
    const commands = ['cmd_1', 'cmd_2', 'cmd_3'];
    const before = await counted();
    await atTheSameMoment(fresh.ownerUrl, 'run', commands.length, () => Promise.allSettled(commands.map((id) => retry(id))));
    for (const id of [...commands, 'cmd_4']) await retry(id); // as the log brings them again
    expect(await generations()).toEqual([
      [0, 'failed'],
      [1, 'completed'],
    ]);
    expect(await database.query(deliveryRows, [tenant])).toHaveLength(1);
    const { began, passedOver } = await counted();
    // A command that was passed over may come again: it leaves nothing behind by which it would be known.
    expect([began - before.began, passedOver - before.passedOver >= 3]).toEqual([1, true]);
  });

  test('whose event the recorder has not stored yet is retried once it has, and one of no event is refused', async () => {
    const late = eventOf('2');
    await runs.runFlows(late, contextOf());
    const { deadLetterId } = await newest();
    await apply('broken', { steps: [{ id: 'a', map: { expression: '1' } }] });
    const order = (eventId: string) => replays.onReplayEvent({ ...head('cmd_1'), eventId, flow: 'broken', deadLetterId }, contextOf());
    await expect(order(late.eventId)).rejects.toMatchObject({ code: 'event.unrecorded', outcome: 'retry', ours: true });
    await expect(order('evt_none')).rejects.toMatchObject({ code: 'event.unknown' });
    await recorder.record(late, contextOf());
    await order(late.eventId);
    expect((await stored()).filter(({ state }) => state === 'completed')).toHaveLength(1);
  });

  test('is not retried while a retry of it waits, and asks one person once; a replay by will is a generation of its own', async () => {
    await apply('broken', asking);
    for (const id of ['cmd_1', 'cmd_2', 'cmd_1', 'cmd_3']) await retry(id);
    expect(await generations()).toEqual([
      [0, 'failed'],
      [1, 'waiting'],
    ]);
    expect(await database.query(openReviews, [tenant])).toHaveLength(1);
    await replay('cmd_4');
    expect(await generations()).toEqual([
      [0, 'failed'],
      [1, 'waiting'],
      [2, 'waiting'],
    ]);
  });

  test('is retried again after its retry was cancelled', async () => {
    await apply('broken', asking);
    await retry('cmd_1');
    const [, { id }] = (await database.query<{ id: string }>(runIds, [tenant])) as [unknown, { id: string }];
    await runs.cancelRun(id, { actor: 'key:1', reason: null }, event, contextOf());
    await retry('cmd_2');
    await retry('cmd_1');
    expect(await generations()).toEqual([
      [0, 'failed'],
      [1, 'failed'],
      [2, 'waiting'],
    ]);
  });

  test('whose retry was given up, too, is not retried: the new one is', async () => {
    await retry('cmd_1');
    await retry('cmd_2');
    const second = await newest();
    await retry('cmd_3');
    expect(await generations()).toHaveLength(2);
    await retry('cmd_4', second);
    expect(await generations()).toHaveLength(3);
  });

  test('that is skipped takes the retry with it that waits, by the name of who skipped it, and no replay by will', async () => {
    await apply('broken', asking);
    await retry('cmd_1');
    await replay('cmd_2');
    await skip();
    await skip();
    expect(await stored()).toMatchObject([
      { generation: 0, state: 'failed', error_code: 'flow.expressionFailed' },
      { generation: 1, state: 'failed', error_code: 'run.cancelled' },
      { generation: 2, state: 'waiting' },
    ]);
    expect(announced('run.failed.v1').at(-1)).toMatchObject({
      message: `Cancelled by key:1: its dead letter ${letter.deadLetterId} was skipped`,
    });
    expect(await database.query(openReviews, [tenant])).toHaveLength(1);
    expect(await database.query(deliveryRows, [tenant])).toEqual([]);
  });

  test('that is skipped is not retried by a command that was given before, nor by one that is handled meanwhile', async () => {
    const client = new Client({ connectionString: fresh.ownerUrl });
    await client.connect();
    try {
      await client.query(
        `BEGIN; UPDATE dead_letter SET resolved_at = clock_timestamp(), resolution = 'skipped' WHERE id = '${letter.deadLetterId}'`,
      );
      const retrying = retry('cmd_1');
      const waiting = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
      await waitFor(async () => (await client.query(waiting)).rowCount === 1, { what: 'the retry to wait for the skip' });
      await client.query('COMMIT');
      await retrying;
    } finally {
      await client.end();
    }
    await retry('cmd_2');
    expect(await generations()).toEqual([[0, 'failed']]);
  });

  test('superseded before its skip was handled takes no retry of the new one with it', async () => {
    await retry('cmd_1');
    const second = await newest();
    await apply('broken', asking);
    await retry('cmd_2', second);
    await skip();
    expect((await generations()).at(-1)).toEqual([2, 'waiting']);
  });
});
