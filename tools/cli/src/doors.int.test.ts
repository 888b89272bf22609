import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { IngestionModule } from '#apps/ingestion';
import { SecretBox } from '#libs/auth';
import { start } from '#libs/service';
import type { RunningService } from '#libs/service';
import { testBrokers, uniqueName, waitFor } from '#libs/testing';
import { QueryServer } from '../../../test/query/query-server.js';
import { runInTest } from './run-in-test.js';
import type { RunInTest } from './run-in-test.js';

const tenant = uniqueName('tenant');
let query: QueryServer;
let ingestion: RunningService;
let directory: string;
let key: string;

beforeAll(async () => {
  query = await QueryServer.start();
  ingestion = await start({
    service: 'ingestion',
    host: '127.0.0.1',
    port: 0,
    log: {
      brokers: testBrokers(),
      prefix: `${uniqueName('send')}.`,
      replication: 1,
      ackTimeoutMs: 5_000,
      concurrency: 1,
      sessionTimeoutMs: 15_000,
      handlerDeadlineMs: 60_000,
    },
    storage: { url: query.databaseUrl, poolSize: 2, secretBox: new SecretBox(randomBytes(32)) },
    modules: [
      IngestionModule.register({
        logEvery: 0,
        maxBatchEvents: 3,
        keptBodyBytes: 65_536,
        redisUrl: undefined,
        redisCaFile: undefined,
        mostWaitingCallers: 20,
        mostWaitingCallersOfTenant: 10,
      }),
    ],
  });
  const work = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
  const operator = {
    directory: work,
    environment: { MILLRACE_URL: query.url, MILLRACE_API_KEY: query.operatorKey, MILLRACE_TENANT: tenant },
  };
  await runInTest(['tenants', 'create', tenant], operator);
  const path = join(work, 'tickets.yaml');
  writeFileSync(
    path,
    `{ apiVersion: millrace/v1, kind: Source, metadata: { tenant: ${tenant}, name: tickets }, spec: { scheme: api-key } }`,
  );
  await runInTest(['apply', '-f', path], operator);
  key = (await runInTest(['keys', 'create', 'sender', '--scope', 'ingest', 'read'], operator)).out;
  rmSync(work, { recursive: true });
  await waitFor(async () => (await millrace(['events', 'send', '--source', 'tickets', '--type', 'warm.up'])).code === 0, {
    what: 'the key and the source to be in force',
  });
});
afterAll(async () => {
  await ingestion?.stop();
  await query?.stop();
});
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Runs the command with the tenant's key at the events API. */
function millrace(args: string[], more: Partial<RunInTest> = {}) {
  return runInTest(args, {
    directory: directory ?? tmpdir(),
    environment: { MILLRACE_URL: ingestion.url, MILLRACE_API_KEY: key },
    ...more,
  });
}

const send = (file: string, more: Partial<RunInTest> = {}) => millrace(['events', 'send', '-f', file], more);

const event = (id: string, more: object = {}): object => ({ specversion: '1.0', id, source: 'tickets', type: 'ticket.opened', ...more });
const eventId = /^evt_\S+$/;
const assess = { id: 'assess', infer: { model: 'local/rules-1', instructions: 'Which queue?', output: { type: 'object' } } };

test('one event is sent by flags, and the same id is the same event', async () => {
  const args = ['events', 'send', '--source', 'tickets', '--type', 'ticket.opened', '--customer', 'c-1', '--data', '{"total":10.00}'];
  const sent = await millrace([...args, '--id', 't-1']);
  expect(sent).toEqual({ code: 0, out: expect.stringMatching(eventId) as string, notes: '' });
  expect((await millrace([...args, '--id', 't-1', '--json'])).out).toBe(JSON.stringify({ eventId: sent.out }));
  expect((await millrace(args)).out).not.toBe((await millrace(args)).out);
});

test('a file has one event, a list or one a line, and more events than a batch may have are sent in several', async () => {
  const path = join(directory, 'events.json');
  const events = Array.from({ length: 8 }, (_, n) => event(`list-${n}`));
  writeFileSync(path, JSON.stringify(events, null, 2));
  const list = await send(path);
  expect([list.code, list.notes, new Set(list.out.split('\n')).size]).toEqual([0, '', 8]);
  const lines = events.map((one) => `${JSON.stringify(one)}\r\n`).join('\n');
  expect((await send('-', { input: lines })).out).toBe(list.out);
  expect((await send('-', { input: JSON.stringify(events[0]) })).out).toBe(list.out.split('\n')[0]);
});

test('events go as they were written, so that numbers keep their digits', async () => {
  const bodies: string[] = [];
  const sink = createServer((request, response) => {
    void text(request).then((body) => {
      bodies.push(body);
      response.writeHead(202).end('{"eventIds":["evt_1"]}');
    });
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void sink.close());
  await once(sink, 'listening');
  const environment = { MILLRACE_URL: `http://127.0.0.1:${(sink.address() as AddressInfo).port}`, MILLRACE_API_KEY: key };
  const written = '{ "specversion":"1.0", "data": {"id": 9007199254740993, "total":10.00} }';
  await send('-', { environment, input: `[${written}]` });
  await send('-', { environment, input: written });
  await millrace(['events', 'send', '--source', 's', '--type', 't', '--data', '{"id":9007199254740993}'], { environment });
  expect(bodies).toEqual([`[${written}]`, `[${written}]`, expect.stringContaining('"data":{"id":9007199254740993}}]') as string]);
});

test('what is refused is named by its event and field, or by its option', async () => {
  const events = [event('ok-1'), event('ok-2'), event('ok-3'), event('no', { source: 'nope' }), event('ok-4')];
  const refused = await send('-', { input: JSON.stringify(events) });
  expect(refused.notes).toMatch(/^standard input, event 4, source: must be the name of a Source document/);
  expect(refused.code).toBe(1);
  expect(await millrace(['events', 'send', '--source', 'nope', '--type', 't'])).toMatchObject({
    code: 1,
    notes: expect.stringMatching(/^--source: must be the name of a Source document/) as string,
  });
  expect(await send('-', { input: '[1]' })).toMatchObject({ code: 1, notes: 'standard input, event 1, the event: is not an object' });
});

test('what cannot be sent is refused before anything is', async () => {
  for (const [args, notes] of [
    [[], /^Give --file with CloudEvents/],
    [['--source', 'tickets'], /^Give --file with CloudEvents/],
    [['-f', '-', '--type', 't'], /^--type stands for one event/],
    [['--source', 'tickets', '--type', 't', '--data', 'text'], /^--data must be JSON/],
    [['-f', 'nope.json'], /^nope.json cannot be read/],
    [['-f', '-'], /^There is no event in standard input$/],
  ] as const) {
    expect(await millrace(['events', 'send', ...args])).toMatchObject({ code: 2, notes: expect.stringMatching(notes) as string });
  }
  for (const nothing of ['[ ]', '\n\n'])
    expect(await send('-', { input: nothing })).toEqual({ code: 2, out: '', notes: 'There is no event in standard input' });
  const latin = Buffer.from('{"id":"é"}', 'latin1');
  expect(await send('-', { input: latin })).toMatchObject({ code: 2, notes: 'standard input:1:8 is not UTF-8; save it in that encoding' });
  expect((await send('-', { input: '{"id":\n' })).notes).toBe('standard input is no JSON: one event, a list of them, or one a line');
});

test('each line counts by itself: one that is refused is told with its number, and the others are events', async () => {
  const lines = [event('l-1'), '', event('l-2', { type: '' }), event('l-3'), '{"id":', event('l-4', { source: 'nope' }), event('l-5')];
  const input = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n');
  const sent = await send('-', { input });
  const out = sent.out.split('\n');
  expect(out.map((line) => (eventId.test(line) ? 'accepted' : line.replace(/ must be the name .*/, '')))).toEqual([
    'accepted',
    'standard input, line 3: type: must be 1 to 256 characters, no control characters',
    'accepted',
    'standard input, line 5: event: is not JSON',
    'standard input, line 6: source:',
    'accepted',
  ]);
  expect([sent.code, sent.notes]).toEqual([1, '3 events accepted, 3 lines refused']);
  const again = await millrace(['events', 'send', '-f', '-', '--json'], { input });
  expect(again.out.split('\n').map((line) => JSON.parse(line) as object)).toMatchObject([
    { line: 1, eventId: out[0] },
    { line: 3, code: 'request.invalid', field: 'type' },
    { line: 4 },
    { line: 5, code: 'request.malformed' },
    { line: 6, field: 'source' },
    { line: 7, eventId: out[5] },
  ]);
});

test('a line that is not UTF-8 is told with its number, and those around it are events, also on a pipe', async () => {
  const [good, more, last] = ['u-1', 'u-2', 'u-3'].map((id) => `${JSON.stringify(event(id))}\n`) as [string, string, string];
  const broken = JSON.stringify(event('u-x', { data: 'é' }));
  const input = Buffer.from(`${good}${more}${broken}\n${last}`, 'latin1');
  async function* pipe(): AsyncIterable<Buffer> {
    for (const line of input.toString('latin1').match(/.+\n/g)!) yield Buffer.from(line, 'latin1');
  }
  const path = join(directory, 'mid.jsonl');
  writeFileSync(path, input);
  const column = broken.indexOf('é') + 1;
  for (const [sent, name] of [
    [await send(path), path],
    [await send('-', { input: pipe() }), 'standard input'],
  ] as const) {
    expect(sent.out.split('\n')).toEqual([
      expect.stringMatching(eventId),
      expect.stringMatching(eventId),
      `${name}, line 3: event: is not UTF-8; save it in that encoding: column ${column} is the first that is not`,
      expect.stringMatching(eventId),
    ]);
    expect([sent.code, sent.notes]).toEqual([1, '3 events accepted, 1 line refused']);
  }
});

test.each([
  ['is cut off', '{"specversion":"1.0","id"', 'event: is not JSON'],
  ['is not UTF-8', '{\xff}', 'event: is not UTF-8; save it in that encoding: column 2 is the first that is not'],
])('a first line that %s does not hide the others', async (_what, first, reason) => {
  const sent = await send('-', { input: Buffer.from(`${first}\n${JSON.stringify(event('after'))}`, 'latin1') });
  expect([sent.code, sent.out.split('\n')]).toEqual([1, [`standard input, line 1: ${reason}`, expect.stringMatching(eventId)]]);
});

test('a line that is too large for a request is told with its number and the limit, and those around it are events', async () => {
  const [limit, most] = [1_048_576, 26_214_400];
  const sized = (bytes: number): string => {
    const around = JSON.stringify(event(`size-${bytes}`, { data: '' }));
    return `${around.slice(0, -2)}${'x'.repeat(bytes - around.length)}"}`;
  };
  const [good, last] = [JSON.stringify(event('s-1')), JSON.stringify(event('s-2'))];
  const lines = [good, sized(2_000_000), last, sized(limit), sized(most + 1), good];
  async function* chunks(): AsyncIterable<Buffer> {
    const bytes = Buffer.from(lines.join('\n'));
    for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
  }
  const sent = await send('-', { input: chunks() });
  expect(sent.out.split('\n')).toEqual([
    expect.stringMatching(eventId),
    `standard input, line 2: event: has 2000000 bytes, more than the ${limit} of a request`,
    expect.stringMatching(eventId),
    expect.stringMatching(eventId),
    `standard input, line 5: event: has ${most + 1} bytes, more than the ${most} that Millrace can be set to take`,
    expect.stringMatching(eventId),
  ]);
  expect([sent.code, sent.notes]).toEqual([1, '4 events accepted, 2 lines refused']);
  const list = await send('-', { input: `[${good},${lines[1]}]` });
  expect([list.code, list.notes.split('\n')[0]]).toEqual([
    1,
    `standard input, event 2, the event: has 2000000 bytes, more than the ${limit} of a request`,
  ]);
});

test('an event without an id is refused with what the command can do about it', async () => {
  const nameless = JSON.stringify(event('', { id: undefined }));
  const remedy = 'is missing; give the event one: the same id at the same source is the same event';
  expect((await send('-', { input: `${nameless}\n` })).out).toBe(`standard input, line 1: id: ${remedy}`);
  expect((await send('-', { input: `[${nameless}]` })).notes).toBe(`standard input, event 1, id: ${remedy}`);
});

test('a rate that is used up, or a log that is away, is waited out as long as the answer says', async () => {
  let requests = 0;
  const sink = createServer((request, response) => {
    void text(request).then(() => {
      requests += 1;
      const problem = { code: requests === 1 ? 'request.limited' : 'log.unavailable', detail: 'Not now' };
      if (requests < 3) response.writeHead(requests === 1 ? 429 : 503, { 'retry-after': '0' }).end(JSON.stringify(problem));
      else response.writeHead(200, { 'content-type': 'application/x-ndjson' }).end('{"line":1,"eventId":"evt_1"}\n');
    });
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void sink.close());
  await once(sink, 'listening');
  const environment = { MILLRACE_URL: `http://127.0.0.1:${(sink.address() as AddressInfo).port}`, MILLRACE_API_KEY: key };
  const sent = await send('-', { environment, input: '{"id":"1"}\n' });
  expect([sent.code, sent.out, requests]).toEqual([0, 'evt_1', 3]);
  expect(sent.notes).toContain('Not now; waiting 0 s, as Millrace asks');
});

test('lines of a pipe are sent as they come', async () => {
  const printed: string[] = [];
  const wanted = Promise.withResolvers<void>();
  async function* pipe(): AsyncIterable<Buffer> {
    const [first, second] = [event('p-1'), event('p-2', { data: 'ä' })].map((one) => Buffer.from(`${JSON.stringify(one)}\n`)) as [
      Buffer,
      Buffer,
    ];
    yield first;
    await wanted.promise; // the first line has its id before the second one is written
    for (const byte of second) yield Buffer.from([byte]);
  }
  const sent = await send('-', {
    input: pipe(),
    onPrint: (line) => {
      printed.push(line);
      wanted.resolve();
    },
  });
  expect([sent.code, printed.length]).toEqual([0, 2]);
});

test('the operator’s key, a key that may not send, and the address of another service are told apart', async () => {
  const sendOne = ['events', 'send', '--source', 'tickets', '--type', 't'];
  expect(await millrace([...sendOne, '--key', query.operatorKey])).toMatchObject({
    code: 2,
    notes: expect.stringContaining(
      'The key from --key is unknown, revoked or expired, or it is the operator’s, which may not send events',
    ) as string,
  });
  expect(await millrace([...sendOne, '--tenant', 'another'])).toMatchObject({
    code: 2,
    notes: expect.stringContaining('belongs to another tenant than --tenant names') as string,
  });
  expect(await millrace([...sendOne, '--url', query.url])).toMatchObject({
    code: 2,
    notes: expect.stringContaining('that of ingestion') as string,
  });
  expect(await millrace(['get', 'flows'])).toMatchObject({ code: 2, notes: expect.stringContaining('that of query') as string });
});

test('where npm start left its credentials, the tenant’s key is used and not the operator’s', async () => {
  const credentials = { url: ingestion.url, tenant, apiKey: key, operatorKey: query.operatorKey };
  writeFileSync(join(directory, 'credentials.json'), JSON.stringify(credentials));
  for (const folder of ['.', directory]) {
    const environment = { MILLRACE_DIRECTORY: folder };
    expect((await millrace(['events', 'send', '--source', 'tickets', '--type', 't'], { environment })).out).toMatch(eventId);
  }
});

describe('a decision', () => {
  const decide = (...args: string[]) => millrace(['decide', 'ask', '--customer', 'c-1', ...args]);
  beforeAll(async () => {
    const spec = { onRequest: { default: '{ "queue": event.data.wants }', waitMs: 1_000, draft: 'assess' }, steps: [assess] };
    const flow = { apiVersion: 'millrace/v1', kind: 'Flow', metadata: { tenant, name: 'ask' }, spec };
    const environment = { MILLRACE_URL: query.url, MILLRACE_API_KEY: query.operatorKey, MILLRACE_TENANT: tenant };
    const work = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
    writeFileSync(join(work, 'flow.json'), JSON.stringify(flow));
    await runInTest(['apply', '-f', join(work, 'flow.json')], { directory: work, environment });
    rmSync(work, { recursive: true });
    await waitFor(async () => (await decide('--wait', '1')).code === 0, { what: 'the flow to be known' });
  });

  test.each([[[]], [['--draft']]])('is printed, and said to be the default one where nobody decided in time: %s', async (more) => {
    const args = ['--id', `late${more.length}`, '--data', '{ "wants": "manual", "n": 9007199254740993 }', '--wait', '1', ...more];
    expect(await decide(...args)).toEqual({ code: 0, out: '{"queue":"manual"}', notes: 'The default decision counts: decision.deadline' });
    const repeated = JSON.parse((await decide(...args, '--json')).out) as object;
    expect(repeated).toMatchObject({ eventId: expect.stringMatching(eventId) as string, decision: { queue: 'manual' }, default: true });
  });

  test('that cannot be asked for says why', async () => {
    expect(await millrace(['decide', 'nope', '--customer', 'c'])).toMatchObject({
      code: 1,
      notes: expect.stringContaining('nope') as string,
    });
    expect(await millrace(['decide', 'ask'])).toMatchObject({ code: 2, notes: expect.stringContaining('--customer') as string });
    expect(await decide('--data', '[1]')).toMatchObject({
      code: 2,
      notes: expect.stringMatching(/^--data must be an object in JSON/) as string,
    });
    expect(await decide('--data', '{"customer":"c-2"}')).toMatchObject({
      code: 2,
      notes: expect.stringMatching(/^--data has customer/) as string,
    });
  });

  test('is followed again where the connection breaks, and the draft goes on', async () => {
    const asked: unknown[] = [];
    const answers = [
      'event: accepted\ndata: {}\n\nid: 1.1.5\nevent: draft\ndata: {"at":0,"text":"{\\"que"}\n\n',
      'event: accepted\ndata: {}\n\nid: 1.2.9\nevent: draft\ndata: {"at":5,"text":"ue\\":1}"}\n\nevent: restart\ndata: {}\n\n' +
        'event: decision\ndata: {"eventId":"evt_1","decision":{"queue":1},"default":false,"reason":null}\n\n',
    ];
    const door = createServer((request, response) => {
      void text(request).then((body) => {
        asked.push([request.headers['last-event-id'], (JSON.parse(body) as { id: string }).id]);
        response.writeHead(200, { 'content-type': 'text/event-stream' }).end(answers[asked.length - 1]);
      });
    }).listen(0, '127.0.0.1');
    onTestFinished(() => void door.close());
    await once(door, 'listening');
    const drafts: string[] = [];
    const environment = { MILLRACE_URL: `http://127.0.0.1:${(door.address() as AddressInfo).port}`, MILLRACE_API_KEY: key };
    const decided = await millrace(['decide', 'ask', '--customer', 'c', '--draft'], { environment, onWrite: (part) => drafts.push(part) });
    expect(decided).toEqual({ code: 0, out: '{"queue":1}', notes: 'The draft is void; another one begins' });
    expect(drafts.join('')).toBe('{"queue":1}\n');
    const [[, id]] = asked as [[undefined, string]];
    expect(asked).toEqual([
      [undefined, id],
      ['1.1.5', id],
    ]);
  });
});
