/** @module-tag both-logs Callers wait for what comes back over the log. */
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { AiProcessingModule, aiProcessingSettings } from '#apps/ai-processing';
import { ConnectorsModule, connectorsSettings } from '#apps/connectors';
import { QueryModule, querySettings } from '#apps/query';
import { readSettings } from '#libs/config';
import { ReplayEvent, topics } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import { statement } from '#libs/persistence';
import type { Database } from '#libs/persistence';
import type { RunningService } from '#libs/service';
import { Gate, SeededRandom, startHttpSink, uniqueName, waitFor } from '#libs/testing';
import type { HttpSink } from '#libs/testing';
import { sleep } from '#libs/time';
import { registry } from '#libs/tracing';
import { DecisionServices } from '../../../test/decisions/decision-services.js';

let services: DecisionServices;
let database: Database;
let tenant: string;
/** The way of the doors to Postgres, and that of all other services. */
let doorsWay: Gate;
let workersWay: Gate;
let model: HttpSink;
let crm: HttpSink;
let door: RunningService;
let workers: RunningService;
let query: RunningService;
const keys: Record<string, string> = {};

beforeAll(async () => {
  services = await DecisionServices.create('decisions');
  ({ database, tenant } = services);
  model = await startHttpSink();
  crm = await startHttpSink();
  answerWith(() => 500);
  doorsWay = await Gate.before(new URL(services.fresh.url).host);
  workersWay = await Gate.before(new URL(services.fresh.url).host);
  await doorsWay.open();
  await workersWay.open();
  const secret = { value: `whsec_${randomBytes(24).toString('base64')}` };
  await services.save('Destination', { kind: 'http', url: { value: `${crm.url}/crm` }, secret }, 'crm');
  for (const scope of ['ingest', 'read', 'operate'] as const) keys[scope] = await services.issueKey(scope);
  keys['elsewhere'] = await services.issueKey('ingest', uniqueName('other'));
  const started = [services.startDoor({ databaseUrl: through(doorsWay) }), startWorkers(), startQuery()] as const;
  [door, workers, query] = await Promise.all(started);
  answerWith(() => ({ urgency: 0 }));
  const flow = await apply();
  await waitFor(async () => (await decide(flow, {})).body['default'] === false, {
    what: 'the workers to have their part of the log',
    deadlineMs: 60_000,
  });
}, 90_000);

afterAll(async () => {
  await services?.stop();
  await Promise.all([model, crm].map((sink) => sink?.stop()));
});

afterEach(() => void vi.restoreAllMocks());

const through = (way: Gate): string => Object.assign(new URL(services.fresh.url), { host: way.address }).href;

function startWorkers(): Promise<RunningService> {
  const databaseUrl = through(workersWay);
  const environment = {
    ...services.environment(databaseUrl),
    MODEL_BASE_URL: `${model.url}/v1`,
    MODEL_API_KEY: 'k',
    DELIVERY_ALLOWED_URLS: `${crm.url}/`,
    RUN_RETRIES: '100',
  };
  const modules = [
    AiProcessingModule.register(readSettings('ai-processing', aiProcessingSettings, environment)),
    ConnectorsModule.register(readSettings('connectors', connectorsSettings, environment)),
  ];
  return services.start('workers', { isWorker: true, databaseUrl, poolSize: 20, modules });
}

function startQuery(): Promise<RunningService> {
  const keysOfOperator = { QUERY_DATABASE_URL: services.fresh.queryUrl, OPERATOR_KEY: randomBytes(32).toString('hex') };
  const settings = readSettings('query', querySettings, { ...services.environment(), ...keysOfOperator });
  return services.start('query', { poolSize: 4, modules: [QueryModule.register(settings)] });
}

const assess = {
  id: 'assess',
  infer: {
    model: 'm',
    instructions: 'Say how urgent it is.',
    output: { type: 'object', additionalProperties: false, required: ['urgency'], properties: { urgency: { type: 'integer' } } },
    timeoutMs: 60_000,
  },
};
const tell = { id: 'tell', deliver: { destination: 'crm' } };
const byDefault = { urgency: 0, by: 'default' };

async function apply(more: object = {}): Promise<string> {
  const flow = uniqueName('triage');
  await services.save(
    'Flow',
    { onRequest: { default: byDefault, deliverDefault: ['crm'] }, steps: [assess, tell], onFailure: 'skip', ...more },
    flow,
  );
  return flow;
}

/** The model answers each question with what `answer` returns, when it resolves. */
function answerWith(answer: (question: string) => unknown): void {
  model.respondWith(async ({ body }) => {
    const question = body.toString('utf8');
    const content = question.includes('messages') ? await answer(question) : 400; // an empty question asks whether there is a model API
    if (typeof content === 'number')
      return { status: content, headers: { 'content-type': 'application/json' }, body: '{"error":{"message":"no"}}' };
    const completion = {
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 1,
      model: 'm',
      choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: JSON.stringify(content), refusal: null } }],
      usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
    };
    return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(completion) };
  });
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
  readonly tookMs: number;
}

async function post(path: string, body: object, headers: Record<string, string> = {}, key = keys['ingest']!): Promise<Answer> {
  const startedAt = performance.now();
  const response = await fetch(`${door.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}`, ...headers },
    body: JSON.stringify(body),
  });
  const read = (await response.json()) as Record<string, unknown>;
  return { status: response.status, headers: response.headers, body: read, tookMs: performance.now() - startedAt };
}

/** Long enough for a machine with other work: three quarters of the settling time, 750 ms, are for Postgres. */
const waitSeconds = 4;
const inTimeMs = waitSeconds * 1_000 + 500;
const decide = (flow: string, body: object, seconds = waitSeconds): Promise<Answer> =>
  post(`/v1/decisions/${flow}`, { customer: uniqueName('c'), ...body }, { prefer: `wait=${seconds}` });

interface StoredRun {
  readonly state: string;
  readonly decision: unknown;
  readonly defaultReason: string | null;
}
const runOf = statement(
  'test.decisions.run',
  'SELECT state, decision, default_reason AS "defaultReason" FROM run WHERE tenant_id = $1 AND event_id = $2 ORDER BY generation',
);
const storedRun = async ({ body }: Answer): Promise<StoredRun | undefined> =>
  (await database.query<StoredRun>(runOf, [tenant, body['eventId']]))[0];
const payloadsOf = statement('test.decisions.deliveries', 'SELECT payload FROM delivery WHERE tenant_id = $1 AND event_id = $2');
const delivered = async ({ body }: Answer): Promise<Record<string, unknown>[]> =>
  (await database.query<{ payload: Record<string, unknown> }>(payloadsOf, [tenant, body['eventId']])).map(({ payload }) => payload);

const isDefault = (answer: Answer, reason: string): void => {
  expect(answer).toMatchObject({ status: 200, body: { decision: byDefault, default: true, reason } });
};

async function metric(name: string): Promise<number> {
  const { values } = (await registry.getSingleMetric(name)!.get()) as { values: { value: number }[] };
  return values.reduce((sum, { value }) => sum + value, 0);
}

test('a caller gets the decision of the flow, which is the one that is stored and delivered; a repeat gets the same, and the model is asked once', async () => {
  const flow = await apply();
  let asked = 0;
  answerWith(() => ({ urgency: (asked += 1) }));
  const first = await decide(flow, { id: 'o-1', message: 'It burns' });
  expect(first).toMatchObject({ status: 200, body: { decision: { urgency: 1 }, default: false, reason: null } });
  expect(first.headers.get('preference-applied')).toBe('wait=4');
  expect(first.tookMs).toBeLessThan(3_250);
  expect(await storedRun(first)).toEqual({ state: 'completed', decision: { urgency: 1 }, defaultReason: null });
  expect(await delivered(first)).toMatchObject([{ decision: { urgency: 1 } }]);
  const again = await decide(flow, { id: 'o-1', message: 'It burns' });
  expect(again.body).toEqual(first.body);
  const byKey = (): Promise<Answer> => post(`/v1/decisions/${flow}`, { customer: 'c-1' }, { 'idempotency-key': 'k-1' });
  expect((await byKey()).body).toEqual((await byKey()).body);
  expect(asked).toBe(2);
  expect((await decide(flow, {})).body['eventId']).not.toBe((await decide(flow, {})).body['eventId']); // without an id each call is its own
});

test('a model that does not answer: the default decision by the deadline, stored and delivered; what comes late is dropped, and the model is left alone', async () => {
  const flow = await apply();
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<unknown>();
  answerWith((question) => (question.includes('glacial') ? (asked.resolve(), answer.promise) : { urgency: 9 }));
  const first = await decide(flow, { id: 'o-2', message: 'glacial' });
  await asked.promise;
  isDefault(first, 'decision.deadline');
  expect(first.tookMs).toBeLessThan(inTimeMs);
  expect(await storedRun(first)).toEqual({ state: 'completed', decision: byDefault, defaultReason: 'decision.deadline' });
  answer.resolve({ urgency: 5 });
  await waitFor(async () => (await delivered(first)).length > 0, { what: 'the default decision to be delivered' });
  expect(await delivered(first)).toMatchObject([{ flow, decision: byDefault, default: true, reason: 'decision.deadline' }]);
  const questions = model.requests.length;
  expect((await decide(flow, { id: 'o-2', message: 'glacial' })).body).toEqual(first.body);
  expect(model.requests.length).toBe(questions);
});

test('a provider that fails each call: every caller is answered by the deadline, nothing is dead-lettered, and it recovers by itself', async () => {
  const flow = await apply();
  answerWith(() => 500);
  const answers = await Promise.all(Array.from({ length: 20 }, () => decide(flow, { message: 'hello' })));
  for (const answer of answers) {
    expect(answer).toMatchObject({ status: 200, body: { decision: byDefault, default: true } });
    expect(['decision.deadline', 'decision.unconfirmed']).toContain(answer.body['reason']); // 20 at once, and Postgres may be slow
    expect(answer.tookMs).toBeLessThan(inTimeMs);
    await waitFor(async () => (await storedRun(answer))?.state === 'completed', { what: 'the decision to be stored' });
    expect(await storedRun(answer)).toMatchObject({ state: 'completed', decision: byDefault });
  }
  const letters = statement('test.decisions.letters', 'SELECT code FROM dead_letter WHERE tenant_id = $1');
  expect(await database.query(letters, [tenant])).toEqual([]);
  answerWith(() => ({ urgency: 2 }));
  await waitFor(async () => (await decide(flow, { message: 'hello' })).body['default'] === false, {
    what: 'the flow to decide again',
    deadlineMs: 60_000,
  });
}, 90_000);

test('a flow that is given up takes the default decision at once, with the reason', async () => {
  const flow = await apply({ steps: [{ id: 'check', map: { expression: '$error("never")' } }] });
  const answer = await decide(flow, {}, 20);
  isDefault(answer, 'flow.expressionFailed');
  expect(answer.tookMs).toBeLessThan(15_000);
  expect(await storedRun(answer)).toMatchObject({ state: 'completed', defaultReason: 'flow.expressionFailed' });
});

const waitsOf = statement(
  'test.decisions.waits',
  'SELECT run_wait.state FROM run_wait JOIN run ON run.id = run_id WHERE run.event_id = $1',
);

test.each([
  ['for a time', { id: 'later', wait: { for: 'PT1H' } }],
  ['for a person', { id: 'later', review: { proposal: '1', expiresAfter: 'P1D' } }],
])('a run that waits %s takes the default decision at the deadline, which is delivered, and its wait is dropped', async (_, step) => {
  const flow = await apply({ steps: [step, { id: 'then', map: { expression: '1' } }] });
  const answer = await decide(flow, {});
  isDefault(answer, 'decision.deadline');
  await waitFor(async () => (await delivered(answer)).length > 0, { what: 'the delivery of the default decision' });
  expect(await delivered(answer)).toMatchObject([{ flow, decision: byDefault, default: true, reason: 'decision.deadline' }]);
  await waitFor(async () => (await database.query<{ state: string }>(waitsOf, [answer.body['eventId']]))[0]?.state === 'taken', {
    what: 'the wait to be dropped',
  });
  const { body } = await graphql(
    `
      query ($id: ID!) {
        event(id: $id) {
          decisions {
            value
            default
            reason
            decideBy
          }
          timeline {
            title
          }
        }
      }
    `,
    answer,
  );
  expect(body.data.event.decisions).toMatchObject([
    { value: byDefault, default: true, reason: 'decision.deadline', decideBy: expect.any(String) },
  ]);
  const titles = body.data.event.timeline.map(({ title }: { title: string }) => title);
  expect(titles).toContain(`The default decision of flow ${flow} counts (decision.deadline)`);
});

async function graphql(text: string, { body }: Answer): Promise<{ body: any }> {
  await waitFor(
    async () =>
      (await database.query(statement('test.decisions.event', 'SELECT id FROM event WHERE id = $1'), [body['eventId']])).length > 0,
    { what: 'the event to be recorded' },
  );
  const response = await fetch(`${query.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${keys['read']}` },
    body: JSON.stringify({ query: text, variables: { id: body['eventId'] } }),
  });
  return { body: await response.json() };
}

test('a reply that is lost: Postgres tells the caller at the deadline what the flow decided', async () => {
  const flow = await apply();
  answerWith(() => ({ urgency: 3 }));
  const producer = workers.app.get(RecordProducer, { strict: false });
  const append = producer.append.bind(producer);
  vi.spyOn(producer, 'append').mockImplementation((topic, type, value, options) =>
    topic === topics.replies ? Promise.resolve({ partition: 0, offset: '0' }) : append(topic, type, value, options),
  );
  const before = await metric('millrace_decision_replies_lost_total');
  const answer = await decide(flow, {});
  expect(answer).toMatchObject({ status: 200, body: { decision: { urgency: 3 }, default: false } });
  expect(answer.tookMs).toBeLessThan(inTimeMs);
  expect((await metric('millrace_decision_replies_lost_total')) - before).toBe(1);
});

test('ai-processing is stopped: the door stores the default decision, and the event is not worked on later', async () => {
  const flow = await apply();
  answerWith(() => ({ urgency: 4 }));
  await workers.stop();
  const answer = await decide(flow, {});
  workers = await startWorkers();
  isDefault(answer, 'decision.deadline');
  expect(answer.tookMs).toBeLessThan(inTimeMs);
  expect(await storedRun(answer)).toMatchObject({ state: 'completed', decision: byDefault });
  const asked = model.requests.length;
  await waitFor(async () => (await delivered(answer)).length > 0, { what: 'the delivery of the default decision', deadlineMs: 30_000 });
  expect(model.requests.length).toBe(asked);
}, 60_000);

test('Postgres is away: the default decision, which says that it is unconfirmed, and which is stored when Postgres is back', async () => {
  const flow = await apply();
  answerWith(() => ({ urgency: 4 }));
  await decide(flow, {}); // the door knows the flow
  const disagreed = await metric('millrace_decisions_disagreed_total');
  doorsWay.close();
  workersWay.close();
  const answer = await decide(flow, {});
  await Promise.all([doorsWay.open(), workersWay.open()]);
  isDefault(answer, 'decision.unconfirmed');
  expect(answer.tookMs).toBeLessThan(inTimeMs);
  await waitFor(async () => (await storedRun(answer)) !== undefined, { what: 'the decision to be stored', deadlineMs: 30_000 });
  expect(await storedRun(answer)).toMatchObject({ state: 'completed', decision: byDefault });
  await waitFor(async () => (await metric('millrace_decisions_unconfirmed')) === 0, { what: 'the answer to be confirmed' });
  expect(await metric('millrace_decisions_disagreed_total')).toBe(disagreed);
}, 60_000);

test('Postgres is away for the door alone, and the reply is lost: the one case of a disagreement is told as unconfirmed, and counted', async () => {
  const flow = await apply();
  answerWith(() => ({ urgency: 4 }));
  await decide(flow, {});
  const disagreed = await metric('millrace_decisions_disagreed_total');
  const producer = workers.app.get(RecordProducer, { strict: false });
  const append = producer.append.bind(producer);
  vi.spyOn(producer, 'append').mockImplementation((topic, type, value, options) =>
    topic === topics.replies ? Promise.resolve({ partition: 0, offset: '0' }) : append(topic, type, value, options),
  );
  doorsWay.close();
  const answer = await decide(flow, {});
  await doorsWay.open();
  isDefault(answer, 'decision.unconfirmed');
  expect(await storedRun(answer)).toMatchObject({ decision: { urgency: 4 } });
  await waitFor(async () => (await metric('millrace_decisions_disagreed_total')) === disagreed + 1, {
    what: 'the disagreement to be counted',
    deadlineMs: 30_000,
  });
}, 60_000);

test('answers that come at about the deadline: caller, store and destination agree for each of hundreds of calls', async () => {
  const flow = await apply();
  const random = new SeededRandom(20_261_130);
  let middleMs = 3_100; // the deadline of a wait of 4 s is after 3.25 s
  answerWith(async () => {
    await sleep(Math.max(0, middleMs - 250 + random.next() * 500));
    return { urgency: 7 };
  });
  const answers: Answer[] = [];
  const confirmed = (byDeadline: boolean): number =>
    answers.filter(({ body }) => body['reason'] !== 'decision.unconfirmed' && (body['default'] === true) === byDeadline).length;
  // A machine that is slow, or quick, moves the moment at which it is a race; each round moves towards it.
  for (let round = 0; round < 15 && Math.min(confirmed(true), confirmed(false)) <= 40; round += 1) {
    const before = { ofFlow: confirmed(false), ofDefault: confirmed(true) };
    answers.push(...(await Promise.all(Array.from({ length: 60 }, () => decide(flow, {})))));
    const [ofFlow, ofDefault] = [confirmed(false) - before.ofFlow, confirmed(true) - before.ofDefault];
    if (ofFlow < 15) middleMs = Math.max(0, middleMs - 300);
    else if (ofDefault < 15) middleMs += 150;
  }
  const counted = { decided: 0, default: 0 };
  for (const answer of answers) {
    expect(answer.status).toBe(200);
    if (answer.body['reason'] === 'decision.unconfirmed') continue; // promises nothing
    counted[answer.body['default'] === true ? 'default' : 'decided'] += 1;
    expect(await storedRun(answer)).toEqual({
      state: 'completed',
      decision: answer.body['decision'],
      defaultReason: answer.body['reason'],
    });
    await waitFor(async () => (await delivered(answer)).length > 0, { what: 'its delivery', deadlineMs: 30_000 });
    const payloads = await delivered(answer);
    expect(payloads.map(({ decision }) => decision)).toEqual([answer.body['decision']]);
  }
  expect(Math.min(counted.decided, counted.default)).toBeGreaterThan(40); // else it was no race
}, 240_000);

test('a job: its place is told at once, then what became of it; the destination that it names is told, too', async () => {
  const flow = await apply({ steps: [assess] });
  const answer = Promise.withResolvers<unknown>();
  answerWith(() => answer.promise);
  const taken = await post('/v1/jobs', { flow, customer: 'c-1', notify: 'crm' });
  expect(taken).toMatchObject({ status: 202, body: { jobId: expect.stringMatching(/^job_/), eventId: expect.any(String) } });
  const location = taken.headers.get('location')!;
  expect(location).toBe(`/v1/jobs/${String(taken.body['jobId'])}`);
  const look = async (key = keys['ingest']!): Promise<{ response: Response; job: Record<string, unknown> }> => {
    const response = await fetch(`${query.url}${location}`, { headers: { authorization: `Bearer ${key}` } });
    return { response, job: (await response.json()) as Record<string, unknown> };
  };
  const before = await look();
  expect(before.response.headers.get('retry-after')).toBe('1');
  expect(['accepted', 'running']).toContain(before.job['state']);
  expect(await look(keys['elsewhere'])).toMatchObject({ job: { state: 'accepted' } }); // nothing of another tenant's
  expect((await look(keys['operate'])).response.status).toBe(403);
  answer.resolve({ urgency: 6 });
  await waitFor(async () => (await look()).job['state'] === 'completed', { what: 'the job to be done' });
  const { job, response } = await look(keys['read']);
  expect(response.headers.get('retry-after')).toBeNull();
  expect(job).toMatchObject({ flow, customer: 'c-1', decision: { urgency: 6 }, default: false, reason: null });
  expect(await delivered(taken)).toEqual([
    { eventId: taken.body['eventId'], flow, customer: 'c-1', state: 'completed', decision: { urgency: 6 } },
  ]);
  const unknown = await fetch(`${query.url}/v1/jobs/job_${'0'.repeat(41)}`, { headers: { authorization: `Bearer ${keys['read']}` } });
  expect([unknown.status, await unknown.json()]).toMatchObject([404, { code: 'job.unknown' }]);
});

test('a caller who would rather have a job than the default decision gets one when the time is over', async () => {
  const flow = await apply();
  const answer = Promise.withResolvers<unknown>();
  answerWith(() => answer.promise);
  const call = { customer: 'c-1', id: 'async-1' };
  const late = await post(`/v1/decisions/${flow}`, call, { prefer: 'respond-async, wait=1' });
  expect(late).toMatchObject({ status: 202, body: { jobId: expect.any(String) } });
  answer.resolve({ urgency: 8 });
  await waitFor(async () => (await storedRun(late))?.state === 'completed', { what: 'the flow to decide' });
  const inTime = await post(`/v1/decisions/${flow}`, call, { prefer: 'respond-async, wait=5' });
  expect(inTime).toMatchObject({ status: 200, body: { decision: { urgency: 8 }, default: false } });
  expect((await post(`/v1/decisions/${flow}`, call, { prefer: 'respond-async' })).status).toBe(202);
});

test('a caller who waits and repeats a job is answered with it, and never makes the default decision its own', async () => {
  const flow = await apply();
  const answer = Promise.withResolvers<unknown>();
  answerWith(() => answer.promise);
  const call = { customer: uniqueName('c'), id: 'job-1' };
  const job = await post('/v1/jobs', { flow, ...call });
  await waitFor(async () => (await storedRun(job)) !== undefined, { what: 'the job to be at work' });
  const during = await decide(flow, call, 1);
  expect(during).toMatchObject({ status: 202, body: { eventId: job.body['eventId'], jobId: expect.any(String) } });
  expect(await storedRun(job)).toMatchObject({ state: 'running', defaultReason: null });
  const following = decide(flow, call, 20);
  answer.resolve({ urgency: 8 });
  expect(await following).toMatchObject({ status: 200, body: { decision: { urgency: 8 }, default: false } });
  expect(await storedRun(job)).toEqual({ state: 'completed', decision: { urgency: 8 }, defaultReason: null });

  const waiting = await apply({ steps: [{ id: 'later', wait: { for: 'PT1H' } }] });
  const later = await post('/v1/jobs', { flow: waiting, ...call });
  await waitFor(async () => (await storedRun(later))?.state === 'waiting', { what: 'the job to wait' });
  expect(await decide(waiting, call, 1)).toMatchObject({ status: 202, body: { eventId: later.body['eventId'] } });
  const behind = await decide(waiting, { customer: call.customer, id: 'behind' }, 2);
  isDefault(behind, 'decision.deadline'); // its record comes after that of the repeat
  expect(await storedRun(later)).toMatchObject({ state: 'waiting', defaultReason: null });
}, 60_000);

test('a repeat that waits for a shorter time than the request before it leaves that one its time', async () => {
  const flow = await apply();
  const answer = Promise.withResolvers<unknown>();
  answerWith(() => answer.promise);
  const call = { customer: uniqueName('c'), id: 'long-1' };
  const asked = model.requests.length;
  const first = decide(flow, call, 20);
  await waitFor(() => model.requests.length > asked, { what: 'the model to be asked' });
  expect(await decide(flow, call, 1)).toMatchObject({ status: 202, body: { jobId: expect.any(String) } });
  answer.resolve({ urgency: 5 });
  expect(await first).toMatchObject({ status: 200, body: { decision: { urgency: 5 }, default: false } });
}, 30_000);

test('a caller who repeats a job that failed is answered with the job, and after a replay with its decision', async () => {
  const flow = await apply();
  answerWith(() => 400);
  const call = { customer: uniqueName('c'), id: 'job-2' };
  const job = await post('/v1/jobs', { flow, ...call });
  await waitFor(async () => (await storedRun(job))?.state === 'failed', { what: 'the job to fail' });
  const failed = await decide(flow, call);
  expect(failed).toMatchObject({ status: 202, body: { eventId: job.body['eventId'] } });
  expect(failed.tookMs).toBeLessThan(3_000);
  expect(await storedRun(job)).toMatchObject({ state: 'failed', defaultReason: null });
  answerWith(() => ({ urgency: 4 }));
  const eventId = String(job.body['eventId']);
  const replay = {
    tenant,
    customer: call.customer,
    commandId: uniqueName('cmd'),
    actor: 'test',
    at: new Date().toISOString(),
    eventId,
    flow: null,
  };
  await workers.app.get(RecordProducer, { strict: false }).append(topics.commands, ReplayEvent, replay);
  await waitFor(async () => (await decide(flow, call)).status === 200, { what: 'the replay to complete' });
  expect(await decide(flow, call)).toMatchObject({ body: { decision: { urgency: 4 }, default: false, reason: null } });
}, 60_000);

test('a repeat of what is decided does not wait behind other events of its customer', async () => {
  const flow = await apply();
  const answer = Promise.withResolvers<unknown>();
  answerWith((question) => (question.includes('glacial') ? answer.promise : { urgency: 3 }));
  const call = { customer: uniqueName('c'), id: 'done-1' };
  const first = await decide(flow, call);
  await post('/v1/jobs', { flow, customer: call.customer, message: 'glacial' });
  const again = await decide(flow, call, 20);
  const rather = await post(`/v1/decisions/${flow}`, call, { prefer: 'respond-async, wait=20' });
  answer.resolve({ urgency: 1 });
  expect([again.body, rather.body]).toEqual([first.body, first.body]);
  expect(Math.max(again.tookMs, rather.tookMs)).toBeLessThan(10_000);
}, 60_000);

test('the event of a request is for the flow that it names, and that flow is for nothing else unless it says so', async () => {
  const other = uniqueName('other');
  await services.save('Flow', { steps: [{ id: 'note', map: { expression: '1' } }], onFailure: 'skip' }, other);
  const flow = await apply({ steps: [{ id: 'note', map: { expression: '2' } }] });
  const answer = await decide(flow, {});
  expect(answer.body).toMatchObject({ decision: 2, default: false });
  const flows = statement('test.decisions.flows', 'SELECT flow FROM run WHERE tenant_id = $1 AND (event_id = $2 OR flow = $3)');
  expect(await database.query(flows, [tenant, answer.body['eventId'], other])).toEqual([{ flow }]);
  await services.save('Source', { scheme: 'api-key' }, 'tickets');
  const event = { specversion: '1.0', id: 'e-1', source: 'tickets', type: 'ticket.opened', data: { customer: 'c-1' } };
  await waitFor(async () => (await post('/v1/events', event, { 'content-type': 'application/cloudevents+json' })).status === 202, {
    what: 'the source to be known',
  });
  await waitFor(async () => (await database.query(flows, [tenant, '', other])).length > 0, { what: 'the other flow to run' });
  expect(await database.query(flows, [tenant, '', flow])).toEqual([{ flow }]);
});

test('what is not acceptable is refused by its field, and nothing of it is appended', async () => {
  const flow = await apply({
    onRequest: {
      default: '{ "urgency": $number(event.data.amount) }',
      schema: { type: 'object', properties: { amount: { type: 'string' } } },
    },
  });
  const refused = async (path: string, body: object, key?: string): Promise<unknown[]> => {
    const { status, body: problem } = await post(path, body, {}, key);
    return [status, problem['code'], problem['field']];
  };
  const plain = await apply({ onRequest: undefined });
  const place = `/v1/decisions/${flow}`;
  expect(await refused(`/v1/decisions/${plain}`, { customer: 'c' })).toEqual([422, 'flow.takesNoRequests', 'flow']);
  expect(await refused('/v1/decisions/nothing', { customer: 'c' })).toEqual([404, 'flow.unknown', 'flow']);
  expect(await refused(place, {})).toEqual([400, 'request.invalid', 'customer']);
  expect(await refused(place, { customer: '-/shop' })).toEqual([400, 'request.invalid', 'customer']);
  expect(await refused(place, { customer: 'c', id: {} })).toEqual([400, 'request.invalid', 'id']);
  expect(await refused(place, { customer: 'c', amount: 7 })).toEqual([400, 'request.invalid', 'body']);
  expect(await refused(place, { customer: 'c', amount: 'seven' })).toEqual([400, 'request.invalid', 'body']);
  expect(await refused(place, [])).toEqual([400, 'request.malformed', 'body']);
  expect(await refused(place, { customer: 'c' }, keys['read'])).toEqual([403, 'credential.scope', undefined]);
  expect(await refused(place, { customer: 'c' }, keys['elsewhere'])).toEqual([404, 'flow.unknown', 'flow']);
  expect(await refused('/v1/jobs', { customer: 'c' })).toEqual([400, 'request.invalid', 'flow']);
  expect(await refused('/v1/jobs', { customer: 'c', flow, amount: '7', notify: 'nobody' })).toEqual([400, 'request.invalid', 'notify']);
});

test('callers wait up to a bound, and one who leaves frees the place', async () => {
  const flow = await apply({ steps: [{ id: 'later', wait: { for: 'PT1H' } }] });
  const leaving = new AbortController();
  onTestFinished(() => leaving.abort());
  const call = (): Promise<Response> =>
    fetch(`${door.url}/v1/decisions/${flow}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${keys['ingest']}`, prefer: 'wait=20' },
      body: JSON.stringify({ customer: uniqueName('c') }),
      signal: leaving.signal,
    });
  const waiting = Array.from({ length: 400 }, () => call().catch(() => undefined));
  await waitFor(async () => (await metric('millrace_decision_callers_waiting')) === 400, { what: 'all to wait', deadlineMs: 20_000 });
  const beyond = await decide(flow, {});
  expect(beyond).toMatchObject({ status: 503, body: { code: 'decision.busy' } });
  expect(beyond.headers.get('retry-after')).toBe('1');
  leaving.abort();
  await Promise.all(waiting);
  await waitFor(async () => (await metric('millrace_decision_callers_waiting')) === 0, { what: 'their places to be free' });
  isDefault(await decide(flow, {}), 'decision.deadline');
}, 60_000);
