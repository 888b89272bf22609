import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort, takesConnections } from '#libs/ports';
import { createTopics, startHttpSink, uniqueName } from '#libs/testing';
import type { HttpSink } from '#libs/testing';
import { oneProcess } from '../forms/forms.js';
import type { Form } from '../forms/forms.js';
import { ServiceProcess } from '../forms/service-process.js';
import { Client } from './client.js';
import { tenantDocuments } from './documents.js';
import { helpdesk } from './partner.js';

/**
 * A peer resets its connection after every byte of a conversation with every door: before the process has read what was sent, and after.
 * Nothing of this may end the process or count as a defect of it.
 */

interface Conversation {
  readonly name: string;
  /** The bytes that the peer sends. */
  readonly bytes: Buffer;
  /** How the response to all of it begins. */
  readonly answered: RegExp;
}

let form: Form;
let sink: HttpSink;
let client: Client;
let apiKey: string;

beforeAll(async () => {
  form = await oneProcess({ logPrefix: '', logLevel: 'warn' });
  await form.start();
  sink = await startHttpSink();
  client = new Client(form, uniqueName('tenant'), form.operatorKey);
  await client.apply(tenantDocuments(client.tenant, sink.url));
  const { createApiKey } = await client.graphql<{ createApiKey: { key: string } }>(
    'mutation { createApiKey(input: { name: "resets", scopes: [INGEST, READ] }) { ... on CreateApiKeySuccess { key } } }',
  );
  apiKey = createApiKey.key;
});
afterAll(async () => {
  await form?.dispose();
  await sink?.stop();
});

/** A request as it is on the wire. */
function request(name: string, line: string, answered: RegExp, headers: Record<string, string> = {}, body = ''): Conversation {
  const lines = Object.entries({ host: 'millrace', ...headers, 'content-length': String(Buffer.byteLength(body)) });
  const head = [`${line} HTTP/1.1`, ...lines.map(([header, value]) => `${header}: ${value}`)].join('\r\n');
  return { name, bytes: Buffer.from(`${head}\r\n\r\n${body}`), answered };
}

/** A masked frame as a client sends it (RFC 6455 §5.2), of less than 64 KiB. */
function frame(opcode: number, content: string): Buffer {
  const payload = Buffer.from(content);
  const mask = randomBytes(4);
  const length = payload.length < 126 ? [0x80 | payload.length] : [0x80 | 126, payload.length >> 8, payload.length & 0xff];
  return Buffer.concat([Buffer.from([0x80 | opcode, ...length]), mask, payload.map((byte, at) => byte ^ mask[at % 4]!)]);
}

function webSocket(name: string, path: string, answered: RegExp, frames: readonly Buffer[]): Conversation {
  const headers = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': randomBytes(16).toString('base64'),
    'sec-websocket-protocol': 'graphql-transport-ws',
    authorization: `Bearer ${apiKey}`,
  };
  const opening = request(name, `GET ${path}`, answered, headers);
  return { ...opening, bytes: Buffer.concat([opening.bytes, ...frames]) };
}

function conversations(): Conversation[] {
  const json = { 'content-type': 'application/json' };
  const bearer = { authorization: `Bearer ${apiKey}` };
  const signed = helpdesk(uniqueName('reset'), 'c1', 'It broke');
  const event = { specversion: '1.0', id: uniqueName('reset'), source: 'tickets', type: 'ticket.opened', data: { message: 'It broke' } };
  const question = { model: 'local/rules-1', messages: [{ role: 'user', content: 'It broke' }] };
  const subscription = { id: '1', type: 'subscribe', payload: { query: 'subscription { eventChanged { event { id } } }' } };
  const frames = [frame(1, '{"type":"connection_init"}'), frame(9, 'ping'), frame(1, JSON.stringify(subscription))];
  return [
    request('a webhook', `POST /webhooks/${client.tenant}.${signed.source}`, /^HTTP\/1.1 200 /, signed.headers, signed.body),
    request('a webhook to no source', 'POST /webhooks/nobody.nothing', /^HTTP\/1.1 404 /, signed.headers, signed.body),
    request(
      'a CloudEvent',
      'POST /v1/events',
      /^HTTP\/1.1 202 /,
      { ...bearer, 'content-type': 'application/cloudevents+json' },
      JSON.stringify(event),
    ),
    request(
      'GraphQL',
      'POST /graphql',
      /^HTTP\/1.1 200 /,
      { ...bearer, ...json },
      JSON.stringify({ query: '{ events(first: 100) { nodes { id data } } }' }),
    ),
    request(
      'another protocol',
      'POST /graphql',
      /^HTTP\/1.1 200 /,
      { ...bearer, ...json, connection: 'Upgrade', upgrade: 'h2c' },
      '{"query":"{ __typename }"}',
    ),
    request(
      'an event stream',
      'POST /graphql',
      /^HTTP\/1.1 200 .*text\/event-stream/s,
      { ...bearer, ...json, accept: 'text/event-stream' },
      JSON.stringify(subscription.payload),
    ),
    webSocket('a socket', '/graphql', /^HTTP\/1.1 101 /, frames),
    webSocket('a socket that breaks the protocol', '/graphql', /^HTTP\/1.1 101 /, [...frames, Buffer.from([0xff, 0xff, 0xff, 0xff])]),
    webSocket('a socket where there is none', '/nothing', /^HTTP\/1.1 404 /, frames),
    request('GraphiQL', 'GET /graphql', /^HTTP\/1.1 200 .*text\/html/s, { accept: 'text/html' }),
    request('the page', 'GET /', /^HTTP\/1.1 200 /, bearer),
    request('a preflight request', 'OPTIONS /graphql', /^HTTP\/1.1 204 /),
    request('a sender that asks', 'OPTIONS /v1/events', /^HTTP\/1.1 200 /, { 'webhook-request-origin': 'eventgrid.example' }),
    request('metrics', 'GET /metrics', /^HTTP\/1.1 200 /),
    request('the local model', 'POST /local-model/v1/chat/completions', /^HTTP\/1.1 200 /, json, JSON.stringify(question)),
    request('the sample destination', 'GET /sample/crm', /^HTTP\/1.1 200 /),
    request('nothing', 'PUT /nothing', /^HTTP\/1.1 404 /, json, '{"a":1}'),
  ];
}

/** How many connections are open at once. */
const atOnce = 64;

/** Sends each beginning of the conversation, then resets its connection. */
async function resetAtEveryPoint(port: number, { bytes }: Conversation, readByNow: () => Promise<unknown>): Promise<void> {
  const cuts = Array.from({ length: bytes.length }, (_, at) => at + 1);
  for (const isRead of [false, true]) {
    for (let from = 0; from < cuts.length; from += atOnce) {
      const sockets = await Promise.all(cuts.slice(from, from + atOnce).map((cut) => sent(port, bytes.subarray(0, cut))));
      if (isRead) await readByNow();
      for (const socket of sockets) socket.resetAndDestroy();
    }
  }
}

async function sent(port: number, bytes: Buffer): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  await new Promise((written) => socket.write(bytes, written));
  return socket;
}

/** The first bytes of the response to the whole conversation. */
async function answerTo(port: number, { bytes }: Conversation): Promise<string> {
  const socket = await sent(port, bytes);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return answer.toString('latin1');
}

test('a reset after any byte at any HTTP door ends nothing and is no defect', async () => {
  const port = Number(new URL(form.doors).port);
  const healthy = async (): Promise<void> => expect((await fetch(`${form.doors}/healthz`)).status).toBe(200);
  for (const conversation of conversations()) {
    expect([conversation.name, await answerTo(port, conversation)]).toEqual([
      conversation.name,
      expect.stringMatching(conversation.answered),
    ]);
    await resetAtEveryPoint(port, conversation, healthy).catch((error: unknown) => {
      throw new Error(`${conversation.name}: ${String(error)}\n${form.tail()}`);
    });
    await healthy();
  }
  await client.delivered(await client.accepted(helpdesk('after-the-resets', 'c2', 'Still there?')));
  expect(form.tail()).not.toContain('defect');
});

test('a reset after any byte at the local broker ends nothing', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-resets-'));
  const port = await freePort();
  const broker = new ServiceProcess(
    'local-broker',
    port,
    { LOCAL_BROKER_PORT: String(port), LOCAL_BROKER_DIRECTORY: directory },
    takesConnections,
  );
  try {
    await broker.start();
    const bytes = await recordedProduce(port);
    const answers = async (): Promise<void> => void (await answerTo(port, { name: 'the broker', bytes, answered: /./ }));
    await resetAtEveryPoint(port, { name: 'the broker', bytes, answered: /./ }, answers);
    expect((await recordedProduce(port)).length).toBeGreaterThan(0);
    expect(await broker.stop()).toBe(0);
  } finally {
    await broker.kill();
    rmSync(directory, { recursive: true, force: true });
  }
});

/** The bytes that a client of Kafka sends while it creates a topic and appends a record to it. */
async function recordedProduce(port: number): Promise<Buffer> {
  const recorded: Buffer[] = [];
  const proxy = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    near.on('error', () => far.destroy());
    far.on('error', () => near.destroy());
    near.on('data', (chunk: Buffer) => recorded.push(chunk)).pipe(far);
    far.on('data', (chunk: Buffer) => near.write(withPort(chunk, port, proxied))).on('end', () => near.end());
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const { port: proxied } = proxy.address() as AddressInfo;
  const kafka = new Kafka({ clientId: 'resets', brokers: [`127.0.0.1:${proxied}`], logLevel: logLevel.NOTHING });
  const topic = uniqueName('resets');
  const [admin, producer] = [kafka.admin(), kafka.producer({ idempotent: true })];
  await admin.connect();
  await createTopics(admin, [{ topic, numPartitions: 1 }]);
  await admin.disconnect();
  await producer.connect();
  await producer.send({ topic, acks: -1, messages: [{ key: 'a', value: 'b' }] });
  await producer.disconnect();
  proxy.close();
  return Buffer.concat(recorded);
}

/** The bytes with the port of a broker that they name replaced, so that its client stays with the proxy. */
function withPort(bytes: Buffer, port: number, proxied: number): Buffer {
  const [named, replacement] = [port, proxied].map((each) => {
    const int32 = Buffer.alloc(4);
    int32.writeInt32BE(each);
    return int32.toString('latin1');
  }) as [string, string];
  return Buffer.from(bytes.toString('latin1').replaceAll(named, replacement), 'latin1');
}
