import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { SecretBox } from '#libs/auth';
import { Connections } from '#libs/connections';
import { TenantConnections } from '#libs/connectors';
import { document, eventId as eventIdOf, noCustomer, topics, trialId } from '#libs/contracts';
import type { EventReceived, FlowDocument, StartTrial } from '#libs/contracts';
import { FlowCompiler } from '#libs/flows';
import { HttpClient } from '#libs/http';
import type { Json } from '#libs/json';
import { MemoryLimitStore } from '#libs/limits';
import { RecordProducer, ensureTopics } from '#libs/messaging';
import { ModelGateway, OpenAiProvider } from '#libs/models';
import { Configuration, Database, DocumentSecrets, DocumentTable, statement } from '#libs/persistence';
import { registry } from '#libs/tracing';
import { freshDatabase, startHttpSink, testBrokers, uniqueName, waitFor } from '#libs/testing';
import type { FreshDatabase, HttpSink } from '#libs/testing';
import { DeadLetterStore } from '../dead-letters/dead-letter.store.js';
import { EventStore } from '../events/event.store.js';
import { ModelProviderPool } from '../model-providers/model-provider.pool.js';
import { OperationService } from '../operations/operation.service.js';
import { ReviewStore } from '../reviews/review.store.js';
import { FailedRuns } from '../runs/failed.runs.js';
import { FlowMatcher } from '../runs/flow.matcher.js';
import { RunAnnouncer } from '../runs/run.announcer.js';
import { RunProgressStore } from '../runs/run.progress.store.js';
import { RunService } from '../runs/run.service.js';
import { RunStore } from '../runs/run.store.js';
import { RunDrafts } from '../runs/run.drafts.js';
import { RunWorker } from '../runs/run.worker.js';
import { StepResultStore } from '../runs/step-result.store.js';
import { RunWaitTable } from '../waits/run-wait.table.js';
import { RunWaker } from '../waits/run.waker.js';
import { EventTrial } from './event.trial.js';
import { PromotionConsumer } from './promotion.consumer.js';
import { TrialRunner } from './trial.runner.js';
import { TrialStore } from './trial.store.js';

let fresh: FreshDatabase;
let database: Database;
let documents: DocumentTable;
let secrets: DocumentSecrets;
let configuration: Configuration;
let connections: Connections;
let producer: RecordProducer;
let http: HttpClient;
let pool: ModelProviderPool;
let gateway: ModelGateway;
let model: HttpSink;
let system: HttpSink;
let processes: Process[] = [];

beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  const secretBox = new SecretBox(randomBytes(32));
  documents = new DocumentTable(secretBox);
  secrets = new DocumentSecrets(secretBox);
  connections = await Connections.started({ secrets, secretBox, database, allowPrivateAddresses: true });
  configuration = new Configuration(database, { secretBox });
  await configuration.start();
  const log = { brokers: testBrokers(), clientId: 'test' };
  await ensureTopics(log, Object.values(topics));
  producer = new RecordProducer(log);
  await producer.connect();
  http = new HttpClient({ allowPrivateAddresses: true });
  model = await startHttpSink();
  system = await startHttpSink();
  pool = new ModelProviderPool(configuration, secrets, http, new MemoryLimitStore());
  pool.onApplicationBootstrap();
  const once = { retries: 0, initialDelayMs: 1, factor: 1, maxDelayMs: 1, jitter: 0 };
  gateway = new ModelGateway({ provider: new OpenAiProvider({ baseUrl: `${model.url}/v1`, apiKey: 'k' }), directory: pool, retry: once });
});
afterAll(async () => {
  await gateway.close();
  await pool.onApplicationShutdown();
  await connections.close();
  await http.close();
  await model.stop();
  await system.stop();
  await producer.disconnect();
  await configuration.stop();
  await database.close();
  await fresh.close();
});

/** One process that carries trials out, with its own connections to Postgres, so that it can be killed. */
class Process {
  private constructor(
    private readonly own: Database,
    readonly trials: TrialRunner,
  ) {}

  static async start(): Promise<Process> {
    const own = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'process' });
    const operations = new OperationService(new TenantConnections(http, configuration, connections));
    const table = new TrialStore(own);
    const eventTrial = new EventTrial(table, new RunWaitTable(own, new ReviewStore(own)), configuration, gateway, operations);
    const trials = new TrialRunner(table, new EventStore(own), eventTrial, configuration, { leaseMs: 1_000, pollMs: 20 });
    const process = new Process(own, trials);
    processes.push(process);
    trials.onApplicationBootstrap();
    return process;
  }

  private closed: Promise<void> | undefined;

  /** Ends as a kill would: nothing is saved or given back. */
  kill(): Promise<void> {
    return (this.closed ??= this.own.close());
  }

  async end(): Promise<void> {
    await this.trials.beforeApplicationShutdown();
    await this.kill();
  }
}

/** The runs with which trials are compared. */
function runService(): RunService {
  const operations = new OperationService(new TenantConnections(http, configuration, connections));
  const compiler = new FlowCompiler({ models: gateway, operations });
  const options = { runRetries: 0, runLeaseMs: 30_000 };
  const store = new RunStore(database);
  const waits = new RunWaitTable(database, new ReviewStore(database));
  const stores = [store, new RunProgressStore(database), new StepResultStore(database), waits] as const;
  const worker = new RunWorker(...stores, new RunWaker(waits, producer), new RunDrafts(producer), compiler, configuration, options);
  const deadLetters = new DeadLetterStore(database);
  const failedRuns = new FailedRuns(configuration, deadLetters);
  return new RunService(
    new FlowMatcher(configuration, compiler),
    store,
    worker,
    new RunAnnouncer(producer, deadLetters),
    failedRuns,
    options,
  );
}

let tenant: string;
let asked: string[];
let trials: TrialRunner;

beforeEach(async () => {
  tenant = uniqueName('t');
  asked = [];
  answerWith(() => ({ topic: 'billing' }));
  system.respondWith(() => ({ status: 200, headers: { 'content-type': 'application/json' }, body: '{"n":1}' }));
  ({ trials } = await Process.start());
});
afterEach(async () => {
  for (const process of processes) await process.end();
  processes = [];
  vi.restoreAllMocks();
});

function answerWith(answer: (n: number) => Json | Promise<Json>): void {
  model.respondWith(async (request) => {
    asked.push(request.body.toString('utf8'));
    const message = { role: 'assistant', content: JSON.stringify(await answer(asked.length)), refusal: null };
    const completion = {
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 1,
      model: 'model-2026',
      choices: [{ index: 0, finish_reason: 'stop', message }],
      usage: { prompt_tokens: 1_000, completion_tokens: 500, total_tokens: 1_500 },
    };
    return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(completion) };
  });
}

type Kind = 'Flow' | 'Connection' | 'Connector' | 'ModelProvider' | 'Tenant';
const parsed = (kind: Kind, name: string, spec: object) =>
  document.parse({ apiVersion: 'millrace/v1', kind, metadata: kind === 'Tenant' ? { name } : { tenant, name }, spec });

async function apply(kind: Kind, name: string, spec: object): Promise<number> {
  const { version } = await documents.save(database, { document: secrets.sealed(parsed(kind, name, spec)), actor: 'test' });
  const current = (): number | undefined =>
    ({
      Tenant: () => configuration.tenant(name)?.version,
      Flow: () => configuration.flows(tenant).find((one) => one.name === name)?.version,
      Connection: () => configuration.connection(tenant, name)?.version,
      ModelProvider: () => configuration.modelProvider(tenant, name)?.version,
      Connector: () => (configuration.documentsOf(tenant)('Connector', name) === undefined ? undefined : version),
    })[kind]();
  await waitFor(() => current() === version, { what: `${name} to be current` });
  return version;
}

const infer = {
  id: 'assess',
  infer: {
    model: 'm',
    instructions: 'Say what it is about.',
    input: 'event.data.text',
    output: { type: 'object', additionalProperties: false, required: ['topic'], properties: { topic: { type: 'string' } } },
    timeoutMs: 60_000,
  },
};
const action = (expression: string) => ({ id: 'action', map: { expression } });
const tell = { id: 'tell', deliver: { destination: 'crm' } };

const eventOf = (n: number, more: Partial<EventReceived> = {}): EventReceived => ({
  eventId: eventIdOf(tenant, 'shop', { providerEventId: String(n) }),
  tenant,
  source: 'shop',
  customer: `c-${n % 3}`,
  lane: 'normal',
  type: 'order.paid',
  providerEventId: String(n),
  occurredAt: '2026-11-21T10:00:00.000Z',
  receivedAt: new Date(Date.parse('2026-11-21T10:00:00Z') + n * 1_000).toISOString(),
  contentType: 'application/json',
  body: JSON.stringify({ amount: n, text: `text ${n}` }),
  ...more,
});

/** Records events and runs the flows on them that are current. */
async function ran(...events: EventReceived[]): Promise<void> {
  await recorded(...events);
  const runs = runService();
  const context = { signal: new AbortController().signal, attempt: 1, traceparent: undefined } as never;
  for (const event of events) await runs.runFlows(event, context).catch(() => undefined);
}

async function recorded(...events: EventReceived[]): Promise<void> {
  const place = (at: number) => ({ topic: 'millrace.events.normal', partition: 0, offset: String(at) });
  await new EventStore(database).record(events.map((event, at) => ({ event, traceId: null, position: place(at) })));
}

let commands = 0;
function command(more: Partial<StartTrial>): StartTrial {
  commands += 1;
  return {
    tenant,
    customer: noCustomer,
    commandId: `cmd_${commands}`,
    actor: 'key:1',
    at: new Date().toISOString(),
    kind: 'backtest',
    flow: 'triage',
    version: null,
    document: null,
    events: { eventId: null, sample: null, filter: {} },
    step: null,
    outputs: {},
    maxEvents: 100,
    maxSeconds: 60,
    maxCost: null,
    ...more,
  };
}
const flowDocument = (spec: object): Json => parsed('Flow', 'triage', spec) as unknown as Json;

interface TrialRow {
  state: string;
  stopped_by: string | null;
  scanned: number;
  skipped: number;
  error_code: string | null;
}
interface OutcomeRow {
  event_id: string;
  change: string;
  is_match: boolean;
  decision: Json;
  deliveries: { step: string; payload: Json }[];
  steps: { id: string; input?: Json; output: Json }[] | null;
  error_code: string | null;
  costs: Record<string, number>;
  base_costs: Record<string, number>;
  differences: Json[];
  obstacle: string | null;
  stored_reviews: number;
  expired_reviews: number;
}
const trialRow = statement(
  'test.trial.row',
  'SELECT state, stopped_by, scanned, skipped, error_code FROM trial WHERE tenant_id = $1 AND id = $2',
);
const outcomeRows = statement(
  'test.trial.outcomes',
  'SELECT * FROM trial_outcome WHERE tenant_id = $1 AND trial_id = $2 ORDER BY received_at',
);
const counts = statement(
  'test.trial.counts',
  `SELECT (SELECT count(*) FROM run WHERE tenant_id = $1)::integer AS runs, (SELECT count(*) FROM delivery WHERE tenant_id = $1)::integer AS deliveries,
     (SELECT count(*) FROM dead_letter WHERE tenant_id = $1)::integer AS letters, (SELECT count(*) FROM model_attempt WHERE tenant_id = $1)::integer AS calls,
     (SELECT count(*) FROM operation_attempt WHERE tenant_id = $1)::integer AS operations`,
);

const idOf = ({ tenant: of, commandId }: StartTrial): string => trialId(of, commandId);
async function rowOf(started: StartTrial): Promise<TrialRow | undefined> {
  return (await database.query<TrialRow>(trialRow, [started.tenant, idOf(started)]))[0];
}
const outcomesOf = (started: StartTrial): Promise<OutcomeRow[]> => database.query(outcomeRows, [started.tenant, idOf(started)]);
const ended = (started: StartTrial): Promise<TrialRow> =>
  waitFor(
    async () => {
      const row = await rowOf(started);
      return row !== undefined && row.state !== 'running' && row;
    },
    { what: 'the trial to be over', deadlineMs: 20_000 },
  );
async function tried(more: Partial<StartTrial>): Promise<{ trial: TrialRow; outcomes: OutcomeRow[]; started: StartTrial }> {
  const started = command(more);
  await trials.start(started);
  const trial = await ended(started);
  return { trial, outcomes: await outcomesOf(started), started };
}
const stored = async (): Promise<object> => (await database.query(counts, [tenant]))[0] as object;

describe('a backtest', () => {
  const before = { on: { sources: ['shop'] }, steps: [infer, action('{ "queue": steps.assess.topic, "size": event.data.amount }'), tell] };

  test('shows what would have been decided otherwise, and has no effect', async () => {
    await apply('Flow', 'triage', before);
    await ran(...[1, 2, 3, 4].map((n) => eventOf(n)));
    await recorded(eventOf(5), eventOf(6, { source: 'other' }));
    const was = await stored();
    const append = vi.spyOn(producer, 'append');
    answerWith((n) => ({ topic: n % 2 === 0 ? 'billing' : 'billing' }));
    const spec = {
      ...before,
      steps: [infer, action('{ "queue": event.data.amount > 2 ? "big" : steps.assess.topic, "size": event.data.amount }'), tell],
    };
    const { trial, outcomes } = await tried({ document: flowDocument(spec) });
    expect(trial).toMatchObject({ state: 'completed', stopped_by: null, scanned: 5, skipped: 0 });
    expect(outcomes.map(({ change }) => change)).toEqual(['same', 'same', 'different', 'different', 'new']);
    expect(outcomes[2]).toMatchObject({
      decision: { queue: 'big', size: 3 },
      differences: [{ path: 'decision.queue', before: 'billing', after: 'big' }],
      obstacle: 'document',
    });
    expect(outcomes[2]!.deliveries).toMatchObject([{ step: 'tell', payload: { decision: { queue: 'big', size: 3 } } }]);
    expect(outcomes[2]!.steps).toMatchObject([
      { id: 'assess', input: 'text 3', output: { topic: 'billing' } },
      { id: 'action' },
      { id: 'tell' },
    ]);
    expect(await stored()).toEqual(was);
    expect(append).not.toHaveBeenCalled();
  });

  test('takes the latest events that the flow runs on, as its filter says, and no more than it may', async () => {
    await apply('Flow', 'triage', { steps: [action('event.data.amount')] });
    await ran(...Array.from({ length: 12 }, (_, n) => eventOf(n)));
    const spec = { on: { when: 'event.data.amount % 2 = 0' }, steps: [action('event.data.amount')] };
    const { outcomes } = await tried({
      document: flowDocument(spec),
      maxEvents: 4,
      events: { eventId: null, sample: null, filter: { customer: 'c-1' } },
    });
    expect(outcomes.map(({ decision, change }) => [decision, change])).toEqual([
      [null, 'notRun'],
      [4, 'same'],
      [null, 'notRun'],
      [10, 'same'],
    ]);
    expect(outcomes[0]!.differences).toEqual([{ path: 'decision', before: 1 }]);
  });

  test('tells failures that are new, and those that are mended', async () => {
    await apply('Flow', 'triage', { steps: [action('event.data.amount > 1 ? $number("x") : 1')], onFailure: 'skip' });
    await ran(eventOf(1), eventOf(2));
    const { outcomes } = await tried({ document: flowDocument({ steps: [action('event.data.amount < 2 ? $number("x") : 1')] }) });
    expect(outcomes.map(({ change, error_code }) => [change, error_code])).toEqual([
      ['failed', 'flow.expressionFailed'],
      ['recovered', null],
    ]);
  });

  test('compares costs, and stops when it has cost what it may', async () => {
    await apply('Tenant', tenant, { displayName: 'Acme' });
    await apply('ModelProvider', 'cheap', {
      service: 'compatible',
      baseUrl: `${model.url}/v1`,
      currency: 'USD',
      models: { m: { price: { input: 1, output: 2 } } },
    });
    const spec = { steps: [{ ...infer, infer: { ...infer.infer, provider: 'cheap' } }] };
    const version = await apply('Flow', 'triage', spec);
    await ran(...Array.from({ length: 12 }, (_, n) => eventOf(n)));
    const { trial, outcomes } = await tried({ version, maxCost: { nanos: 5_000_000, currency: 'USD' } });
    expect(trial).toMatchObject({ state: 'completed', stopped_by: 'cost' });
    expect(outcomes).toHaveLength(4);
    expect(outcomes[0]).toMatchObject({ costs: { USD: 2_000_000 }, base_costs: { USD: 2_000_000 }, change: 'same', obstacle: null });
  });
});

describe('the event of a request', () => {
  const onRequest = { default: 0 };
  const requestOf = (n: number, flow: string, flowVersion: number): EventReceived =>
    eventOf(n, { source: flow, request: { flow, flowVersion } });

  test('is tried with its own flow, whatever `on` says', async () => {
    const spec = { on: { sources: ['shop'], when: 'event.data.amount > 100' }, onRequest, steps: [action('event.data.amount')] };
    const version = await apply('Flow', 'triage', spec);
    await ran(requestOf(1, 'triage', version), eventOf(101));
    await recorded(eventOf(2), eventOf(3, { source: 'other' }));
    const { trial, outcomes } = await tried({ version });
    expect(trial).toMatchObject({ scanned: 3, skipped: 1 });
    expect(outcomes.map(({ change, decision }) => [change, decision])).toEqual([
      ['same', 1],
      ['same', 101],
    ]);
    const alone = await tried({ document: flowDocument({ onRequest, steps: [action('event.data.amount')] }) });
    expect(alone.trial).toMatchObject({ scanned: 1, skipped: 0 });
    expect(alone.outcomes).toMatchObject([{ change: 'same', decision: 1 }]);
  });

  test('is the same also where the caller of its job was told about the end', async () => {
    const version = await apply('Flow', 'triage', { onRequest, steps: [action('event.data.amount'), tell] });
    await ran(eventOf(1, { source: 'triage', request: { flow: 'triage', flowVersion: version, notify: 'crm' } }));
    expect((await stored()) as { deliveries: number }).toMatchObject({ deliveries: 2 });
    expect((await tried({ version })).outcomes).toMatchObject([{ change: 'same' }]);
  });

  test('is not looked at by other flows, and what one yields on it cannot be promoted', async () => {
    await apply('Flow', 'triage', { onRequest, steps: [action('event.data.amount')] });
    const version = await apply('Flow', 'any', { steps: [action('event.data.amount'), tell] });
    await recorded(requestOf(1, 'triage', 1), eventOf(2));
    const { trial, outcomes } = await tried({ flow: 'any', version });
    expect(trial).toMatchObject({ scanned: 1, skipped: 0 });
    expect(outcomes).toMatchObject([{ event_id: eventOf(2).eventId, obstacle: null }]);
    const on = { eventId: eventOf(1).eventId, sample: null, filter: null };
    expect((await tried({ kind: 'try', flow: 'any', version, events: on })).outcomes).toMatchObject([
      { decision: 1, is_match: false, obstacle: 'notRun' },
    ]);
  });
});

test('a version that this release cannot read fails on each event by itself, beside what was decided, and the trial goes on', async () => {
  const version = await apply('Flow', 'triage', { steps: [action('event.data.amount')] });
  await ran(eventOf(1), eventOf(2));
  const readable = parsed('Flow', 'triage', { steps: [action('event.data.amount')] }) as FlowDocument;
  const unreadable = { ...readable, spec: { ...readable.spec, on: { when: 'event.data.amount >' } } }; // as an earlier release may have accepted it
  const { trial, outcomes } = await tried({ document: unreadable as unknown as Json });
  expect(version).toBe(1);
  expect(trial).toMatchObject({ state: 'completed', error_code: null });
  expect(outcomes).toHaveLength(2);
  for (const outcome of outcomes)
    expect(outcome).toMatchObject({
      change: 'failed',
      error_code: 'document.invalid',
      differences: [{ path: 'decision', before: expect.any(Number) as number }],
      obstacle: 'document',
    });
});

test('the outcome of an event that the flow would not run on cannot be promoted', async () => {
  const version = await apply('Flow', 'triage', { on: { types: ['other'] }, steps: [action('event.data.amount'), tell] });
  await recorded(eventOf(1));
  const on = { eventId: eventOf(1).eventId, sample: null, filter: null };
  const { outcomes } = await tried({ kind: 'try', version, events: on });
  expect(outcomes).toMatchObject([{ decision: 1, is_match: false, obstacle: 'notRun' }]);
});

describe('what a trial does not do', () => {
  const cases = {
    summary: 'Cases.',
    base: '{settings.base}',
    hosts: ['*'],
    settings: { type: 'object', required: ['base'], properties: { base: { type: 'string' } } },
    auth: [{ kind: 'bearer' }],
    operations: {
      read: { summary: 'Read a case.', effect: 'read', input: {}, request: { method: 'GET', path: '/read' } },
      open: {
        summary: 'Open a case.',
        effect: 'write',
        idempotency: { class: 'none' },
        input: {},
        request: { method: 'POST', path: '/open' },
      },
    },
  };
  const steps = (input: string) => [
    { id: 'known', enrich: { connection: 'desk', operation: 'read', input: '{}' } },
    { id: 'opened', call: { connection: 'desk', operation: 'open', input } },
    action('steps.opened.n'),
  ];

  test('it reads, but it does not act: an operation has the output of the stored run, or one that is given', async () => {
    await apply('Connector', 'cases', cases);
    await apply('Connection', 'desk', {
      connector: 'cases',
      settings: { base: system.url },
      auth: { kind: 'bearer', token: { value: 'token' } },
    });
    const version = await apply('Flow', 'triage', { steps: steps('{ "a": 1 }') });
    await ran(eventOf(1));
    await recorded(eventOf(2));
    const requests = (): string[] => system.requests.map(({ method }) => method);
    const was = requests();
    expect(was.slice(-2)).toEqual(['GET', 'POST']);
    const { outcomes } = await tried({ version });
    expect(outcomes.map(({ change, error_code }) => [change, error_code])).toEqual([
      ['same', null],
      ['failed', 'trial.actsOutside'],
    ]);
    expect(outcomes[0]!.obstacle).toBe('acts');
    expect(outcomes[0]!.steps).toContainEqual(expect.objectContaining({ id: 'opened', input: { a: 1 }, acts: true }));
    const given = await tried({ version, outputs: { opened: { n: 7 } } });
    expect(given.outcomes.map(({ decision, change }) => [decision, change])).toEqual([
      [7, 'different'],
      [7, 'new'],
    ]);
    expect(requests().slice(was.length)).toEqual(['GET', 'GET', 'GET', 'GET']);
  });

  test('it does not wait', async () => {
    const spec = { steps: [{ id: 'pause', wait: { for: 'P2D' } }, action('steps.pause.reason'), tell] };
    const { outcomes } = await tried({
      kind: 'try',
      document: flowDocument(spec),
      events: { eventId: null, filter: null, sample: { type: 't', source: 's', customer: 'c', data: 1 } },
    });
    expect(outcomes).toMatchObject([{ decision: 'elapsed', change: 'new', obstacle: 'sample' }]);
    const version = await apply('Flow', 'triage', spec);
    await recorded(eventOf(1));
    expect((await tried({ version })).outcomes).toMatchObject([{ obstacle: 'waits' }]);
  });

  test('what a step does behind a review that a person has decided is one: nobody would look before it is done again', async () => {
    await apply('Connector', 'cases', cases);
    const settings = { base: system.url };
    await apply('Connection', 'desk', { connector: 'cases', settings, auth: { kind: 'bearer', token: { value: 'token' } } });
    const approval = { id: 'approval', review: { proposal: '1', expiresAfter: 'P2D' } };
    const version = await apply('Flow', 'triage', { steps: [approval, ...steps('{ "a": 1 }')] });
    await ran(eventOf(1));
    const [{ id }] = (await database.query<{ id: string }>(decideReview, [tenant])) as [{ id: string }];
    await runService().continueRun(id, eventOf(1), { signal: new AbortController().signal, attempt: 1, traceparent: undefined } as never);
    expect((await tried({ version })).outcomes).toMatchObject([{ change: 'same', obstacle: 'acts', stored_reviews: 1 }]);
  });

  test('what a step does behind a wait is no obstacle: the generation does it by itself', async () => {
    const opened = {
      id: 'opened',
      call: { connection: 'cases', operation: 'open', input: '{ "a": 1 }', idempotency: { class: 'absolute' } },
    };
    const version = await apply('Flow', 'triage', { steps: [{ id: 'pause', wait: { for: 'P2D' } }, opened] });
    await recorded(eventOf(1));
    expect((await tried({ version })).outcomes).toMatchObject([{ error_code: 'trial.actsOutside', obstacle: 'waits' }]);
  });
});

test('one step is tried on the stored results of the others', async () => {
  const version = await apply('Flow', 'triage', { steps: [infer, action('{ "queue": steps.assess.topic }'), tell] });
  await ran(eventOf(1));
  asked = [];
  const spec = { steps: [infer, action('{ "queue": $uppercase(steps.assess.topic) }'), tell] };
  const on = { eventId: eventOf(1).eventId, sample: null, filter: null };
  const { outcomes } = await tried({ kind: 'try', document: flowDocument(spec), step: 'action', events: on });
  expect(outcomes).toMatchObject([
    {
      decision: { queue: 'BILLING' },
      deliveries: [],
      differences: [{ path: 'output.queue', before: 'billing', after: 'BILLING' }],
      obstacle: 'part',
    },
  ]);
  expect(outcomes[0]!.steps!.map(({ id }) => id)).toEqual(['action']);
  expect(asked).toEqual([]);
  await tried({ kind: 'try', version, step: 'assess', events: on });
  expect(asked).toHaveLength(1);
});

describe('a trial that is under way', () => {
  let release: () => void;
  let hanging: Promise<void>;
  beforeEach(() => {
    const { promise, resolve } = Promise.withResolvers<void>();
    hanging = promise;
    release = resolve;
  });
  afterEach(() => release());

  test('ends when it is cancelled, and keeps no other tenant’s from its work', async () => {
    const version = await apply('Flow', 'triage', { steps: [infer] });
    await recorded(...Array.from({ length: 8 }, (_, n) => eventOf(n)));
    answerWith(async (n) => (n > 4 ? hanging.then(() => ({ topic: 'late' })) : { topic: 'billing' }));
    const started = command({ version });
    await trials.start(started);
    await waitFor(() => asked.length === 8, { what: 'half of it' });
    const first = tenant;
    tenant = uniqueName('t');
    await recorded(eventOf(1));
    const { trial } = await tried({ document: flowDocument({ steps: [action('1')] }) });
    expect(trial.state).toBe('completed');
    await trials.cancel({ ...started, trialId: idOf(started) });
    expect(await rowOf(started)).toMatchObject({ state: 'cancelled' });
    expect(await registry.getSingleMetricAsString('millrace_trials_total')).toContain('{kind="backtest",state="cancelled"} 1');
    tenant = first;
    // The next trial of this tenant gets its turn, although calls of the first one never return.
    expect((await tried({ document: flowDocument({ steps: [action('1')] }) })).trial.state).toBe('completed');
    expect(await outcomesOf(started)).toHaveLength(4);
  });

  test('waits for the one before it, of its kind and tenant; a try does not wait for a backtest', async () => {
    const version = await apply('Flow', 'triage', { steps: [infer] });
    await recorded(eventOf(1));
    answerWith(() => hanging.then(() => ({ topic: 'late' })));
    const [first, second] = [command({ version }), command({ document: flowDocument({ steps: [action('1')] }) })];
    await trials.start(first);
    await trials.start(second);
    await waitFor(() => asked.length === 1, { what: 'the first to be under way' });
    const on = { eventId: eventOf(1).eventId, sample: null, filter: null };
    expect((await tried({ kind: 'try', document: flowDocument({ steps: [action('1')] }), events: on })).trial.state).toBe('completed');
    expect((await rowOf(second))?.state).toBe('running');
    release();
    expect((await ended(second)).state).toBe('completed');
  });

  test('goes on in another process where its own was killed, with the events that have no outcome yet', async () => {
    const version = await apply('Flow', 'triage', { steps: [infer] });
    await recorded(...Array.from({ length: 8 }, (_, n) => eventOf(n)));
    answerWith(async (n) => (n === 6 ? hanging.then(() => ({ topic: 'late' })) : { topic: 'billing' }));
    const started = command({ version });
    await trials.start(started);
    await waitFor(() => asked.length === 8, { what: 'half of it' });
    await processes[0]!.kill();
    await Process.start();
    expect(await ended(started)).toMatchObject({ state: 'completed' });
    const outcomes = await outcomesOf(started);
    expect(outcomes.map(({ decision }) => decision)).toEqual(Array.from({ length: 8 }, () => ({ topic: 'billing' })));
    expect(asked.length).toBeLessThanOrEqual(12); // those of the first half are not asked again
  });

  test('ends when its time is over', async () => {
    const version = await apply('Flow', 'triage', { steps: [infer] });
    await recorded(eventOf(1));
    answerWith(() => hanging.then(() => ({ topic: 'late' })));
    expect((await tried({ version, maxSeconds: 1 })).trial).toMatchObject({ state: 'completed', stopped_by: 'time' });
  });
});

const decideReview = statement(
  'test.trial.decideReview',
  `WITH decided AS (
     UPDATE review SET state = 'decided', outcome = 'approved', value = proposal, decided_by = 'Ada', ended_at = now() WHERE tenant_id = $1 RETURNING run_id)
   UPDATE run_wait SET state = 'over', reason = 'elapsed', over_at = now() FROM decided WHERE tenant_id = $1 AND run_wait.run_id = decided.run_id
   RETURNING run_wait.run_id AS id`,
);

/** Decides all reviews of a tenant, and ends the waits for them. */
const decideAs = statement(
  'test.trial.decideAs',
  `WITH decided AS (
     UPDATE review SET state = 'decided', outcome = $2, value = CASE $2 WHEN 'approved' THEN proposal WHEN 'rejected' THEN default_value ELSE $3::json END,
       decided_by = 'Ada', decision_reason = 'looked at it', ended_at = clock_timestamp()
     WHERE tenant_id = $1 AND state = 'open' RETURNING run_id)
   UPDATE run_wait SET state = 'over', reason = 'elapsed', over_at = now() FROM decided WHERE tenant_id = $1 AND run_wait.run_id = decided.run_id
   RETURNING run_wait.run_id AS id`,
);
const reviewRows = statement('test.trial.reviews', 'SELECT id, run_id, state FROM review WHERE tenant_id = $1 ORDER BY id');
const forgetDecision = statement('test.trial.forgetDecision', `UPDATE review SET state = 'withdrawn' WHERE tenant_id = $1`);
const promotedSteps = statement(
  'test.trial.promotedSteps',
  `SELECT run.state, run.decision, step, review_id AS review FROM run JOIN step_result ON step_result.tenant_id = run.tenant_id AND run_id = run.id
   WHERE run.tenant_id = $1 AND generation = 1 ORDER BY ordinal`,
);
const copyReviews = statement(
  'test.trial.copyReviews',
  `INSERT INTO review (tenant_id, id, run_id, step, event_id, customer, flow, state, place, priority, proposal, default_value, schema, expires_at, outcome, value,
     decided_by, ended_at)
   SELECT $2, id, run_id, step, event_id, customer, flow, 'decided', place, priority, proposal, default_value, schema, expires_at, 'approved', proposal, 'Eve', now()
   FROM review WHERE tenant_id = $1`,
);

describe('a review that a person has decided', () => {
  const context = { signal: new AbortController().signal, attempt: 1, traceparent: undefined } as never;
  const propose = (expression = '{ "amount": event.data.amount, "to": "c" }') => ({ id: 'propose', map: { expression } });
  const schema = { type: 'object', properties: { amount: { type: 'number' } } };
  const approval = (more: object = {}) => ({
    id: 'approval',
    review: { proposal: 'steps.propose', schema, default: '{ "amount": 0 }', expiresAfter: 'P2D', ...more },
  });
  const kept = action('{ "amount": steps.approval.value.amount, "how": steps.approval.outcome, "by": steps.approval.by }');
  type Marked = { id: string; reviewSource?: string; reviewId?: string; output: Json };
  const reviewOf = ({ steps }: OutcomeRow): Marked | undefined => (steps as Marked[]).find(({ id }) => id === 'approval');

  /** Runs the current flow on the event, and has a person decide all that it asks. */
  async function decided(event: EventReceived, outcome: 'approved' | 'corrected' | 'rejected', value: Json = null): Promise<void> {
    await ran(event);
    const decide = () => database.query<{ id: string }>(decideAs, [tenant, outcome, JSON.stringify(value)]);
    for (let told = await decide(); told.length > 0; told = await decide())
      for (const id of new Set(told.map((row) => row.id))) await runService().continueRun(id, event, context);
  }
  const reviews = () => database.query<{ id: string; run_id: string; state: string }>(reviewRows, [tenant]);

  test.each([
    ['approved', { amount: 1, how: 'approved', by: 'Ada' }],
    ['corrected', { amount: 7, how: 'corrected', by: 'Ada' }],
    ['rejected', { amount: 0, how: 'rejected', by: 'Ada' }],
  ] as const)('keeps its decision in a trial: %s', async (outcome, decision) => {
    const version = await apply('Flow', 'triage', { steps: [propose(), approval(), kept, tell] });
    await decided(eventOf(1), outcome, { amount: 7 });
    const { outcomes } = await tried({ version });
    expect(outcomes).toMatchObject([{ change: 'same', decision, obstacle: null, stored_reviews: 1, expired_reviews: 0 }]);
    const [{ id } = {}] = await reviews();
    expect(reviewOf(outcomes[0]!)).toMatchObject({
      reviewSource: 'stored',
      reviewId: id,
      output: { outcome, by: 'Ada', reason: 'looked at it' },
    });
    const on = { eventId: eventOf(1).eventId, sample: null, filter: null };
    const alone = await tried({ kind: 'try', version, step: 'approval', events: on });
    expect(alone.outcomes).toMatchObject([{ change: 'same', decision: { outcome, by: 'Ada' } }]);
  });

  test('keeps it where the same value and schema are written otherwise, and what follows may change', async () => {
    await apply('Flow', 'triage', { steps: [propose(), approval(), kept] });
    await decided(eventOf(1), 'approved');
    const spec = {
      steps: [
        propose('{ "to": "c", "amount": event.data.amount * 1.0 }'),
        approval({ schema: { properties: schema.properties, type: 'object' }, default: '{ "amount": 9 }', priority: 9 }),
        action('{ "doubled": steps.approval.value.amount * 2 }'),
      ],
    };
    expect((await tried({ document: flowDocument(spec) })).outcomes).toMatchObject([
      { change: 'different', decision: { doubled: 2 }, stored_reviews: 1 },
    ]);
  });

  test.each([
    ['of another proposal', { proposal: '{ "amount": 2 }' }, 'approved', 'otherQuestion'],
    ['with another schema', { schema: { type: 'object' } }, 'approved', 'otherQuestion'],
    ['for any value', { schema: undefined }, 'approved', 'otherQuestion'],
    ['that was rejected for another default', { default: '{ "amount": 3 }' }, 'rejected', 'otherQuestion'],
    ['of another step', undefined, 'approved', 'nobody'],
  ] as const)('says nothing about one %s: that expires, as of an event without a run', async (_, more, outcome, source) => {
    await apply('Flow', 'triage', { steps: [propose(), more === undefined ? { ...approval(), id: 'before' } : approval()] });
    await decided(eventOf(1), outcome);
    await recorded(eventOf(2));
    const { outcomes } = await tried({ document: flowDocument({ steps: [propose(), approval(more ?? {}), kept] }) });
    expect(outcomes.map(({ decision }) => decision)).toMatchObject([{ how: 'expired' }, { how: 'expired' }]);
    expect(outcomes.map((one) => reviewOf(one)?.reviewSource)).toEqual([source, 'nobody']);
    expect(outcomes).toMatchObject([
      { stored_reviews: 0, expired_reviews: 1 },
      { stored_reviews: 0, expired_reviews: 1 },
    ]);
  });

  test('keeps it for each item of a list, and for an output that a gate refused, by the paths of the steps', async () => {
    answerWith(() => ({ topic: 7 }));
    const ask = { id: 'ask', review: { proposal: 'error.output', schemaOf: 'assess', expiresAfter: 'P1D' } };
    const mended = { ...infer, onError: { steps: [ask, { id: 'mended', map: { expression: 'steps.ask.value' } }] } };
    const seen = { id: 'seen', review: { proposal: 'item', expiresAfter: 'P1D' } };
    const each = { id: 'each', forEach: { items: '[1, 2, event.data.amount]', steps: [seen] } };
    const version = await apply('Flow', 'triage', { steps: [mended, each], decision: '[steps.assess, steps.each.value]' });
    await decided(eventOf(3), 'corrected', { topic: 'by hand' });
    const { outcomes } = await tried({ version });
    expect(outcomes).toMatchObject([{ change: 'same', obstacle: null, stored_reviews: 4, expired_reviews: 0 }]);
    const more = { id: 'each', forEach: { items: '[1, 2, event.data.amount + 1]', steps: [seen] } };
    const changed = await tried({ document: flowDocument({ steps: [mended, more], decision: '[steps.assess, steps.each.value]' }) });
    expect(changed.outcomes).toMatchObject([{ change: 'different', stored_reviews: 3, expired_reviews: 1 }]);
    const sources = (changed.outcomes[0]!.steps as Marked[]).flatMap(({ id, reviewSource }) =>
      reviewSource ? [`${id} ${reviewSource}`] : [],
    );
    expect(sources.toSorted()).toEqual([
      'assess/onError/ask stored',
      'each/0/seen stored',
      'each/1/seen stored',
      'each/2/seen otherQuestion',
    ]);
  });

  test('says nothing about the review of another tenant, on a run with the same id', async () => {
    const version = await apply('Flow', 'triage', { steps: [propose(), approval(), kept] });
    await decided(eventOf(1), 'approved');
    await database.query(copyReviews, [tenant, `${tenant}-2`]);
    await database.query(forgetDecision, [tenant]);
    const { outcomes } = await tried({ version });
    expect(outcomes).toMatchObject([{ decision: { how: 'expired', by: null }, stored_reviews: 0, expired_reviews: 1 }]);
  });

  test('is not asked again when the outcome is promoted; the run says whose decision it has, and the next trial finds it there', async () => {
    await apply('Flow', 'triage', { steps: [propose(), approval(), kept, tell] });
    await decided(eventOf(1), 'corrected', { amount: 7 });
    const asking = await reviews();
    const more = action('{ "amount": steps.approval.value.amount, "by": steps.approval.by, "more": 1 }');
    const version = await apply('Flow', 'triage', { steps: [propose(), approval(), more, tell] });
    const first = await tried({ version });
    expect(first.outcomes).toMatchObject([{ change: 'different', obstacle: null }]);
    const consumer = new PromotionConsumer(new EventStore(database), new TrialStore(database), runService());
    const { eventId } = eventOf(1);
    const at = new Date().toISOString();
    const order = { tenant, customer: 'c-1', actor: 'key:1', at, eventId, trialId: idOf(first.started), commandId: 'cmd_promote' };
    await consumer.onPromoteOutcome(order, context);
    expect(await database.query(promotedSteps, [tenant])).toEqual([
      { state: 'completed', decision: { amount: 7, by: 'Ada', more: 1 }, step: 'propose', review: null },
      { state: 'completed', decision: { amount: 7, by: 'Ada', more: 1 }, step: 'approval', review: asking[0]!.id },
      { state: 'completed', decision: { amount: 7, by: 'Ada', more: 1 }, step: 'action', review: null },
      { state: 'completed', decision: { amount: 7, by: 'Ada', more: 1 }, step: 'tell', review: null },
    ]);
    expect(await reviews()).toEqual(asking);
    const again = await tried({ version });
    expect(again.outcomes).toMatchObject([{ change: 'same', stored_reviews: 1 }]);
    expect(reviewOf(again.outcomes[0]!)).toMatchObject({ reviewSource: 'stored', reviewId: asking[0]!.id });
  });

  test('is not asked again either by a generation that waits for something else first', async () => {
    await apply('Flow', 'triage', { steps: [propose(), approval(), kept] });
    await decided(eventOf(1), 'approved');
    const asking = await reviews();
    const side = { id: 'side', needs: [], wait: { for: 'P2D' } };
    const version = await apply('Flow', 'triage', {
      steps: [propose(), { ...approval(), needs: ['propose'] }, side, { ...kept, needs: ['approval', 'side'] }],
    });
    const { outcomes, started } = await tried({ version });
    expect(outcomes).toMatchObject([{ obstacle: 'waits', stored_reviews: 1 }]);
    const consumer = new PromotionConsumer(new EventStore(database), new TrialStore(database), runService());
    const { eventId } = eventOf(1);
    const at = new Date().toISOString();
    const order = { tenant, customer: 'c-1', actor: 'key:1', at, eventId, trialId: idOf(started), commandId: 'cmd_promote' };
    await consumer.onPromoteOutcome(order, context);
    expect(await database.query(promotedSteps, [tenant])).toMatchObject([
      { state: 'waiting', step: 'propose' },
      { state: 'waiting', step: 'approval', review: asking[0]!.id },
      { state: 'waiting', step: 'side:due' },
    ]);
    expect(await reviews()).toEqual(asking);
  });
});

const endWaits = statement(
  'test.trial.endWaits',
  `UPDATE run_wait SET state = 'over', reason = 'elapsed', over_at = now() WHERE tenant_id = $1 AND state = 'pending'`,
);

describe('a promotion', () => {
  const promoted = statement(
    'test.trial.promoted',
    `SELECT run.generation, run.flow_version AS version, run.state, run.decision, (SELECT count(*)::integer FROM delivery WHERE delivery.run_id = run.id AND delivery.tenant_id = $1) AS deliveries,
       (SELECT min(started_at) FROM step_result WHERE step_result.run_id = run.id AND step_result.tenant_id = $1) AS "stepsFrom",
       (SELECT json_agg(step ORDER BY ordinal) FROM step_result WHERE step_result.run_id = run.id AND step_result.tenant_id = $1) AS steps
     FROM run WHERE tenant_id = $1 AND event_id = $2 ORDER BY generation`,
  );
  const context = { signal: new AbortController().signal, attempt: 1, traceparent: undefined } as never;

  test('makes an outcome the next generation, once, without asking the model, and delivers it', async () => {
    await apply('Flow', 'triage', { steps: [infer, tell] });
    await ran(eventOf(1), eventOf(2));
    answerWith((n) => (n === 1 ? { topic: 'other' } : { topic: 'billing' }));
    const version = await apply('Flow', 'triage', { steps: [infer, { id: 'more', map: { expression: 'steps.assess.topic' } }, tell] });
    asked = [];
    const started = command({ version });
    await trials.start(started);
    await ended(started);
    expect(asked).toHaveLength(2);
    const consumer = new PromotionConsumer(new EventStore(database), new TrialStore(database), runService());
    const { eventId } = eventOf(1);
    const [outcome] = await outcomesOf(started);
    const order = { tenant, customer: 'c-1', actor: 'key:1', at: new Date().toISOString(), eventId, trialId: idOf(started) };
    const promotedFrom = new Date();
    await consumer.onPromoteOutcome({ ...order, commandId: 'cmd_promote' }, context);
    await consumer.onPromoteOutcome({ ...order, commandId: 'cmd_promote' }, context);
    await consumer.onPromoteOutcome({ ...order, commandId: 'cmd_again' }, context);
    const runs = await database.query<{ stepsFrom: Date }>(promoted, [tenant, eventId]);
    expect(runs).toMatchObject([
      { generation: 0, decision: { topic: 'billing' }, deliveries: 1 },
      { generation: 1, version, state: 'completed', decision: outcome!.decision, deliveries: 1, steps: ['assess', 'more', 'tell'] },
    ]);
    expect(runs[1]!.stepsFrom.getTime()).toBeGreaterThanOrEqual(promotedFrom.getTime());
    expect(asked).toHaveLength(2);
  });

  test('of a flow that asks a person asks with what was seen, without asking the model again, and decides when the person has', async () => {
    await apply('Flow', 'triage', { steps: [infer, tell] });
    await ran(eventOf(1));
    const side = { id: 'side', needs: [], wait: { for: 'P2D' } };
    const approval = { id: 'approval', needs: ['assess'], review: { proposal: 'steps.assess', default: 'null', expiresAfter: 'P2D' } };
    const after = { ...action('{ "kept": steps.approval.value, "by": steps.approval.by }'), needs: ['approval'] };
    const version = await apply('Flow', 'triage', {
      steps: [infer, side, approval, after, { ...tell, needs: ['action'] }],
      decision: 'steps.action',
    });
    answerWith(() => ({ topic: 'other' }));
    const { outcomes, started } = await tried({ version });
    expect(outcomes).toMatchObject([{ obstacle: 'waits', decision: { kept: null }, change: 'different' }]);
    const was = asked.length;
    answerWith(() => ({ topic: 'never seen' }));
    const runs = runService();
    const consumer = new PromotionConsumer(new EventStore(database), new TrialStore(database), runs);
    const { eventId } = eventOf(1);
    const at = new Date().toISOString();
    const order = { tenant, customer: 'c-1', actor: 'key:1', at, eventId, trialId: idOf(started), commandId: 'cmd_promote' };
    await consumer.onPromoteOutcome(order, context);
    await consumer.onPromoteOutcome(order, context);
    const [, waiting] = await database.query<{ steps: string[] }>(promoted, [tenant, eventId]);
    expect(waiting).toMatchObject({ generation: 1, version, state: 'waiting', decision: null, deliveries: 0 });
    expect(waiting!.steps.toSorted()).toEqual(['approval:asked', 'assess', 'side:due']);
    const [{ id }] = (await database.query<{ id: string }>(decideReview, [tenant])) as [{ id: string }];
    await runs.continueRun(id, eventOf(1), context);
    await database.query(endWaits, [tenant]);
    await runs.continueRun(id, eventOf(1), context);
    expect(await database.query(promoted, [tenant, eventId])).toMatchObject([
      { generation: 0 },
      { generation: 1, state: 'completed', decision: { kept: { topic: 'other' }, by: 'Ada' }, deliveries: 1 },
    ]);
    expect(asked).toHaveLength(was);
  });

  test('that was repeated before the trial heard of it finds the run that it made', async () => {
    const version = await apply('Flow', 'triage', { steps: [action('event.data.amount'), tell] });
    await recorded(eventOf(1));
    const started = command({ version });
    await trials.start(started);
    await ended(started);
    const runs = runService();
    const outcome = (await new TrialStore(database).promotable(tenant, idOf(started), eventOf(1).eventId))!;
    const first = await runs.promote(eventOf(1), outcome, 'cmd_promote', context);
    expect(await runs.promote(eventOf(1), outcome, 'cmd_promote', context)).toMatchObject({ id: first.id, generation: 1 });
    expect(await database.query(promoted, [tenant, eventOf(1).eventId])).toMatchObject([{ generation: 1, decision: 1, deliveries: 1 }]);
  });
});

test('a command that comes twice starts one trial; one that comes when too many wait is refused', async () => {
  await trials.beforeApplicationShutdown();
  const started = Array.from({ length: 21 }, () => command({ document: flowDocument({ steps: [action('1')] }) }));
  for (const one of started) await trials.start(one);
  await trials.start(started[0]!);
  expect(await rowOf(started[19]!)).toMatchObject({ state: 'running' });
  expect(await rowOf(started[20]!)).toMatchObject({ state: 'failed', error_code: 'trial.tooMany' });
});
