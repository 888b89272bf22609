/** @module-tag both-logs The acknowledgement of a partner is the acknowledgement of the log. */
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { sign as signGithub } from '@octokit/webhooks-methods';
import { Kafka, logLevel } from 'kafkajs';
import type { Consumer } from 'kafkajs';
import { Webhook } from 'standardwebhooks';
import { Stripe } from 'stripe';
import { Webhook as SvixWebhook } from 'svix';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SecretBox, issueApiKey } from '#libs/auth';
import { EventReceived, document, eventTopics } from '#libs/contracts';
import type { Scope } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import { ApiKeyTable, Database, DocumentTable } from '#libs/persistence';
import { start } from '#libs/service';
import type { RunningService } from '#libs/service';
import { freshDatabase, testBrokers, uniqueName, waitFor } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { IngestionModule } from './index.js';

const tenant = uniqueName('acme');
/** Prefix of the topics that only this test uses. */
const topicPrefix = `${uniqueName('ingestion')}.`;
const secrets = {
  stripe: 'whsec_5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH',
  github: "It's a Secret to Everybody",
  shopify: 'hush',
  slack: '8f742231b10e8888abcd99yyyzzz85a5',
  helpdesk: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  raw: 'raw-secret',
};
const lane = { rules: [{ types: ['invoice.payment_failed'], lane: 'high' }] };
const sources: Record<string, object> = {
  stripe: { scheme: 'stripe', secrets: [{ value: 'whsec_the_next_one' }, { value: secrets.stripe }], lane },
  github: { scheme: 'github', secrets: [{ value: secrets.github }] },
  shopify: { scheme: 'shopify', secrets: [{ value: secrets.shopify }] },
  slack: { scheme: 'slack', secrets: [{ value: secrets.slack }] },
  helpdesk: { scheme: 'standard-webhooks', secrets: [{ value: secrets.helpdesk }] },
  raw: { scheme: 'custom', custom: { header: 'x-sig' }, secrets: [{ value: secrets.raw }], customer: '$number(body)' },
  broken: { scheme: 'standard-webhooks', secrets: [{ value: 'this is not base64!' }] },
  tickets: { scheme: 'api-key' },
  crm: { scheme: 'hubspot-v1', secrets: [{ value: secrets.raw }] },
  sales: { scheme: 'salesforce', secrets: [{ value: secrets.raw }], parameters: { organizationId: '00D5e000000KQ2eEAG' } },
  chat: { scheme: 'intercom', secrets: [{ value: secrets.raw }] },
  ruled: {
    scheme: 'custom',
    custom: { header: 'x-sig' },
    secrets: [{ value: secrets.raw }],
    addresses: ['198.51.100.0/24'],
    maxBodyBytes: 100,
    schemas: [
      { types: ['order.*'], schema: { type: 'object', required: ['total'], properties: { total: { type: 'number' } } } },
      { types: ['note'], schema: { required: ['text'] }, onMismatch: 'flag' },
    ],
  },
  limited: { scheme: 'custom', custom: { header: 'x-sig' }, secrets: [{ value: secrets.raw }], rateLimit: { perMinute: 4 } },
  orders: { scheme: 'api-key', addresses: ['198.51.100.0/24'], schemas: [{ types: ['order.*'], schema: { required: ['total'] } }] },
  short: { scheme: 'api-key', maxBodyBytes: 250 },
  meters: { scheme: 'custom', custom: { kind: 'none', addresses: ['198.51.100.0/24'] } },
};

let database: FreshDatabase;
let writer: Database;
let documents: DocumentTable;
let service: RunningService;
let consumer: Consumer;
const logged: { event: EventReceived; topic: string; headers: Record<string, string> }[] = [];
let keys: Record<'ingest' | 'read' | 'elsewhere', string>;

beforeAll(async () => {
  database = await freshDatabase();
  const secretBox = new SecretBox(randomBytes(32));
  writer = await Database.connect({ url: database.url, role: 'millrace_service', applicationName: 'test', poolSize: 1 });
  documents = new DocumentTable(secretBox);
  keys = await configure();
  const brokers = testBrokers();
  service = await start({
    service: 'ingestion',
    host: '127.0.0.1',
    port: 0,
    trustedProxies: ['127.0.0.1'],
    log: {
      brokers,
      prefix: topicPrefix,
      replication: 1,
      ackTimeoutMs: 5_000,
      concurrency: 1,
      sessionTimeoutMs: 15_000,
      handlerDeadlineMs: 60_000,
    },
    storage: { url: database.url, poolSize: 2, secretBox },
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
  consumer = await readLog(brokers);
});

afterAll(async () => {
  await consumer?.disconnect();
  await service?.stop();
});

function save(input: object) {
  return documents.save(writer, { document: document.parse({ apiVersion: 'millrace/v1', ...input }), actor: 'test' });
}

async function configure(): Promise<typeof keys> {
  await save({ kind: 'Tenant', metadata: { name: tenant }, spec: { displayName: 'Acme' } });
  for (const [name, spec] of Object.entries(sources)) await save({ kind: 'Source', metadata: { tenant, name }, spec });
  const issue = async (owner: string, scope: Scope): Promise<string> => {
    const issued = issueApiKey('test');
    const { id, secretHash } = issued;
    await new ApiKeyTable().insert(writer, {
      tenant: owner,
      id,
      name: scope,
      secretHash,
      scopes: [scope],
      expiresAt: null,
      createdBy: 'test',
    });
    return issued.key;
  };
  const issued = {
    ingest: await issue(tenant, 'ingest'),
    read: await issue(tenant, 'read'),
    elsewhere: await issue(uniqueName('other'), 'ingest'),
  };
  return issued;
}

async function readLog(brokers: readonly string[]): Promise<Consumer> {
  const reader = new Kafka({ brokers: [...brokers], clientId: 'test', logLevel: logLevel.NOTHING }).consumer({
    groupId: uniqueName('ingestion-test'),
  });
  await reader.connect();
  await reader.subscribe({ topics: Object.values(eventTopics).map(({ name }) => topicPrefix + name), fromBeginning: true });
  await reader.run({
    eachMessage: async ({ topic, message }) => {
      const event = EventReceived.check.parse(JSON.parse(String(message.value)));
      const headers = Object.fromEntries(Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)]));
      logged.push({ event, topic, headers });
    },
  });
  return reader;
}

interface Sent {
  body?: string | Buffer;
  headers?: Record<string, string | string[]>;
  method?: string;
}
interface TestResponse {
  status: number;
  headers: Record<string, unknown>;
  text: string;
  json: () => any;
}

/** Over node:http, because fetch would join or refuse what some of these tests must send. */
function send(path: string, { body = '', headers = {}, method = 'POST' }: Sent = {}): Promise<TestResponse> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      new URL(path, service.url),
      { method, headers: { ...(headers['transfer-encoding'] ? {} : { 'content-length': Buffer.byteLength(body) }), ...headers } },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: incoming.statusCode!, headers: incoming.headers, text, json: () => JSON.parse(text) });
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

const webhook = (source: string, sent: Sent) => send(`/webhooks/${tenant}.${source}`, sent);
const json = { 'content-type': 'application/json' };
const stripeSdk = new Stripe('sk_test_unused');

function stripe(body: string | object, options: { timestamp?: number; secret?: string } = {}): Sent & { headers: Record<string, string> } {
  const payload = typeof body === 'string' ? body : JSON.stringify(body);
  const signature = stripeSdk.webhooks.generateTestHeaderString({ payload, secret: secrets.stripe, ...options });
  return { body: payload, headers: { ...json, 'stripe-signature': signature } };
}

function slack(body: string, contentType = 'application/json'): Sent {
  const timestamp = String(Math.floor(Date.now() / 1_000));
  const mac = createHmac('sha256', secrets.slack).update(`v0:${timestamp}:${body}`).digest('hex');
  return { body, headers: { 'content-type': contentType, 'x-slack-request-timestamp': timestamp, 'x-slack-signature': `v0=${mac}` } };
}

const event = (more: object = {}) => ({
  id: uniqueName('evt'),
  type: 'invoice.paid',
  created: 1_750_000_000,
  data: { object: { customer: 'cus_1' } },
  ...more,
});

/** The record of the one event that a response acknowledges. */
async function recordOf(answer: TestResponse) {
  expect(answer.text).toMatch(/^\{"eventIds":\["evt_[0-9a-z]{32}"\]\}$/);
  const [eventId] = answer.json().eventIds as string[];
  return waitFor(() => logged.find((record) => record.event.eventId === eventId), { what: `${eventId} on the log` });
}

test('webhooks are taken for a source that was applied a moment ago, however many come at once', async () => {
  for (let round = 0; round < 5; round += 1) {
    const source = uniqueName('fresh');
    await save({ kind: 'Source', metadata: { tenant, name: source }, spec: sources['stripe'] });
    const answers = await Promise.all([1, 2, 3].map(() => webhook(source, stripe(event()))));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  }
});

test('webhooks that are signed with a secret that was applied a moment ago are taken, however many come at once', async () => {
  const source = uniqueName('rotated');
  const secret = 'whsec_that_was_applied_a_moment_ago';
  await save({ kind: 'Source', metadata: { tenant, name: source }, spec: sources['stripe'] });
  expect((await webhook(source, stripe(event()))).status).toBe(200);
  await save({ kind: 'Source', metadata: { tenant, name: source }, spec: { ...sources['stripe'], secrets: [{ value: secret }] } });
  const answers = await Promise.all([1, 2, 3].map(() => webhook(source, stripe(event(), { secret }))));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
});

describe('a request that holds several events', () => {
  const hubspot = (body: string) => {
    const signature = createHash('sha256')
      .update(secrets.raw + body)
      .digest('hex');
    return webhook('crm', { body, headers: { ...json, 'x-hubspot-signature': signature } });
  };
  const change = (eventId: number) =>
    `{"eventId":${eventId},"portalId":1,"objectId":${eventId},"subscriptionType":"contact.creation","n":1.0}`;

  test('is acknowledged with the ids of all, in their order, once all are on the log', async () => {
    const answer = await hubspot(`[${[1, 2, 3].map(change).join(',')}]`);
    const { eventIds } = answer.json() as { eventIds: string[] };
    expect(new Set(eventIds).size).toBe(3);
    const records = await waitFor(
      () => {
        const found = eventIds.map((id) => logged.find((record) => record.event.eventId === id)?.event);
        return found.every((record) => record !== undefined) ? found : undefined;
      },
      { what: 'three events on the log' },
    );
    expect(records.map((record) => record.body)).toEqual([1, 2, 3].map(change));
  });

  test('is the same events when it is sent again, and no event when it is empty', async () => {
    const answers = [await hubspot(`[${change(7)},${change(8)}]`), await hubspot(`[${change(8)},${change(7)}]`)];
    const [first, again] = answers.map((answer) => answer.json().eventIds as string[]);
    expect(again).toEqual(first!.toReversed());
    expect((await hubspot('[]')).json()).toEqual({ eventIds: [] });
  });
});

test('an outbound message of Salesforce is acknowledged in SOAP, for its organization and its secret address only', async () => {
  const message = (organization: string) =>
    `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><notifications><OrganizationId>${organization}</OrganizationId><Notification><Id>${uniqueName('04l')}</Id><sObject xsi:type="sf:Account" xmlns:xsi="x"><sf:Id xmlns:sf="y">1</sf:Id></sObject></Notification></notifications></e:Body></e:Envelope>`;
  const post = (organization: string, token: string) =>
    send(`/webhooks/${tenant}.sales?token=${token}`, {
      body: message(organization),
      headers: { 'content-type': 'text/xml; charset=utf-8' },
    });
  const answer = await post('00D5e000000KQ2eEAG', secrets.raw);
  expect([answer.status, answer.headers['content-type']]).toEqual([200, 'text/xml; charset=utf-8']);
  expect(answer.text).toContain('<Ack>true</Ack>');
  await waitFor(() => logged.some(({ event: one }) => one.source === 'sales' && one.type === 'sf:Account'), { what: 'the notification' });
  expect((await post('00D000000000000AAA', secrets.raw)).status).toBe(401);
  expect((await post('00D5e000000KQ2eEAG', 'guess')).status).toBe(401);
});

test('a probe by HEAD is answered without a body', async () => {
  const answer = await webhook('chat', { method: 'HEAD' });
  expect([answer.status, answer.text]).toEqual([200, '']);
  expect((await webhook('crm', { method: 'HEAD' })).status).toBe(405);
});

test('a source without secrets takes requests from its addresses, as the trusted proxy names them', async () => {
  const from = (forwarded: string) => webhook('meters', { body: '{"value":1}', headers: { ...json, 'x-forwarded-for': forwarded } });
  expect((await from('203.0.113.9, 198.51.100.7')).status).toBe(200);
  for (const others of ['198.51.100.7, 203.0.113.9', '203.0.113.9', '']) expect((await from(others)).status).toBe(401);
});

describe('the rules of a source', () => {
  const from = (address: string) => ({ ...json, 'x-forwarded-for': address });
  const ruled = (body: string, address = '198.51.100.7', secret = secrets.raw) =>
    webhook('ruled', { body, headers: { ...from(address), 'x-sig': createHmac('sha256', secret).update(body).digest('hex') } });
  const order = (total: unknown) => JSON.stringify({ id: uniqueName('o'), type: 'order.paid', total });

  test('keep out who does not call from its addresses, whatever the signature', async () => {
    for (const secret of [secrets.raw, 'another']) {
      const refused = await ruled(order(1), '203.0.113.1', secret);
      expect([refused.status, refused.json().code]).toEqual([403, 'source.addressForbidden']);
    }
    expect((await recordOf(await ruled(order(1)))).event).toMatchObject({ type: 'order.paid' });
  });

  test('keep out a larger body, whether it says its length or not', async () => {
    const body = order('x'.repeat(100));
    const signed = { 'x-sig': createHmac('sha256', secrets.raw).update(body).digest('hex') };
    for (const headers of [signed, { ...signed, 'transfer-encoding': 'chunked' }]) {
      const refused = await webhook('ruled', { body, headers: { ...from('198.51.100.7'), ...headers } });
      expect([refused.status, refused.json().code]).toEqual([413, 'request.tooLarge']);
    }
  });

  test('refuse an event that does not fit its schema, only if it is signed, and flag one where they say so', async () => {
    const misfit = order('much');
    expect((await ruled(misfit, undefined, 'another')).json().code).toBe('signature.mismatch');
    const refused = await ruled(misfit);
    expect([refused.status, refused.json()]).toEqual([
      422,
      expect.objectContaining({
        code: 'event.schemaMismatch',
        field: 'body',
        detail: expect.stringContaining('/total must be number') as string,
      }),
    ]);
    const { event: flagged } = await recordOf(await ruled('{"type":"note"}'));
    expect(flagged.schemaProblem).toContain("must have required property 'text'");
  });

  test('refuse what comes faster than its rate with 429, of which only requests that prove who sent them use anything', async () => {
    const limited = (secret: string) => {
      const body = JSON.stringify({ id: uniqueName('l') });
      return webhook('limited', { body, headers: { ...json, 'x-sig': createHmac('sha256', secret).update(body).digest('hex') } });
    };
    for (let at = 0; at < 10; at += 1) expect((await limited('another')).status).toBe(401);
    for (let at = 0; at < 2; at += 1) {
      const answer = await limited(secrets.raw);
      expect([answer.status, answer.headers['ratelimit-policy']]).toEqual([200, '"source";q=4;w=60']);
    }
    const refused = await limited(secrets.raw);
    expect([refused.status, refused.json().code]).toEqual([429, 'request.limited']);
    expect(refused.headers).toMatchObject({
      'ratelimit-policy': '"source";q=4;w=60',
      ratelimit: expect.stringMatching(/^"source";r=0;t=\d+$/) as string,
    });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
  });

  test('hold for CloudEvents, too: one event that does not fit refuses its batch', async () => {
    const batch = (totals: unknown[], address = '198.51.100.7') =>
      send('/v1/events', {
        body: JSON.stringify(
          totals.map((data) => ({ specversion: '1.0', id: uniqueName('b'), source: 'orders', type: 'order.paid', data })),
        ),
        headers: { ...from(address), authorization: `Bearer ${keys.ingest}`, 'content-type': 'application/cloudevents-batch+json' },
      });
    expect((await batch([{ total: 1 }, {}])).json()).toMatchObject({ status: 422, code: 'event.schemaMismatch', field: '1.data' });
    expect((await batch([{ total: 1 }], '203.0.113.1')).json()).toMatchObject({ status: 403, code: 'source.addressForbidden' });
    expect((await batch([{ total: 1 }, { total: 2 }])).status).toBe(202);
  });
});

describe('a webhook signed with its provider’s own SDK is acknowledged once it is on the log', () => {
  test('Stripe', async () => {
    const sent = event({ type: 'invoice.payment_failed' });
    const request = stripe(sent);
    const answer = await webhook('stripe', request);
    expect(answer.status).toBe(200);
    const { event: received, topic, headers } = await recordOf(answer);
    expect(received).toMatchObject({
      tenant,
      source: 'stripe',
      customer: 'cus_1',
      lane: 'high',
      type: 'invoice.payment_failed',
      providerEventId: sent.id,
      occurredAt: '2025-06-15T15:06:40.000Z',
      contentType: 'application/json',
      body: request.body,
    });
    expect(topic).toBe(`${topicPrefix}events.high`);
    expect(headers).toMatchObject({ mr_tenant: tenant, mr_schema: 'event.received.v1', ce_id: received.eventId });
  });

  test('GitHub, as JSON and as a form, with the same data', async () => {
    const body = JSON.stringify({ action: 'opened', repository: { owner: { login: 'octo' } } });
    const form = new URLSearchParams({ payload: body }).toString();
    for (const [sent, contentType] of [
      [body, 'application/json'],
      [form, 'application/x-www-form-urlencoded'],
    ] as const) {
      const headers = {
        'content-type': contentType,
        'x-github-event': 'issues',
        'x-github-delivery': uniqueName('delivery'),
        'x-hub-signature-256': await signGithub(secrets.github, sent),
      };
      const { event: received } = await recordOf(await webhook('github', { body: sent, headers }));
      expect(received).toMatchObject({ type: 'issues.opened', customer: 'octo', providerEventId: headers['x-github-delivery'] });
      expect(received).toMatchObject({ contentType: 'application/json', body });
    }
  });

  test('Shopify, with both spellings of its headers', async () => {
    for (const prefix of ['x-shopify', 'shopify']) {
      const body = JSON.stringify({ id: 1, customer: { id: 115_310_627 } });
      const id = uniqueName('webhook');
      const headers = {
        ...json,
        [`${prefix}-hmac-sha256`]: createHmac('sha256', secrets.shopify).update(body).digest('base64'),
        [`${prefix}-topic`]: 'orders/paid',
        [`${prefix}-webhook-id`]: id,
      };
      const { event: received } = await recordOf(await webhook('shopify', { body, headers }));
      expect(received).toMatchObject({ type: 'orders/paid', customer: '115310627', providerEventId: id });
    }
  });

  test('Slack, events and slash commands', async () => {
    const callback = JSON.stringify({ type: 'event_callback', team_id: 'T1', event_id: uniqueName('Ev'), event: { type: 'app_mention' } });
    expect((await recordOf(await webhook('slack', slack(callback)))).event).toMatchObject({ type: 'app_mention', customer: 'T1' });
    const command = `team_id=T1&command=%2Frefund&trigger_id=${uniqueName('trigger')}`;
    const { event: received } = await recordOf(await webhook('slack', slack(command, 'application/x-www-form-urlencoded')));
    expect(received).toMatchObject({ type: '/refund', customer: 'T1', body: command });
  });

  test('Standard Webhooks and Svix', async () => {
    for (const [prefix, Signer] of [
      ['webhook', Webhook],
      ['svix', SvixWebhook],
    ] as const) {
      const id = uniqueName('msg');
      const now = new Date();
      const body = JSON.stringify({ type: 'ticket.created', timestamp: '2026-01-31T12:00:00Z', data: { customer: 'c-1' } });
      const headers = {
        ...json,
        [`${prefix}-id`]: id,
        [`${prefix}-timestamp`]: String(Math.floor(now.getTime() / 1_000)),
        [`${prefix}-signature`]: new Signer(secrets.helpdesk).sign(id, now, body),
      };
      const { event: received } = await recordOf(await webhook('helpdesk', { body, headers }));
      expect(received).toMatchObject({ providerEventId: id, customer: 'c-1', occurredAt: '2026-01-31T12:00:00.000Z' });
    }
  });
});

test('a hundred identical webhooks at once are one event', async () => {
  const request = stripe(event());
  const answers = await Promise.all(Array.from({ length: 100 }, () => webhook('stripe', request)));
  expect(new Set(answers.map((answer) => `${answer.status} ${answer.text}`)).size).toBe(1);
  expect(answers[0]!.status).toBe(200);
});

test('a partner’s trace goes on in the log', async () => {
  const request = stripe(event());
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const { headers } = await recordOf(await webhook('stripe', { ...request, headers: { ...request.headers, traceparent } }));
  expect(headers['traceparent']).toMatch(/^00-4bf92f3577b34da6a3ce929d0e0e4736-/);
});

test('bytes that are no text are kept as they are, and a fact that cannot be read does not cost the event', async () => {
  const body = Buffer.from([0xff, 0x00, 0x7f]);
  const headers = { 'content-type': 'application/octet-stream', 'x-sig': createHmac('sha256', secrets.raw).update(body).digest('hex') };
  const { event: received } = await recordOf(await webhook('raw', { body, headers }));
  expect(received).toMatchObject({
    bodyBase64: body.toString('base64'),
    customer: expect.stringMatching(/^-\//),
    type: 'unknown',
    providerEventId: null,
  });
});

describe('Slack’s handshake', () => {
  const challenge = JSON.stringify({ type: 'url_verification', challenge: '3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P' });

  test('is answered with its challenge once it is verified, and is no event', async () => {
    const answer = await webhook('slack', slack(challenge));
    expect(answer).toMatchObject({ status: 200, text: '3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P' });
    expect(answer.headers['content-type']).toMatch('text/plain');
  });

  test('is not answered to somebody else', async () => {
    const { body, headers } = slack(challenge);
    const forged = { ...headers, 'x-slack-signature': `v0=${'0'.repeat(64)}` };
    expect(await webhook('slack', { body: body!, headers: forged })).toMatchObject({ status: 401 });
  });
});

/** Status, code and field of a refusal, whose form is checked. */
function refusal(answer: TestResponse): { status: number; code: string; field?: string } {
  expect(answer.headers['content-type']).toMatch('application/problem+json');
  const { type, title, detail, status, code, field } = answer.json();
  expect({ type, status, title, detail }).toEqual({
    type: `urn:millrace:problem:${code}`,
    status: answer.status,
    title: expect.any(String),
    detail: expect.any(String),
  });
  return { status, code, ...(field === undefined ? {} : { field }) };
}

describe('a webhook is refused', () => {
  const body = JSON.stringify(event());
  const signed = () => stripe(body);

  test('without a signature', async () => {
    expect(refusal(await webhook('stripe', { body, headers: json }))).toEqual({ status: 401, code: 'signature.missing' });
  });

  test('with a signature that cannot be read', async () => {
    const headers = { ...json, 'stripe-signature': 'v1=abc' };
    expect(refusal(await webhook('stripe', { body, headers }))).toEqual({ status: 401, code: 'signature.malformed' });
  });

  test('with one byte of the body flipped', async () => {
    const request = signed();
    const altered = Buffer.from(body);
    altered[20]! ^= 1;
    expect(refusal(await webhook('stripe', { ...request, body: altered }))).toEqual({ status: 401, code: 'signature.mismatch' });
  });

  test('with another source’s secret', async () => {
    expect(refusal(await webhook('stripe', stripe(body, { secret: secrets.helpdesk })))).toEqual({
      status: 401,
      code: 'signature.mismatch',
    });
  });

  test('signed too long ago', async () => {
    const timestamp = Math.floor(Date.now() / 1_000) - 400;
    expect(refusal(await webhook('stripe', stripe(body, { timestamp })))).toEqual({ status: 401, code: 'signature.expired' });
  });

  test('when the signature header comes twice', async () => {
    const { headers } = signed();
    const twice = { ...headers, 'stripe-signature': [headers['stripe-signature']!, headers['stripe-signature']!] };
    expect(refusal(await webhook('stripe', { body, headers: twice }))).toEqual({ status: 401, code: 'signature.malformed' });
  });

  test('with a body that is not JSON, but only if it is signed', async () => {
    expect(refusal(await webhook('stripe', stripe('{"id":')))).toEqual({ status: 400, code: 'request.malformed', field: 'body' });
    expect(refusal(await webhook('stripe', { body: '{"id":', headers: json }))).toMatchObject({ status: 401 });
  });

  test('with JSON that is none inside a form', async () => {
    const form = 'payload=%7B';
    const headers = { 'content-type': 'application/x-www-form-urlencoded', 'x-hub-signature-256': await signGithub(secrets.github, form) };
    const answer = await webhook('github', { body: form, headers });
    expect(refusal(answer)).toEqual({ status: 400, code: 'request.malformed', field: 'body.payload' });
  });

  test('with a content type that the provider does not send', async () => {
    const request = signed();
    const answer = await webhook('stripe', { ...request, headers: { ...request.headers, 'content-type': 'text/xml' } });
    expect(refusal(answer)).toEqual({ status: 415, code: 'request.unsupportedMediaType' });
  });

  test('larger than a megabyte, whether it says its length or not', async () => {
    const large = 'x'.repeat(1_048_577);
    const chunked = { 'transfer-encoding': 'chunked' };
    for (const headers of [
      { ...json, 'content-length': String(large.length) },
      { ...json, ...chunked },
    ]) {
      expect(refusal(await webhook('stripe', { body: large, headers }))).toEqual({ status: 413, code: 'request.tooLarge' });
    }
  });

  test('compressed, at any door: a signature covers the bytes as they are sent', async () => {
    const gzip = { 'content-encoding': 'gzip' };
    const request = signed();
    const answer = await webhook('stripe', { ...request, headers: { ...request.headers, ...gzip } });
    expect(refusal(answer)).toEqual({ status: 415, code: 'request.unsupportedMediaType' });
    expect(answer.headers['accept-encoding']).toBe('identity');
    const authorization = `Bearer ${keys.ingest}`;
    const pushed = await send('/v1/events', { body: '{}', headers: { ...json, ...gzip, authorization } });
    expect(refusal(pushed)).toEqual({ status: 415, code: 'request.unsupportedMediaType' });
  });

  test.each([
    ['/webhooks/nobody.nothing', '', 404],
    ['/v1/events', '', 401],
    ['/v1/events', 'authorization: Bearer mr_test_nope\r\n', 401],
  ])('by its address or key, before its body is there: %s %j', async (path, header, status) => {
    const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
    socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\n${header}content-length: 1000000\r\n\r\n{`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    expect(String(answer)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });

  test.each(['nowhere', 'tickets'])('at the address of no webhook source: %s', async (source) => {
    expect(refusal(await webhook(source, signed()))).toEqual({ status: 404, code: 'source.unknown' });
  });

  test.each(['stripe', 'a.b.c', '..%2F', 'acme.', 'ACME.stripe'])('at an address that is none: %s', async (address) => {
    expect(refusal(await send(`/webhooks/${address}`, signed()))).toEqual({ status: 404, code: 'source.unknown' });
  });

  test.each(['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])('with %s, and told what to use', async (method) => {
    const answer = await webhook('stripe', { method });
    expect(refusal(answer)).toEqual({ status: 405, code: 'request.methodNotAllowed' });
    expect(answer.headers['allow']).toBe('POST');
  });

  test('for now, where the source’s document is at fault', async () => {
    const answer = await webhook('broken', signed());
    expect(refusal(answer)).toEqual({ status: 503, code: 'configuration.unavailable' });
    expect(answer.headers['retry-after']).toBe('60');
    expect(answer.text).not.toContain('this is not base64!');
  });
});

describe('CloudEvents', () => {
  const structured = 'application/cloudevents+json';
  const batched = 'application/cloudevents-batch+json';
  const cloudEvent = (more: object = {}) => ({
    specversion: '1.0',
    id: uniqueName('ce'),
    source: 'tickets',
    type: 'ticket.opened',
    subject: 'c-1',
    time: '2026-01-31T12:00:00Z',
    data: { title: 'It broke' },
    ...more,
  });
  const push = (body: unknown, contentType = structured, headers: Record<string, string> = {}) =>
    send('/v1/events', {
      body: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
      headers: { authorization: `Bearer ${keys.ingest}`, 'content-type': contentType, ...headers },
    });
  const recordsOf = async (answer: TestResponse) => {
    expect(answer).toMatchObject({ status: 202 });
    const ids = answer.json().eventIds as string[];
    return waitFor(
      () => {
        const found = ids.map((id) => logged.find((record) => record.event.eventId === id)?.event);
        return found.every((one) => one !== undefined) && found;
      },
      { what: `${ids.length} events on the log` },
    );
  };

  test('come in structured, and the same event in binary mode is the same event', async () => {
    const sent = cloudEvent();
    const answer = await push(sent);
    const [received] = await recordsOf(answer);
    expect(received).toMatchObject({
      tenant,
      source: 'tickets',
      customer: 'c-1',
      type: 'ticket.opened',
      lane: 'normal',
      providerEventId: sent.id,
      occurredAt: '2026-01-31T12:00:00.000Z',
      contentType: 'application/json',
      body: '{"title":"It broke"}',
    });
    const binary = await push('{"title":"It broke"}', 'application/json', {
      'ce-specversion': '1.0',
      'ce-id': sent.id,
      'ce-source': `https://millrace.example/tenants/${tenant}/sources/tickets`,
      'ce-type': 'ticket.opened',
      'ce-subject': 'c-1',
    });
    expect(binary.text).toBe(answer.text);
  });

  test('are taken for a source that was applied a moment ago', async () => {
    for (let round = 0; round < 5; round += 1) {
      const source = uniqueName('fresh');
      await save({ kind: 'Source', metadata: { tenant, name: source }, spec: sources.tickets });
      expect(await push(cloudEvent({ source }))).toMatchObject({ status: 202 });
    }
    const unknown = { status: 400, code: 'request.invalid', field: 'source' };
    for (let round = 0; round < 2; round += 1) expect(refusal(await push(cloudEvent({ source: 'nowhere' })))).toEqual(unknown);
  });

  test('come in as a batch, in the order of their customer', async () => {
    const received = await recordsOf(await push([cloudEvent(), cloudEvent({ subject: undefined }), cloudEvent()], batched));
    expect(received.map(({ customer }) => customer)).toEqual(['c-1', '-/tickets', 'c-1']);
    const order = logged.map(({ event: one }) => one.eventId);
    expect(order.indexOf(received[0]!.eventId)).toBeLessThan(order.indexOf(received[2]!.eventId));
  });

  test('without an id take theirs from the Idempotency-Key', async () => {
    const { id: _, ...nameless } = cloudEvent();
    const key = { 'idempotency-key': uniqueName('key') };
    const [first, again] = [await push(nameless, structured, key), await push(nameless, structured, key)];
    expect(first).toMatchObject({ status: 202 });
    expect(again.text).toBe(first.text);
    expect(refusal(await push(nameless))).toEqual({ status: 400, code: 'request.invalid', field: 'id' });
  });

  test('are refused without a key, with a wrong one, and without the scope', async () => {
    const sendWith = (authorization?: string) =>
      send('/v1/events', { body: '{', headers: { 'content-type': structured, ...(authorization && { authorization }) } });
    expect(refusal(await sendWith())).toEqual({ status: 401, code: 'credential.missing' });
    expect(refusal(await sendWith(`Bearer ${keys.ingest.slice(0, -1)}x`))).toEqual({ status: 401, code: 'credential.invalid' });
    expect(refusal(await sendWith(`Bearer ${keys.read}`))).toEqual({ status: 403, code: 'credential.scope' });
  });

  test('belong to the key’s tenant: another one’s source is no source', async () => {
    const headers = { authorization: `Bearer ${keys.elsewhere}` };
    for (const source of ['tickets', `/tenants/${tenant}/sources/tickets`]) {
      expect(refusal(await push(cloudEvent({ source }), structured, headers))).toEqual({
        status: 400,
        code: 'request.invalid',
        field: 'source',
      });
    }
  });

  test('cannot pass for a webhook source', async () => {
    expect(refusal(await push(cloudEvent({ source: 'stripe' })))).toEqual({ status: 400, code: 'request.invalid', field: 'source' });
  });

  test('in a batch with one bad event are all refused, and none is recorded', async () => {
    const good = cloudEvent({ id: uniqueName('good') });
    const answer = await push([good, cloudEvent({ type: undefined })], batched);
    expect(refusal(answer)).toEqual({ status: 400, code: 'request.invalid', field: '1.type' });
    await recordsOf(await push(cloudEvent())); // what was appended before this would have been read by now
    expect(logged.some(({ event: one }) => one.providerEventId === good.id)).toBe(false);
  });

  test('as JSON Lines are accepted or refused each by itself', async () => {
    const lines = 'application/x-ndjson';
    const [good, other] = [cloudEvent({ data: 9007199254740993n.toString() }), cloudEvent()];
    const { id: _, ...nameless } = cloudEvent();
    const pushed = async (...sent: string[]): Promise<{ line: number; eventId?: string }[]> => {
      const answer = await push(sent.join('\n'), `${lines}; charset=utf-8`);
      expect([answer.status, answer.headers['content-type']]).toEqual([200, lines]);
      return answer.text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { line: number });
    };
    const results = await pushed(JSON.stringify(good), '', '{"specversion":', `${JSON.stringify({ ...other, source: 'nowhere' })}\r`);
    expect(results).toEqual([
      { line: 1, eventId: expect.stringMatching(/^evt_/) },
      { line: 3, code: 'request.malformed', field: 'event', detail: 'event: is not JSON' },
      { line: 4, code: 'request.invalid', field: 'source', detail: expect.stringContaining('source: must be the name of a Source') },
    ]);
    const latin = await push(Buffer.from(`${JSON.stringify(good)}\n{"id":"\xff"}\n${JSON.stringify(other)}`, 'latin1'), lines);
    expect([latin.status, latin.text.trimEnd().split('\n')]).toEqual([
      200,
      [
        JSON.stringify(results[0]),
        '{"line":2,"code":"request.malformed","detail":"event: is not UTF-8, as JSON must be","field":"event"}',
        expect.stringMatching(/^\{"line":3,"eventId":"evt_/),
      ],
    ]);
    expect(await pushed('[]', JSON.stringify(nameless))).toEqual([
      { line: 1, code: 'request.malformed', field: 'event', detail: 'event: is not an object' },
      { line: 2, code: 'request.invalid', field: 'id', detail: expect.stringContaining('id: is missing') },
    ]);
    const short = cloudEvent({ source: 'short' });
    expect(await pushed(JSON.stringify({ ...short, data: 'x'.repeat(250) }), JSON.stringify(short), JSON.stringify(short))).toEqual([
      { line: 1, code: 'request.tooLarge', detail: expect.stringContaining('larger than 250 bytes') },
      { line: 2, eventId: expect.stringMatching(/^evt_/) },
      { line: 3, eventId: expect.stringMatching(/^evt_/) },
    ]);
    const key = { 'idempotency-key': uniqueName('key') };
    const [first, again] = [await push(JSON.stringify(nameless), lines, key), await push(JSON.stringify(nameless), lines, key)];
    expect([first.status, again.text]).toEqual([200, first.text]);
    await waitFor(() => logged.some(({ event: one }) => one.eventId === results[0]!.eventId), { what: 'the event of the first line' });
    const all = Array.from({ length: 4 }, () => JSON.stringify(cloudEvent())).join('\n');
    expect(refusal(await push(all, lines))).toEqual({ status: 413, code: 'request.tooLarge' });
    expect(refusal(await push('{}', 'application/jsonl', { authorization: `Bearer ${keys.read}` }))).toMatchObject({ status: 403 });
    expect(refusal(await push('', lines))).toMatchObject({ status: 400, code: 'request.malformed' });
  });

  test('are refused as a batch that is too large, as another content type and with another method', async () => {
    expect(
      refusal(
        await push(
          Array.from({ length: 4 }, () => cloudEvent()),
          batched,
        ),
      ),
    ).toEqual({ status: 413, code: 'request.tooLarge' });
    expect(refusal(await push({}, 'application/json'))).toEqual({ status: 415, code: 'request.unsupportedMediaType' });
    const answer = await send('/v1/events', { method: 'GET' });
    expect(refusal(answer)).toEqual({ status: 405, code: 'request.methodNotAllowed' });
    expect(answer.headers['allow']).toBe('POST, OPTIONS');
  });

  test('are allowed to a sender that asks before it delivers, as CloudEvents’ web hooks do', async () => {
    const asked = { 'webhook-request-origin': 'eventgrid.example', 'webhook-request-rate': '120' };
    const answer = await send('/v1/events', { method: 'OPTIONS', headers: asked });
    expect([
      answer.status,
      answer.headers['allow'],
      answer.headers['webhook-allowed-origin'],
      answer.headers['webhook-allowed-rate'],
    ]).toEqual([200, 'POST, OPTIONS', 'eventgrid.example', '*']);
    const plain = await send('/v1/events', { method: 'OPTIONS' });
    expect([plain.status, plain.headers['allow'], plain.headers['webhook-allowed-origin']]).toEqual([204, 'POST, OPTIONS', undefined]);
  });
});

test('what came in and what was refused can be counted, without a customer in any label', async () => {
  const { text } = await send('/metrics', { method: 'GET' });
  expect(text).toMatch(/millrace_events_received_total\{scheme="stripe",lane="high"\} [1-9]/);
  expect(text).toMatch(/millrace_intake_refusals_total\{door="webhooks",code="signature.mismatch"\} [1-9]/);
  expect(text).toMatch(/millrace_intake_duration_seconds_count\{door="events",outcome="accepted"\} [1-9]/);
  expect(text).toMatch(/millrace_event_facts_missing_total\{scheme="custom",fact="customer",reason="failed"\} 1/);
  expect(text).not.toContain('cus_1');
});

describe('the configuration in memory', () => {
  test('follows the documents: a rotated secret counts at once, a removed source is gone', async () => {
    const spec = { scheme: 'stripe', secrets: [{ value: 'whsec_before' }] };
    const rotating = { kind: 'Source', metadata: { tenant, name: 'rotating' }, spec };
    const status = async (secret: string) => (await webhook('rotating', stripe(event(), { secret }))).status;
    await save(rotating);
    await waitFor(async () => (await status('whsec_before')) === 200, { what: 'the new source' });
    await save({ ...rotating, spec: { ...spec, secrets: [{ value: 'whsec_after' }] } });
    await waitFor(async () => (await status('whsec_after')) === 200, { what: 'the new secret' });
    expect(await status('whsec_before')).toBe(401);
    await documents.remove(writer, { tenant, kind: 'Source', name: 'rotating', actor: 'test' });
    await waitFor(async () => (await status('whsec_after')) === 404, { what: 'the source to be gone' });
  });

  test('goes on serving while Postgres is away', async () => {
    await writer.close();
    await database.close();
    expect(await webhook('stripe', stripe(event()))).toMatchObject({ status: 200 });
    await expectDegraded('storage');
  });
});

/** Ready, so that it is still asked, and says what is away. */
async function expectDegraded(part: string): Promise<void> {
  const response = await fetch(`${service.url}/readyz`);
  const { status, parts } = (await response.json()) as { status: string; parts: Record<string, string> };
  expect([response.status, status]).toEqual([200, 'degraded']);
  expect(parts[part]).not.toBe('ok');
}

/** The last test: the log does not come back. */
test('a log that does not acknowledge is a 503 with Retry-After, and never a 2xx', async () => {
  await service.app.get(RecordProducer).disconnect();
  const answers = await Promise.all(Array.from({ length: 20 }, () => webhook('stripe', stripe(event()))));
  for (const answer of answers) {
    expect(refusal(answer)).toEqual({ status: 503, code: 'log.unavailable' });
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
  }
  await expectDegraded('log');
});
