import { once } from 'node:events';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { HttpAdapterHost } from '@nestjs/core';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { EventRecorded, topics } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import { uniqueName, waitFor } from '#libs/testing';
import { OperationRunner } from '../../operations/operation-runner.js';
import { QueryServer } from '../../../../../test/query/query-server.js';

let server: QueryServer;
let reader: string;
const tenant = uniqueName('tenant');
const query = 'subscription { eventChanged { change event { id state } } }';

beforeAll(async () => {
  server = await QueryServer.start();
  reader = await server.key(tenant, 'read');
  await server.rows.event({ tenant, id: 'evt_1' });
});
afterAll(() => server.stop());

interface Stream {
  response: Response;
  /** The events so far, each as its name and its data. */
  events: [string, unknown][];
  /** Resolves when the server ended the stream. */
  ended: Promise<void>;
  leave: () => void;
}

const headersOf = (key: string, accept = 'text/event-stream') => ({
  authorization: `Bearer ${key}`,
  accept,
  'content-type': 'application/json',
});

async function open(body: object, { key = reader, from = server }: { key?: string; from?: QueryServer } = {}): Promise<Stream> {
  const leaving = new AbortController();
  const options = { method: 'POST', headers: headersOf(key), body: JSON.stringify(body), signal: leaving.signal };
  const response = await fetch(`${from.url}/graphql`, options);
  const events: [string, unknown][] = [];
  return { response, events, ended: read(response, events), leave: () => leaving.abort() };
}

async function read(response: Response, events: [string, unknown][]): Promise<void> {
  let text = '';
  try {
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      const blocks = (text + chunk).split('\n\n');
      text = blocks.pop()!;
      for (const block of blocks) {
        const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? [];
        if (name !== undefined) events.push([name, data === '' ? null : JSON.parse(data!)]);
      }
    }
  } catch {
    // the reader left, or the server cut the stream off
  }
}

async function recorded(of = tenant, through = server): Promise<void> {
  const record = { tenant: of, customer: 'cus-1', eventId: 'evt_1', at: new Date().toISOString(), source: 'stripe', type: 'invoice.paid' };
  await through.part(RecordProducer).append(topics.outcomes, EventRecorded, record);
}

async function subscribers(): Promise<number> {
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  return Number(/^millrace_graphql_subscribers (\d+)/m.exec(metrics)?.[1]);
}

test('a subscription is a stream of next events, as the protocol has them, until its reader leaves', async () => {
  const { response, events, leave, ended } = await open({ query });
  expect([response.status, response.headers.get('content-type'), response.headers.get('cache-control')]).toEqual([
    200,
    'text/event-stream; charset=utf-8',
    'no-store',
  ]);
  await recorded();
  await recorded();
  await waitFor(() => events.length === 2, { what: 'two changes' });
  expect(events[0]).toEqual(['next', { data: { eventChanged: { change: 'RECORDED', event: { id: 'evt_1', state: 'RECORDED' } } } }]);
  leave();
  await ended;
  await waitFor(async () => (await subscribers()) === 0, { what: 'the subscription to be over' });
});

test('variables in the address that are nested too deep are refused as a body with them is', async () => {
  const address = new URL(`${server.url}/graphql`);
  address.searchParams.set('query', query);
  address.searchParams.set('variables', `{"deep":${'['.repeat(129)}${']'.repeat(129)}}`);
  const response = await fetch(address, { headers: headersOf(reader) });
  expect(response.status).toBe(400);
  expect(await response.text()).toContain('is nested deeper than 128 levels');
});

test('a subscription can be sent by GET, with its variables in the address', async () => {
  const address = new URL(`${server.url}/graphql`);
  address.searchParams.set(
    'query',
    'subscription One($filter: EventChangeFilter) { eventChanged(filter: $filter) { change } } query Two { __typename }',
  );
  address.searchParams.set('operationName', 'One');
  address.searchParams.set('variables', JSON.stringify({ filter: { eventId: 'evt_1' } }));
  const leaving = new AbortController();
  const response = await fetch(address, { headers: headersOf(reader), signal: leaving.signal });
  const events: [string, unknown][] = [];
  const ended = read(response, events);
  await recorded();
  await waitFor(() => events.length === 1, { what: 'a change' });
  leaving.abort();
  await ended;
});

describe('refused, before a stream begins, with its status and code, is', () => {
  const answer = async (response: Response): Promise<unknown[]> => {
    const { errors } = (await response.json()) as { errors: { extensions: { code: string } }[] };
    expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
    return [response.status, errors[0]!.extensions.code];
  };
  const post = (body: string, key = reader) =>
    fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: key === '' ? { ...headersOf(key), authorization: '' } : headersOf(key),
      body,
    });

  test('who has no key, a wrong one or one without the scope', async () => {
    const body = JSON.stringify({ query });
    const anonymous = await post(body, '');
    expect(anonymous.headers.get('www-authenticate')).toBe('Bearer');
    expect(await answer(anonymous)).toEqual([401, 'credential.missing']);
    expect(await answer(await post(body, 'mr_test_nope'))).toEqual([401, 'credential.invalid']);
    expect(await answer(await post(body, await server.key(tenant, 'ingest')))).toEqual([403, 'credential.scope']);
  });

  test.each([
    ['a query', { query: '{ __typename }' }, 'request.invalid'],
    ['a document that is not valid', { query: 'subscription { nothing }' }, 'request.invalid'],
    ['a document that is none', { query: 'subscription {' }, 'request.invalid'],
    ['a request without a document', {}, 'request.invalid'],
    ['variables that are a list', { query, variables: [] }, 'request.invalid'],
    ['a name that is a number', { query, operationName: 1 }, 'request.invalid'],
    ['a batch', [{ query }], 'request.malformed'],
    ['text that cannot be stored', { query: 'subscription { eventChanged(filter: { type: "a\\u0000" }) { change } }' }, 'request.invalid'],
    ['a filter that is none', { query: 'subscription { eventChanged(filter: { type: "a*b*" }) { change } }' }, 'request.invalid'],
  ])('%s', async (_what, body, code) => {
    const response = await post(JSON.stringify(body));
    expect(await answer(response)).toEqual([400, code]);
  });

  test('a request that is larger than one over a socket may be', async () => {
    expect(await answer(await post(JSON.stringify({ query: `${query} #${'x'.repeat(70_000)}` })))).toEqual([413, 'request.tooLarge']);
  });

  test('the twenty-first stream of a key, until one of the others ends', async () => {
    const key = await server.key(tenant, 'read');
    const streams = await Promise.all(Array.from({ length: 20 }, () => open({ query }, { key })));
    expect(streams.map(({ response }) => response.status)).toEqual(Array(20).fill(200));
    expect(await answer(await post(JSON.stringify({ query }), key))).toEqual([400, 'request.tooExpensive']);
    streams[0]!.leave();
    const another = await waitFor(
      async () => {
        const stream = await open({ query }, { key });
        return stream.response.status === 200 && stream;
      },
      { what: 'room for another stream' },
    );
    for (const { leave } of [...streams, another]) leave();
  });
});

test('who accepts JSON as well gets a query answered as ever, and a subscription as a stream', async () => {
  const both = headersOf(reader, 'application/json, text/event-stream');
  const post = (text: string) => fetch(`${server.url}/graphql`, { method: 'POST', headers: both, body: JSON.stringify({ query: text }) });
  const answer = await post('{ __typename }');
  expect(await answer.json()).toEqual({ data: { __typename: 'Query' } });
  const stream = await post(query);
  expect(stream.headers.get('content-type')).toContain('text/event-stream');
  await stream.body!.cancel();
});

test('a caller that leaves before its stream begins leaves none behind', async () => {
  const key = await server.key(tenant, 'read');
  const http = server.part(HttpAdapterHost).httpAdapter.getHttpServer() as Server;
  const runner = server.part(OperationRunner);
  const contextFor = runner.contextFor.bind(runner);
  const [asked, left] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let calls = 0;
  // The second call is that of the stream; the first one comes before the body is read.
  const spy = vi.spyOn(runner, 'contextFor').mockImplementation(async (credentials) => {
    calls += 1;
    if (calls === 2) asked.resolve();
    if (calls === 2) await left.promise;
    return contextFor(credentials);
  });
  onTestFinished(() => spy.mockRestore());
  const before = await subscribers();
  const taken = once(http, 'connection') as Promise<[Socket]>;
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  const body = JSON.stringify({ query });
  const headers = Object.entries({ host: 'x', ...headersOf(key), 'content-length': body.length }).map((header) => header.join(': '));
  socket.write(`POST /graphql HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n${body}`);
  const [accepted] = await taken;
  await asked.promise;
  const closed = new Promise((resolve) => accepted.once('close', resolve)); // `once` would end with the error before it
  socket.resetAndDestroy();
  await closed;
  left.resolve();
  await waitFor(async () => (await subscribers()) === before, { what: 'the subscription to be over' });
  const streams = await Promise.all(Array.from({ length: 20 }, () => open({ query }, { key })));
  expect(streams.map(({ response }) => response.status)).toEqual(Array(20).fill(200));
  for (const { leave } of streams) leave();
});

test('a server that stops ends its streams without `complete`, so that clients come back, and waits for none that does not read', async () => {
  const stopping = await QueryServer.start();
  const key = await stopping.key(tenant, 'read');
  const listening = await open({ query }, { key, from: stopping });
  const hinted = await fetch(`${stopping.url}/graphql`, { method: 'POST', headers: headersOf(key), body: JSON.stringify({ query }) });
  const silent = await fetch(`${stopping.url}/graphql`, { method: 'POST', headers: headersOf(key), body: JSON.stringify({ query }) });
  await stopping.stop();
  await listening.ended;
  expect(listening.events).toEqual([]);
  expect(await hinted.text()).toMatch(/\n\nretry: [1-4]\d{3}\n\n$/);
  await silent.body!.cancel();
}, 20_000);

test('a stream is left out of the durations of requests', async () => {
  const requests = async (): Promise<string[]> => {
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    return metrics.match(/^millrace_http_request_duration_seconds_count\{.*route="\/graphql".*$/gm) ?? [];
  };
  const before = await requests();
  const { leave, ended } = await open({ query });
  leave();
  await ended;
  await waitFor(async () => (await subscribers()) === 0, { what: 'the subscription to be over' });
  expect(await requests()).toEqual(before);
});
