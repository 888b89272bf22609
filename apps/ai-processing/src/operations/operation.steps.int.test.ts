import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SecretBox } from '#libs/auth';
import { Connections } from '#libs/connections';
import { TenantConnections } from '#libs/connectors';
import { document, eventId as eventIdOf, topics } from '#libs/contracts';
import type { EventReceived } from '#libs/contracts';
import { FlowCompiler } from '#libs/flows';
import { HttpClient } from '#libs/http';
import { RecordProducer, ensureTopics } from '#libs/messaging';
import type { RecordContext } from '#libs/messaging';
import { ModelGateway, OpenAiProvider } from '#libs/models';
import { Configuration, Database, DocumentSecrets, DocumentTable, statement } from '#libs/persistence';
import { freshDatabase, startHttpSink, testBrokers, uniqueName, waitFor } from '#libs/testing';
import type { FreshDatabase, HttpSink } from '#libs/testing';
import { DeadLetterStore } from '../dead-letters/dead-letter.store.js';
import { FailedRuns } from '../runs/failed.runs.js';
import { FlowMatcher } from '../runs/flow.matcher.js';
import { RunAnnouncer } from '../runs/run.announcer.js';
import { RunGivenUp, RunsUnfinished } from '../runs/run.errors.js';
import { RunProgressStore } from '../runs/run.progress.store.js';
import { RunService } from '../runs/run.service.js';
import { RunStore } from '../runs/run.store.js';
import { RunDrafts } from '../runs/run.drafts.js';
import { RunWorker } from '../runs/run.worker.js';
import { StepResultStore } from '../runs/step-result.store.js';
import { ReviewStore } from '../reviews/review.store.js';
import { RunWaitTable } from '../waits/run-wait.table.js';
import { RunWaker } from '../waits/run.waker.js';
import { OperationService } from './operation.service.js';

let fresh: FreshDatabase;
let database: Database;
let documents: DocumentTable;
let configuration: Configuration;
let connections: Connections;
let producer: RecordProducer;
let http: HttpClient;
let system: HttpSink;
let runs: RunService;

beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  const secretBox = new SecretBox(randomBytes(32));
  documents = new DocumentTable(secretBox);
  const secrets = new DocumentSecrets(secretBox);
  connections = await Connections.started({ secrets, secretBox, database, allowPrivateAddresses: true });
  configuration = new Configuration(database, { secretBox });
  await configuration.start();
  const log = { brokers: testBrokers(), clientId: 'test' };
  await ensureTopics(log, Object.values(topics));
  producer = new RecordProducer(log);
  await producer.connect();
  http = new HttpClient({ allowPrivateAddresses: true });
  system = await startHttpSink();
});

afterAll(async () => {
  await connections.close();
  await http.close();
  await system.stop();
  await producer.disconnect();
  await configuration.stop();
  await database.close();
  await fresh.close();
});

/** The services of one process, without outputs in memory. */
function startProcess(): RunService {
  const operations = new OperationService(new TenantConnections(http, configuration, connections));
  const models = new ModelGateway({ provider: new OpenAiProvider({ baseUrl: 'http://127.0.0.1:9/v1', apiKey: 'k' }) });
  const compiler = new FlowCompiler({ models, operations });
  const options = { runRetries: 5, runLeaseMs: 30_000 };
  const store = new RunStore(database);
  const waits = new RunWaitTable(database, new ReviewStore(database));
  const stores = [store, new RunProgressStore(database), new StepResultStore(database), waits] as const;
  const worker = new RunWorker(...stores, new RunWaker(waits, producer), new RunDrafts(producer), compiler, configuration, options);
  const deadLetters = new DeadLetterStore(database);
  const announcer = new RunAnnouncer(producer, deadLetters);
  return new RunService(
    new FlowMatcher(configuration, compiler),
    store,
    worker,
    announcer,
    new FailedRuns(configuration, deadLetters),
    options,
  );
}

let tenant: string;
/** The requests of this test, as the system got them. */
let got: { path: string; key: string | undefined; token: string | undefined }[];

beforeEach(async () => {
  tenant = uniqueName('t');
  runs = startProcess();
  answerWith(() => ({ status: 200, body: { n: got.length } }));
  await apply('Connector', 'cases', {
    summary: 'Cases.',
    base: '{settings.base}',
    hosts: ['*'],
    settings: { type: 'object', required: ['base'], properties: { base: { type: 'string' } } },
    auth: [{ kind: 'bearer' }, { kind: 'oauth2' }],
    operations: {
      read: { summary: 'Read a case.', effect: 'read', input: {}, request: { method: 'GET', path: '/read/{input.id}' } },
      keyed: {
        summary: 'Open a case.',
        effect: 'write',
        idempotency: { class: 'key' },
        input: {},
        request: { method: 'POST', path: '/keyed', headers: { 'idempotency-key': '{delivery.id}' } },
      },
      plain: {
        summary: 'Open a case.',
        effect: 'write',
        idempotency: { class: 'none' },
        input: {},
        output: { type: 'object', properties: { n: { type: 'number' } } },
        request: { method: 'POST', path: '/plain' },
      },
      marked: {
        summary: 'Open a case.',
        effect: 'write',
        idempotency: { class: 'verify', operation: 'find', settleMs: 0 },
        input: {},
        request: { method: 'POST', path: '/marked' },
      },
      find: {
        summary: 'Find a case.',
        effect: 'read',
        input: {},
        request: { method: 'GET', path: '/find/{delivery.id}' },
        result: 'response.body.found',
      },
    },
  });
  await connectDesk('a-token-of-the-tenant');
});

function connectDesk(token: string): Promise<void> {
  const auth = { kind: 'bearer', token: { value: token } };
  return apply('Connection', 'desk', { connector: 'cases', settings: { base: system.url }, auth, timeoutMs: 2_000 });
}

function answerWith(answer: (path: string) => { status: number; body?: object } | Promise<{ status: number; body?: object }>): void {
  got = [];
  system.respondWith(async ({ path, headers }) => {
    got.push({ path, key: headers['idempotency-key'] as string | undefined, token: headers.authorization });
    const { status, body } = await answer(path);
    return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body ?? {}) };
  });
}

async function apply(kind: 'Flow' | 'Connection' | 'Connector', name: string, spec: object): Promise<void> {
  const parsed = document.parse({ apiVersion: 'millrace/v1', kind, metadata: { tenant, name }, spec });
  const { version } = await documents.save(database, { document: parsed, actor: 'test' });
  const isCurrent = (): boolean =>
    kind === 'Flow'
      ? configuration.flows(tenant).some((one) => one.name === name && one.version === version)
      : kind === 'Connection'
        ? configuration.connection(tenant, name)?.version === version
        : configuration.documentsOf(tenant)(kind, name) !== undefined;
  await waitFor(isCurrent, { what: `${name} to be current` });
}

const eventOf = (id: string): EventReceived => ({
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
  body: '{"id":"o/1"}',
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

const runRows = statement('test.operations.runs', 'SELECT state, decision, error_code, error_message FROM run WHERE tenant_id = $1');
const attemptRows = statement(
  'test.operations.attempts',
  'SELECT step, fence::integer, connection, operation, outcome, status, error_code, response_excerpt FROM operation_attempt WHERE tenant_id = $1 ORDER BY fence, step',
);
const stored = () => database.query<Record<string, unknown>>(runRows, [tenant]);
const attempts = () => database.query<Record<string, unknown>>(attemptRows, [tenant]);

describe('enrich', () => {
  const enrich = (more: object = {}) => ({
    steps: [{ id: 'read', enrich: { connection: 'desk', operation: 'read', input: '{ "id": event.data.id }', ...more } }],
  });

  test('reads as the connection, and its output is the step’s', async () => {
    await apply('Flow', 'one', enrich());
    await runs.runFlows(eventOf('1'), contextOf());
    expect(await stored()).toMatchObject([{ state: 'completed', decision: { n: 1 } }]);
    expect(got).toEqual([{ path: '/read/o%2F1', key: undefined, token: 'Bearer a-token-of-the-tenant' }]);
    expect(await attempts()).toMatchObject([
      { step: 'read', fence: 1, connection: 'desk', operation: 'read', outcome: 'succeeded', status: 200 },
    ]);
  });

  test('asks each time, unless its outputs may be used again; a run that goes on reads what is stored', async () => {
    await apply('Flow', 'one', enrich());
    for (const id of ['1', '2']) await runs.runFlows(eventOf(id), contextOf());
    expect(got).toHaveLength(2);
    await apply('Flow', 'one', enrich({ cache: { ttlMs: 60_000 } }));
    for (const id of ['3', '4', '5']) await runs.runFlows(eventOf(id), contextOf());
    expect(got).toHaveLength(3);
    await startProcess().runFlows(eventOf('3'), contextOf());
    expect(got).toHaveLength(3);
    expect((await stored()).map(({ decision }) => (decision as { n: number }).n)).toEqual([1, 2, 3, 3, 3]);
  });

  test('outputs are not used again once the connection may lead to another account', async () => {
    await apply('Flow', 'one', enrich({ cache: { ttlMs: 60_000 } }));
    await runs.runFlows(eventOf('1'), contextOf());
    await connectDesk('a-token-of-another-account');
    await runs.runFlows(eventOf('2'), contextOf());
    expect(got.map(({ token }) => token)).toEqual(['Bearer a-token-of-the-tenant', 'Bearer a-token-of-another-account']);
  });

  test('runs that want the same at the same time ask once', async () => {
    await apply('Flow', 'one', enrich({ cache: { ttlMs: 60_000 } }));
    const all = Promise.withResolvers<void>();
    answerWith(async () => {
      await all.promise;
      return { status: 200, body: { n: 1 } };
    });
    const running = ['1', '2', '3'].map((id) => runs.runFlows(eventOf(id), contextOf({ customer: id })));
    await waitFor(() => got.length > 0, { what: 'the question' });
    all.resolve();
    await Promise.all(running);
    expect(got).toHaveLength(1);
  });

  test('an older output is used while the system is away, and only as long as the step says', async () => {
    await apply('Flow', 'one', enrich({ cache: { ttlMs: 1, staleIfErrorMs: 60_000 } }));
    await runs.runFlows(eventOf('1'), contextOf());
    answerWith(() => ({ status: 503 }));
    await runs.runFlows(eventOf('2'), contextOf());
    expect(got.length).toBeGreaterThan(0);
    expect((await stored()).map(({ decision }) => decision)).toEqual([{ n: 1 }, { n: 1 }]);
    await apply('Flow', 'one', enrich({ cache: { ttlMs: 1 } }));
    await expect(runs.runFlows(eventOf('3'), contextOf())).rejects.toThrow(RunsUnfinished);
  });

  test('a refusal parks the run, with what the system said and without the credential', async () => {
    answerWith(() => ({ status: 404, body: { said: 'no case for a-token-of-the-tenant' } }));
    await apply('Flow', 'one', enrich());
    await expect(runs.runFlows(eventOf('1'), contextOf())).rejects.toThrow(RunGivenUp);
    expect(await stored()).toMatchObject([{ state: 'failed', error_code: 'operation.refused' }]);
    expect(await attempts()).toMatchObject([{ outcome: 'failed', status: 404, response_excerpt: '{"said":"no case for [redacted]"}' }]);
  });

  test('a run whose flow names a connection that does not exist is given up, and does not wait for one', async () => {
    await apply('Flow', 'one', { steps: [{ id: 'read', enrich: { connection: 'nosuch', operation: 'read' } }] });
    await expect(runs.runFlows(eventOf('1'), contextOf())).rejects.toThrow(RunGivenUp);
    expect(await stored()).toMatchObject([{ state: 'failed', error_code: 'connection.unknown' }]);
    expect(await attempts()).toEqual([]);
  });

  test('a run waits while its connection has to be authorised, and uses up no retries', async () => {
    await apply('Connection', 'desk', {
      connector: 'cases',
      settings: { base: system.url },
      auth: {
        kind: 'oauth2',
        grant: 'authorizationCode',
        clientId: 'c',
        clientSecret: { value: 'a-secret-of-the-client' },
        endpoints: { authorize: 'https://login.example/authorize', token: 'https://login.example/token' },
      },
    });
    await waitFor(() => configuration.connection(tenant, 'desk')?.version === 2, { what: 'the new connection' });
    await apply('Flow', 'one', enrich());
    for (let attempt = 1; attempt <= 8; attempt += 1)
      await expect(startProcess().runFlows(eventOf('1'), contextOf({ attempt }))).rejects.toThrow(RunsUnfinished);
    expect(got).toEqual([]);
    expect(await stored()).toMatchObject([{ state: 'running', error_code: null }]);
  });
});

describe('call', () => {
  const call = (operation: string, more: object = {}) => ({
    steps: [
      { id: 'open', call: { connection: 'desk', operation, ...more } },
      { id: 'after', map: { expression: 'steps.open.n' } },
    ],
  });
  const unanswered = (): void => answerWith(() => ({ status: 500 }));
  const writes = (): typeof got => got.filter(({ path }) => !path.startsWith('/find'));

  test('acts once, and later steps read its output; a repeat of the event acts no more', async () => {
    await apply('Flow', 'one', call('keyed'));
    await runs.runFlows(eventOf('1'), contextOf());
    await startProcess().runFlows(eventOf('1'), contextOf());
    expect(await stored()).toMatchObject([{ state: 'completed', decision: 1 }]);
    expect(got).toHaveLength(1);
  });

  test('an uncertain attempt is sent again under the same key', async () => {
    unanswered();
    await apply('Flow', 'one', call('keyed'));
    await expect(runs.runFlows(eventOf('1'), contextOf())).rejects.toThrow(RunsUnfinished);
    const [first] = got;
    answerWith(() => ({ status: 200, body: { n: 2 } }));
    await startProcess().runFlows(eventOf('1'), contextOf({ attempt: 2 }));
    expect(first!.key).toMatch(/^cll_/);
    expect(got).toEqual([first]);
    expect((await attempts()).map(({ fence, outcome }) => [fence, outcome])).toEqual([
      [1, 'uncertain'],
      [2, 'succeeded'],
    ]);
  });

  test('a process that ends while it sends leaves an attempt of an unknown outcome, and its successor knows of it', async () => {
    const [hangs, dies] = [Promise.withResolvers<void>(), new AbortController()];
    answerWith(async () => {
      hangs.resolve();
      return new Promise<never>(() => undefined);
    });
    await apply('Flow', 'one', call('plain'));
    const running = runs.runFlows(eventOf('1'), contextOf({ signal: dies.signal })).catch((error: unknown) => error);
    await hangs.promise;
    dies.abort(new Error('the process ends'));
    await running;
    expect(await attempts()).toMatchObject([{ fence: 1, outcome: null }]);
    answerWith(() => ({ status: 200, body: { n: 2 } }));
    await expect(startProcess().runFlows(eventOf('1'), contextOf({ attempt: 2 }))).rejects.toThrow(RunGivenUp);
    expect(got).toEqual([]);
    expect(await stored()).toMatchObject([{ state: 'failed', error_code: 'operation.uncertain' }]);
  });

  test('a step that is tried again within its run knows of its own attempt', async () => {
    unanswered();
    const step = {
      id: 'open',
      call: { connection: 'desk', operation: 'plain' },
      onError: { retry: { times: 1, delayMs: 1 }, value: '"fell back"' },
    };
    await apply('Flow', 'one', { steps: [step], onFailure: 'skip' });
    await runs.runFlows(eventOf('1'), contextOf());
    expect(got).toHaveLength(1);
    expect(await stored()).toMatchObject([{ state: 'completed', decision: 'fell back' }]);
  });

  test('an operation that acted, and whose answer is not what the connector expects, is not sent again', async () => {
    answerWith(() => ({ status: 200, body: { n: 'not a number' } }));
    const step = {
      id: 'open',
      call: { connection: 'desk', operation: 'plain' },
      onError: { retry: { times: 1, delayMs: 1 }, value: '"fell back"' },
    };
    await apply('Flow', 'one', { steps: [step] });
    await runs.runFlows(eventOf('1'), contextOf());
    expect(got).toHaveLength(1);
    expect(await attempts()).toMatchObject([{ outcome: 'uncertain', error_code: 'operation.outputInvalid' }]);
  });

  test('what takes each request anew is sent again only with consent, or if it certainly did nothing', async () => {
    unanswered();
    await apply('Flow', 'one', call('plain', { atLeastOnce: true }));
    await expect(runs.runFlows(eventOf('1'), contextOf())).rejects.toThrow(RunsUnfinished);
    answerWith(() => ({ status: 429 }));
    await expect(startProcess().runFlows(eventOf('1'), contextOf({ attempt: 2 }))).rejects.toThrow(RunsUnfinished);
    answerWith(() => ({ status: 200, body: { n: 2 } }));
    await startProcess().runFlows(eventOf('1'), contextOf({ attempt: 3 }));
    expect(await stored()).toMatchObject([{ state: 'completed', decision: 2 }]);

    await apply('Flow', 'one', call('plain'));
    answerWith(() => ({ status: 429 }));
    await expect(runs.runFlows(eventOf('2'), contextOf())).rejects.toThrow(RunsUnfinished);
    answerWith(() => ({ status: 200, body: { n: 3 } }));
    await startProcess().runFlows(eventOf('2'), contextOf({ attempt: 2 }));
    expect((await stored()).map(({ state }) => state)).toEqual(['completed', 'completed']);
  });

  test('an effect that can be looked up is looked for, and is not repeated if it is found', async () => {
    unanswered();
    await apply('Flow', 'one', call('marked'));
    await expect(runs.runFlows(eventOf('1'), contextOf())).rejects.toThrow(RunsUnfinished);
    answerWith((path) => ({ status: 200, body: path.startsWith('/find') ? { found: { n: 8 } } : { n: 9 } }));
    await startProcess().runFlows(eventOf('1'), contextOf({ attempt: 2 }));
    expect(writes()).toEqual([]);
    expect(await stored()).toMatchObject([{ state: 'completed', decision: 8 }]);
  });

  test('an effect that is not found is made', async () => {
    unanswered();
    await apply('Flow', 'one', call('marked'));
    await expect(runs.runFlows(eventOf('1'), contextOf())).rejects.toThrow(RunsUnfinished);
    answerWith((path) => ({ status: 200, body: path.startsWith('/find') ? { found: null } : { n: 9 } }));
    await startProcess().runFlows(eventOf('1'), contextOf({ attempt: 2 }));
    expect(writes()).toHaveLength(1);
    expect(await stored()).toMatchObject([{ state: 'completed', decision: 9 }]);
  });
});
