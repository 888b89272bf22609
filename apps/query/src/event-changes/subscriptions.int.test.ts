import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { json } from 'node:stream/consumers';
import { createClient } from 'graphql-ws';
import type { Client } from 'graphql-ws';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { DeliveryAttempted, EventRecorded, RunCompleted, RunFailed, topics } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import { uniqueName, waitFor } from '#libs/testing';
import { QueryServer } from '../../../../test/query/query-server.js';
import { TimelineTable } from '../timeline/timeline.table.js';

let server: QueryServer;
let tenant: string;
const clients: Client[] = [];

beforeAll(async () => {
  server = await QueryServer.start();
  tenant = uniqueName('tenant');
  await server.rows.event({ tenant, id: 'evt_1', customer: 'cus-1', type: 'invoice.paid' });
  await server.rows.event({ tenant, id: 'evt_2', customer: 'cus-2', type: 'push' });
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.dispose();
});
afterAll(() => server.stop());

const address = (): string => `${server.url.replace('http', 'ws')}/graphql`;

function connect(connectionParams: Record<string, unknown>): Client {
  const client = createClient({ url: address(), webSocketImpl: WebSocket, connectionParams, retryAttempts: 0, lazy: true });
  clients.push(client);
  return client;
}

interface Change {
  change: string;
  code: string | null;
  event: { id: string; state: string };
}

/** Everything the subscription gets, from the moment it is open. */
async function listen(key: string, filter = '{}'): Promise<Change[]> {
  const client = connect({ authorization: `Bearer ${key}` });
  const open = await subscribers();
  const heard: Change[] = [];
  const query = `subscription { eventChanged(filter: ${filter}) { change code runId deliveryId event { id state } } }`;
  client.subscribe<{ eventChanged: Change }>(
    { query },
    { next: ({ data }) => data && heard.push(data.eventChanged), error: () => undefined, complete: () => undefined },
  );
  await waitFor(async () => (await subscribers()) > open, { what: 'the subscription to be open' });
  return heard;
}

async function subscribers(): Promise<number> {
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  return Number(/^millrace_graphql_subscribers (\d+)/m.exec(metrics)?.[1]);
}

const about = (eventId: string, of = tenant) => ({ tenant: of, customer: 'cus-1', eventId, at: new Date().toISOString() });
const run = { runId: 'run_1', flow: 'triage', flowVersion: 1, generation: 0 };

async function recorded(eventId: string, of = tenant): Promise<void> {
  await server
    .part(RecordProducer)
    .append(topics.outcomes, EventRecorded, { ...about(eventId, of), source: 'stripe', type: 'invoice.paid' });
}

test('a subscriber hears every change of its tenant, with the event as it is', async () => {
  const heard = await listen(await server.key(tenant, 'read'));
  const producer = server.part(RecordProducer);
  await recorded('evt_1');
  await producer.append(topics.outcomes, RunCompleted, {
    ...about('evt_1'),
    ...run,
    eventReceivedAt: new Date().toISOString(),
    decision: {},
    deliveries: [],
  });
  await producer.append(topics.outcomes, RunFailed, { ...about('evt_1'), ...run, code: 'model.refused', message: 'no' });
  await waitFor(() => heard.length >= 3, { what: 'three changes' });
  expect(heard.map(({ change, code }) => [change, code])).toEqual([
    ['RECORDED', null],
    ['DECIDED', null],
    ['FAILED', 'model.refused'],
  ]);
  expect(heard[0]?.event).toEqual({ id: 'evt_1', state: 'RECORDED' });

  const attempt = { ...about('evt_1'), deliveryId: 'dlv_1', destination: 'crm', attempt: 1 };
  await producer.append(topics.deliveries, DeliveryAttempted, { ...attempt, state: 'pending', code: 'delivery.timeout' });
  await producer.append(topics.deliveries, DeliveryAttempted, { ...attempt, state: 'delivered', code: null });
  await producer.append(topics.deliveries, DeliveryAttempted, { ...attempt, state: 'parked', code: 'delivery.destinationDisabled' });
  await waitFor(() => heard.length >= 6, { what: 'three changes of a delivery' });
  expect(heard.slice(3).map(({ change }) => change)).toEqual(['RETRYING', 'DELIVERED', 'PARKED']);
});

test('a filter lets through what it says and nothing else', async () => {
  const key = await server.key(tenant, 'read');
  const [byType, byCustomer] = [await listen(key, '{ type: "invoice.*" }'), await listen(key, '{ customer: "cus-2" }')];
  await recorded('evt_1');
  await recorded('evt_2');
  await waitFor(() => byType.length > 0 && byCustomer.length > 0, { what: 'both subscribers to hear' });
  expect([byType.map(({ event }) => event.id), byCustomer.map(({ event }) => event.id)]).toEqual([['evt_1'], ['evt_2']]);
});

test('nothing crosses a tenant', async () => {
  const elsewhere = uniqueName('tenant');
  await server.rows.event({ tenant: elsewhere, id: 'evt_1' });
  const heard = await listen(await server.key(tenant, 'read'));
  await recorded('evt_1', elsewhere);
  await recorded('evt_2');
  await waitFor(() => heard.length > 0, { what: 'a change' });
  expect(heard.map(({ event }) => event.id)).toEqual(['evt_2']);
});

test('a subscriber whose fields need the database is sent the latest of every event, however fast changes come in, and its loads are joined', async () => {
  const busy = uniqueName('tenant');
  const [events, changesEach] = [400, 6];
  await server.rows.manyEvents(busy, events);
  const client = connect({ authorization: `Bearer ${await server.key(busy, 'read')}` });
  const before = await subscribers();
  const heard: { change: string; merged: number; event: { id: string; timeline: object[] } }[] = [];
  const failed: unknown[] = [];
  const query =
    'subscription { eventChanged { change merged event { id state timeline { title } runs { id steps { id } } deliveries { id attempts { number } } } } }';
  client.subscribe<{ eventChanged: (typeof heard)[number] }>(
    { query },
    {
      next: ({ data, errors }) => (errors === undefined ? heard.push(data!.eventChanged) : failed.push(errors)),
      error: (error) => failed.push(error),
      complete: () => failed.push('complete'),
    },
  );
  await waitFor(async () => (await subscribers()) > before, { what: 'the subscription to be open' });
  const loads = vi.spyOn(server.part(TimelineTable), 'ofEvents');
  const producer = server.part(RecordProducer);
  const ofOwnCustomer = (id: string) => ({ ...about(id, busy), customer: id });
  const ids = Array.from({ length: events }, (_, n) => `evt_many${n + 1}`);
  for (let n = 1; n < changesEach; n += 1)
    await Promise.all(
      ids.map((id) => producer.append(topics.outcomes, EventRecorded, { ...ofOwnCustomer(id), source: 'stripe', type: 'invoice.paid' })),
    );
  await Promise.all(
    ids.map((id) => producer.append(topics.outcomes, RunFailed, { ...ofOwnCustomer(id), ...run, code: 'model.refused', message: 'no' })),
  );
  const done = () => new Set(heard.filter(({ change }) => change === 'FAILED').map(({ event }) => event.id)).size;
  await waitFor(() => done() === events || failed.length > 0, { what: 'the last change of every event', deadlineMs: 30_000 });
  expect(failed).toEqual([]);
  const stoodFor = heard.reduce((sum, { merged }) => sum + 1 + merged, 0);
  expect(stoodFor).toBe(events * changesEach);
  expect(heard.every(({ event }) => event.timeline.length > 0)).toBe(true);
  expect(loads.mock.calls.length).toBeLessThan(heard.length / 4);
  loads.mockRestore();
});

/** The code the server closes the socket with. */
async function closedWith(connectionParams: Record<string, unknown>): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const client = connect(connectionParams);
  client.on('closed', (event) => resolve((event as { code: number }).code));
  client.subscribe(
    { query: 'subscription { eventChanged { change } }' },
    { next: () => undefined, error: () => undefined, complete: () => undefined },
  );
  return promise;
}

test('a caller that breaks the protocol loses its socket, and writes nothing to the console', async () => {
  const written = vi.spyOn(console, 'error').mockReturnValue();
  onTestFinished(() => written.mockRestore());
  const socket = new WebSocket(address(), 'graphql-transport-ws');
  socket.on('error', () => undefined);
  const [response] = (await once(socket, 'upgrade')) as [IncomingMessage];
  response.socket.write(Buffer.from('ffffffffff', 'hex'));
  const [code] = (await once(socket, 'close')) as [number];
  expect([code, written.mock.calls]).toEqual([1002, []]);
});

test('a socket without a key, or with one that is none, is closed with 4401; for another tenant, with 4403', async () => {
  expect(await closedWith({})).toBe(4401);
  expect(await closedWith({ authorization: 'Bearer mr_test_nope' })).toBe(4401);
  expect(await closedWith({ authorization: `Bearer ${await server.key(tenant, 'read')}`, 'millrace-tenant': 'another' })).toBe(4403);
});

test.each([
  ['of another page', () => 'https://evil.example', 403],
  ['of a page without an origin', () => 'null', 403],
  ['of a listed page', () => 'https://console.example', 101],
  ['of a page of the host itself', () => server.url, 101],
])('the origin %s decides whether a socket is opened', async (_, origin, status) => {
  const socket = new WebSocket(address(), 'graphql-transport-ws', { origin: origin() });
  const answered = await Promise.race([
    once(socket, 'open').then(() => ({ status: 101, code: undefined })),
    once(socket, 'unexpected-response').then(async ([, response]: unknown[]) => {
      const { statusCode } = response as { statusCode: number };
      return { status: statusCode, code: ((await json(response as Readable)) as { code: string }).code };
    }),
  ]);
  expect(answered).toEqual({ status, code: status === 403 ? 'request.originForbidden' : undefined });
  socket.close();
});

test('the headers of the upgrade are credentials as good as those of connection_init', async () => {
  const key = await server.key(tenant, 'read');
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = new WebSocket(address(), 'graphql-transport-ws', { headers: { authorization: `Bearer ${key}` } });
  socket.on('open', () => socket.send(JSON.stringify({ type: 'connection_init' })));
  socket.on('message', (data: Buffer) => resolve(data.toString()));
  expect(JSON.parse(await promise)).toEqual({ type: 'connection_ack' });
  socket.close();
});

async function refusal(key: string, query: string): Promise<unknown> {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const sink = {
    next: ({ errors }: { errors?: readonly unknown[] }) => errors && resolve(errors),
    error: resolve,
    complete: () => resolve('complete'),
  };
  connect({ authorization: `Bearer ${key}` }).subscribe({ query }, sink);
  return promise;
}

test('a key without the scope, a query over the socket and a document that is not valid are refused with codes', async () => {
  const subscription = 'subscription { eventChanged { change } }';
  expect(await refusal(await server.key(tenant, 'ingest'), subscription)).toMatchObject([{ extensions: { code: 'credential.scope' } }]);
  const key = await server.key(tenant, 'read');
  expect(await refusal(key, '{ __typename }')).toMatchObject([{ extensions: { code: 'request.invalid' } }]);
  expect(await refusal(key, 'subscription { nothing }')).toMatchObject([{ extensions: { code: 'request.invalid' } }]);
});

test('an upgrade at another path is answered, not left open', async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  new WebSocket(`${server.url.replace('http', 'ws')}/elsewhere`).on('error', (error) => resolve(error.message));
  expect(await promise).toContain('404');
});

test('a server that stops says 1001 to its subscribers, and waits for none that is silent', async () => {
  const stopping = await QueryServer.start();
  const headers = { authorization: `Bearer ${await stopping.key(tenant, 'read')}` };
  const open = async (): Promise<WebSocket> => {
    const socket = new WebSocket(`${stopping.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', { headers });
    await once(socket, 'open');
    socket.send(JSON.stringify({ type: 'connection_init' }));
    await once(socket, 'message');
    socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query: 'subscription { eventChanged { change } }' } }));
    return socket;
  };
  const [listening, silent] = [await open(), await open()];
  silent.pause();
  const closed = once(listening, 'close');
  const stopped = stopping.stop();
  expect((await closed)[0]).toBe(1001);
  await stopped;
  silent.terminate();
}, 20_000);
