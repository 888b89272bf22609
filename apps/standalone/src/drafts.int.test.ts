/** @module-tag both-logs Drafts come back over the log, which every door reads. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import { AiProcessingModule, aiProcessingSettings } from '#apps/ai-processing';
import { readSettings } from '#libs/config';
import { DraftWritten, eventId as eventIdOf, topics } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import { statement } from '#libs/persistence';
import type { Database } from '#libs/persistence';
import type { RunningService } from '#libs/service';
import { SeededRandom, serverSentEvents, uniqueName, waitFor } from '#libs/testing';
import type { ServerSentEvent } from '#libs/testing';
import { sleep } from '#libs/time';
import { registry } from '#libs/tracing';
import { DecisionServices } from '../../../test/decisions/decision-services.js';

let services: DecisionServices;
let database: Database;
let tenant: string;
let model: Server;
let doors: RunningService[];
let key: string;

beforeAll(async () => {
  model = createServer((incoming, response) => void buffer(incoming).then((body) => answerQuestion(body.toString('utf8'), response)));
  model.listen(0, '127.0.0.1');
  await once(model, 'listening');
  services = await DecisionServices.create('drafts');
  ({ database, tenant } = services);
  key = await services.issueKey('ingest');
  [, ...doors] = await Promise.all([startWorkers(), services.startDoor(), services.startDoor()]);
});

afterAll(async () => {
  await services?.stop();
  model?.closeAllConnections();
  model?.close();
});

function startWorkers(): Promise<RunningService> {
  const environment = {
    ...services.environment(),
    MODEL_BASE_URL: `http://127.0.0.1:${(model.address() as AddressInfo).port}/v1`,
    MODEL_API_KEY: 'k',
    RUN_RETRIES: '100',
    RUN_LEASE_MS: '3000',
  };
  const modules = [AiProcessingModule.register(readSettings('ai-processing', aiProcessingSettings, environment))];
  return services.start('workers', { isWorker: true, poolSize: 10, modules });
}

/** The pen of the model in one call. */
interface Pen {
  readonly question: string;
  readonly write: (text: string) => void;
  readonly stop: () => void;
  /** Breaks the stream off. */
  readonly drop: () => void;
}
/** Answers the calls of a model. */
let writeWith: (pen: Pen) => void | Promise<void>;
afterEach(() => (writeWith = () => undefined));

function answerQuestion(question: string, response: ServerResponse): void {
  if (!question.includes('messages')) return void response.writeHead(400, { 'content-type': 'application/json' }).end('{"error":{}}');
  const send = (data: object | '[DONE]'): void => void response.write(`data: ${data === '[DONE]' ? data : JSON.stringify(data)}\n\n`);
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  void writeWith({
    question,
    write: (content) => send({ model: 'm', choices: [{ index: 0, delta: { content }, finish_reason: null }] }),
    stop: () => {
      send({ model: 'm', choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] });
      send('[DONE]');
      response.end();
    },
    drop: () => response.destroy(),
  });
}

/** The next call of the model. */
function nextCall(): Promise<Pen> {
  return new Promise((resolve) => {
    writeWith = resolve;
  });
}

const output = { type: 'object', additionalProperties: false, required: ['note'], properties: { note: { type: 'string' } } };
const infer = (instructions: string): object => ({ model: 'm', instructions, output, timeoutMs: 60_000 });
const byDefault = { note: 'by default' };

async function apply(more: object = {}): Promise<string> {
  const flow = uniqueName('triage');
  const steps = [{ id: 'assess', infer: infer('Assess it.') }];
  await services.save('Flow', { onRequest: { default: byDefault, draft: 'assess' }, steps, onFailure: 'skip', ...more }, flow);
  return flow;
}

interface StreamEvent extends ServerSentEvent {
  readonly data: { readonly text?: string; readonly decision?: unknown; readonly eventId?: string };
}

interface Call {
  readonly flow: string;
  readonly id?: string;
  readonly customer?: string;
  readonly message?: string;
  readonly seconds?: number;
  readonly door?: number;
  readonly lastEventId?: string | undefined;
}

/** A caller who follows a draft, as `docs/decision-requests.md` says. */
class Follower {
  readonly events: StreamEvent[] = [];
  /** The text since the last restart. */
  text = '';
  private over: Promise<void> = Promise.resolve();

  private constructor(
    readonly response: Response,
    private readonly leaving: AbortController,
  ) {
    onTestFinished(() => this.leave());
  }

  static async of({ flow, door = 0, seconds = 20, lastEventId, customer = uniqueName('c'), ...body }: Call): Promise<Follower> {
    const headers: Record<string, string> = { accept: 'text/event-stream', prefer: `wait=${seconds}` };
    if (lastEventId !== undefined) headers['last-event-id'] = lastEventId;
    const leaving = new AbortController();
    const follower = new Follower(await request({ flow, door, customer, ...body }, headers, leaving.signal), leaving);
    follower.over = follower.read();
    return follower;
  }

  get last(): StreamEvent | undefined {
    return this.events.at(-1);
  }

  get lastEventId(): string | undefined {
    return this.events.findLast(({ id }) => id !== undefined)?.id;
  }

  kinds(): string[] {
    return this.events.map(({ event }) => event).filter((event, at, all) => event !== all[at - 1]);
  }

  async hears(text: string): Promise<void> {
    await waitFor(() => this.text === text, { what: `the draft ${text}; it is ${this.text}`, deadlineMs: 15_000 });
  }

  /** Resolves with the last event when the stream has ended. */
  async end(): Promise<StreamEvent> {
    await this.over;
    return this.last!;
  }

  async leave(): Promise<void> {
    this.leaving.abort();
    await this.over.catch(() => undefined);
  }

  private async read(): Promise<void> {
    for await (const heard of serverSentEvents(this.response.body!) as AsyncIterable<StreamEvent>) {
      this.events.push(heard);
      if (heard.event === 'restart') this.text = '';
      if (heard.event === 'draft') this.text += heard.data.text;
    }
  }
}

function request({ flow, door = 0, ...body }: Call, headers: Record<string, string>, signal?: AbortSignal): Promise<Response> {
  return fetch(`${doors[door]!.url}/v1/decisions/${flow}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${key}`,
      ...headers,
    },
    body: JSON.stringify(body),
    signal: signal ?? null,
  });
}

const runOf = statement(
  'test.drafts.run',
  'SELECT state, fence, decision, default_reason AS "defaultReason" FROM run WHERE tenant_id = $1 AND event_id = $2',
);
interface StoredRun {
  readonly state: string;
  readonly fence: number;
  readonly decision: unknown;
  readonly defaultReason: string | null;
}
const storedRun = async (eventId: string | undefined): Promise<StoredRun | undefined> =>
  (await database.query<StoredRun>(runOf, [tenant, eventId]))[0];

test('a caller follows what the model writes, and is told the decision at the end, which is the stored one', async () => {
  const flow = await apply();
  const asked = nextCall();
  const caller = await Follower.of({ flow, id: 'o-1' });
  expect(caller.response.status).toBe(200);
  expect(caller.response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  expect(caller.response.headers.get('preference-applied')).toBe('wait=20');
  const pen = await asked;
  pen.write('{"note":');
  await caller.hears('{"note":');
  pen.write('"a bill');
  await caller.hears('{"note":"a bill');
  pen.write('"}');
  pen.stop();
  const { event, data } = await caller.end();
  expect([event, data]).toMatchObject(['decision', { decision: { note: 'a bill' }, default: false, reason: null }]);
  expect(JSON.parse(caller.text)).toEqual(data.decision);
  expect(caller.kinds()).toEqual(['accepted', 'draft', 'decision']);
  expect(await storedRun(data.eventId)).toMatchObject({ state: 'completed', decision: data.decision });
  expect(caller.events[0]!.data).toMatchObject({ eventId: data.eventId, jobId: expect.stringMatching(/^job_/) });
  const again = await Follower.of({ flow, id: 'o-1', door: 1 });
  expect(await again.end()).toMatchObject({ event: 'decision', data });
  expect(again.kinds().filter((kind) => kind !== 'draft')).toEqual(['accepted', 'decision']); // the draft, too, if it is read before the decision is known
});

test('the text of the named step alone is shown, also within a branch, and nothing of another step or of a prompt', async () => {
  const flow = await apply({
    steps: [
      { id: 'secret', infer: infer('Think in secret.') },
      { id: 'way', branch: { cases: [{ when: 'true', steps: [{ id: 'assess', infer: infer('Assess it.') }] }] } },
    ],
  });
  writeWith = ({ question, write, stop }) => {
    write(JSON.stringify({ note: question.includes('Think in secret') ? 'hidden words' : 'shown' }));
    stop();
  };
  const caller = await Follower.of({ flow });
  expect(await caller.end()).toMatchObject({ event: 'decision', data: { decision: { note: 'shown' } } });
  expect(caller.text).toBe('{"note":"shown"}');
  expect(JSON.stringify(caller.events)).not.toMatch(/hidden|Think|Assess/);
});

test('a draft that a gate refuses, or that breaks off, is void: the caller is told before the next one', async () => {
  const flow = await apply();
  const first = nextCall();
  const caller = await Follower.of({ flow });
  const refused = await first;
  const second = nextCall();
  refused.write('{"wrong":1}');
  await caller.hears('{"wrong":1}');
  refused.stop();
  const broken = await second;
  await caller.hears('');
  expect(caller.kinds()).toEqual(['accepted', 'draft', 'restart']);
  const third = nextCall();
  broken.write('{"note":"brok');
  await caller.hears('{"note":"brok');
  broken.drop();
  const good = await third;
  good.write('{"note":"good"}');
  good.stop();
  expect(await caller.end()).toMatchObject({ event: 'decision', data: { decision: { note: 'good' } } });
  expect(caller.text).toBe('{"note":"good"}');
  expect(caller.kinds()).toEqual(['accepted', 'draft', 'restart', 'draft', 'restart', 'draft', 'decision']);
});

test('a caller who comes again, to this door or another, gets what it has not seen; two follow the same draft', async () => {
  const flow = await apply();
  const asked = nextCall();
  const call = { flow, id: 'o-2', customer: uniqueName('c') };
  const elsewhere = await Follower.of({ flow: await apply({ steps: [{ id: 'assess', infer: infer('Wait.'), when: 'false' }] }), door: 1 });
  await elsewhere.end(); // the other door follows from now on
  const first = await Follower.of(call);
  const pen = await asked;
  pen.write('{"note":"one, ');
  await first.hears('{"note":"one, ');
  await first.leave();
  pen.write('two, ');
  const atOther = await Follower.of({ ...call, door: 1, lastEventId: first.lastEventId });
  await atOther.hears('two, ');
  expect(atOther.kinds()).toEqual(['accepted', 'draft']);
  await atOther.leave();
  const atSame = await Follower.of({ ...call, lastEventId: atOther.lastEventId });
  const late = await Follower.of({ ...call, door: 1 });
  await late.hears('{"note":"one, two, ');
  pen.write('three"}');
  await Promise.all([atSame.hears('three"}'), late.hears('{"note":"one, two, three"}')]);
  pen.stop();
  const ends = await Promise.all([atSame.end(), late.end()]);
  for (const end of ends) expect(end).toMatchObject({ event: 'decision', data: { decision: { note: 'one, two, three' } } });
  expect([atSame.kinds(), late.kinds()]).toEqual([
    ['accepted', 'draft', 'decision'],
    ['accepted', 'draft', 'decision'],
  ]);
  expect(JSON.parse(first.text + atOther.text + atSame.text)).toEqual({ note: 'one, two, three' });
  expect(await registry.metrics()).toMatch(/millrace_decision_streams_resumed_total\{[^}]*from="memory"[^}]*\} 2/);
});

const takeOver = statement(
  'test.drafts.take-over',
  `UPDATE run SET fence = fence + 1, lease_until = clock_timestamp() WHERE tenant_id = $1 AND flow = $2`,
);

test('a worker that loses the run midway, as one that stands still does: the next one begins anew, and so does the draft', async () => {
  const flow = await apply();
  const first = nextCall();
  const caller = await Follower.of({ flow });
  const pen = await first;
  pen.write('{"note":"half');
  await caller.hears('{"note":"half');
  const second = nextCall();
  await database.query(takeOver, [tenant, flow]);
  const next = await second;
  pen.write(' and more"}');
  pen.stop();
  next.write('{"note":"whole"}');
  next.stop();
  const { event, data } = await caller.end();
  expect([event, data.decision]).toEqual(['decision', { note: 'whole' }]);
  expect(caller.kinds()).toEqual(['accepted', 'draft', 'restart', 'draft', 'decision']);
  expect(caller.text).toBe('{"note":"whole"}');
  expect((await storedRun(data.eventId))!.fence).toBeGreaterThan(2);
}, 60_000);

test('the deadline comes midway: the default decision is the last event, and what is written later is not shown', async () => {
  const flow = await apply();
  const asked = nextCall();
  const caller = await Follower.of({ flow, seconds: 2 });
  const pen = await asked;
  pen.write('{"note":"half');
  await caller.hears('{"note":"half');
  const { event, data } = await caller.end();
  expect([event, data]).toMatchObject(['decision', { decision: byDefault, default: true, reason: 'decision.deadline' }]);
  pen.write(' and more"}');
  pen.stop();
  expect(await storedRun(data.eventId)).toMatchObject({ decision: byDefault, defaultReason: 'decision.deadline' });
  expect(caller.text).toBe('{"note":"half');
});

test('what cannot begin is answered as every other request: problems, jobs, and callers who prefer JSON', async () => {
  const flow = await apply();
  const stream = { accept: 'text/event-stream' };
  const refused = async (call: Call & object, headers: Record<string, string> = {}): Promise<unknown[]> => {
    const response = await request(call, { ...stream, ...headers });
    const { code } = (await response.json()) as { code?: string };
    return [response.status, response.headers.get('content-type'), code];
  };
  const problem = 'application/problem+json';
  expect(await refused({ flow: 'nothing', customer: 'c' })).toEqual([404, problem, 'flow.unknown']);
  expect(await refused({ flow })).toEqual([400, problem, 'request.invalid']);
  expect(await refused({ flow, customer: 'c' }, { authorization: 'Bearer no' })).toEqual([401, problem, 'credential.invalid']);
  const job = await request({ flow, customer: uniqueName('c') }, { ...stream, prefer: 'respond-async' });
  expect([job.status, job.headers.get('content-type')]).toEqual([202, 'application/json; charset=utf-8']);
  writeWith = ({ write, stop }) => (write('{"note":"x"}'), stop());
  const plain = await request({ flow, customer: uniqueName('c') }, { accept: 'application/json, text/event-stream' });
  expect(await plain.json()).toMatchObject({ decision: { note: 'x' }, default: false });
  const late = await Follower.of({ flow: await apply({ onRequest: { default: byDefault } }) });
  expect(await late.end()).toMatchObject({ event: 'decision', data: { decision: { note: 'x' } } });
  expect(late.kinds()).toEqual(['accepted', 'decision']); // the flow shows no draft
});

test('what was written before a door could follow the log is told all the same', async () => {
  const at = doors.push(await services.startDoor()) - 1;
  const flow = await apply();
  const customer = uniqueName('c');
  const eventId = eventIdOf(tenant, flow, { requestId: 'early' });
  const part = { tenant, customer, eventId, fence: 1, number: 1, at: 0, text: '{"note":' };
  await doors[at]!.app.get(RecordProducer).append(topics.replies, DraftWritten, part);
  const asked = nextCall();
  const caller = await Follower.of({ flow, id: 'early', customer, door: at });
  await caller.hears('{"note":');
  const pen = await asked;
  pen.write('{"note":"late"}');
  pen.stop();
  expect(await caller.end()).toMatchObject({ event: 'decision', data: { decision: { note: 'late' } } });
});

test('a stream is a request under way until it has ended: a door that has no room for one more tells it to come back', async () => {
  const at = doors.push(await services.startDoor({ requests: 2 })) - 1;
  const flow = await apply();
  const asked = nextCall();
  const first = await Follower.of({ flow, door: at });
  const pen = await asked;
  const second = await Follower.of({ flow, door: at });
  for (const accept of ['text/event-stream', 'application/json']) {
    const refused = await request({ flow, door: at, customer: uniqueName('c') }, { accept });
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
    expect(await refused.json()).toMatchObject({ code: 'service.busy' });
  }
  await second.leave(); // a caller who leaves makes room
  await waitFor(async () => (await request({ flow, door: at }, {})).status === 400, { what: 'room for a request', deadlineMs: 15_000 });
  pen.write('{"note":"first"}');
  pen.stop();
  expect(await first.end()).toMatchObject({ event: 'decision', data: { decision: { note: 'first' } } });
});

test('many callers at once: each gets one decision, which is the stored one, and its draft is the text of it', async () => {
  const random = new SeededRandom(20_261_130);
  const asked = new Set<string>();
  writeWith = async ({ question, write, stop, drop }) => {
    const note = /word-(\d+)/.exec(question)![0];
    const pieces = JSON.stringify({ note }).split('');
    const end = asked.has(note) ? 'whole' : random.pick(['whole', 'whole', 'whole', 'cut off', 'dropped']);
    asked.add(note);
    for (const piece of end === 'cut off' ? pieces.slice(0, 5) : pieces) {
      write(piece);
      if (random.below(4) === 0) await sleep(random.below(20));
    }
    if (end === 'dropped') drop();
    else stop();
  };
  const flow = await apply();
  const callers = await Promise.all(Array.from({ length: 80 }, (_, at) => Follower.of({ flow, door: at % 2, message: `word-${at}` })));
  for (const [at, caller] of callers.entries()) {
    const { data } = await caller.end();
    expect(caller.events.filter(({ event }) => event === 'decision')).toHaveLength(1);
    expect(data).toMatchObject({ decision: { note: `word-${at}` }, default: false });
    expect(caller.events.map(({ event }) => event)).not.toContain('skipped');
    expect(JSON.parse(caller.text)).toEqual(data.decision);
    expect((await storedRun(data.eventId))!.decision).toEqual(data.decision);
  }
  await waitFor(async () => /millrace_decision_streams_open(\{[^}]*\})? 0/.test(await registry.metrics()), { what: 'all streams to end' });
}, 60_000);
