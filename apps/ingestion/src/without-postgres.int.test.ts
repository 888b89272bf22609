/** @module-tag both-logs The doors start from the log's copy of the configuration. */
import { randomBytes } from 'node:crypto';
import { Stripe } from 'stripe';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { SecretBox, issueApiKey } from '#libs/auth';
import { ConfigurationPublisher } from '#libs/configuration-copy';
import { document, topics } from '#libs/contracts';
import { TopicReader } from '#libs/messaging';
import { freePort } from '#libs/ports';
import { ApiKeyTable, Database, DocumentTable } from '#libs/persistence';
import { start } from '#libs/service';
import type { RunningService } from '#libs/service';
import { Gate, freshDatabase, testBrokers, uniqueName, waitFor } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { IngestionModule } from './index.js';

const tenant = uniqueName('acme');
const prefix = `${uniqueName('doors')}.`;
const secretBox = new SecretBox(randomBytes(32));
const brokers = testBrokers();
const log = { brokers, prefix, replication: 1, ackTimeoutMs: 5_000, concurrency: 1, sessionTimeoutMs: 15_000, handlerDeadlineMs: 60_000 };
const stripeSdk = new Stripe('sk_test_unused');
const day = 86_400_000;

let fresh: FreshDatabase;
let writer: Database;
let documents: DocumentTable;
let publisher: RunningService;
/** The way of the doors to Postgres. */
let way: Gate;
let key: string;
let keyId: string;

async function saveSource(name: string, ...secrets: string[]): Promise<void> {
  const spec = { scheme: 'stripe', secrets: secrets.map((value) => ({ value })) };
  const source = document.parse({ apiVersion: 'millrace/v1', kind: 'Source', metadata: { tenant, name }, spec });
  await documents.save(writer, { document: source, actor: 'test' });
}

const startPublisher = (): Promise<RunningService> =>
  start({
    service: 'publisher',
    host: '127.0.0.1',
    port: 0,
    log,
    storage: { url: fresh.url, poolSize: 4, secretBox, publishesConfiguration: true },
    modules: [],
  });

beforeAll(async () => {
  fresh = await freshDatabase();
  writer = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test', poolSize: 2 });
  documents = new DocumentTable(secretBox);
  const named = document.parse({ apiVersion: 'millrace/v1', kind: 'Tenant', metadata: { name: tenant }, spec: { displayName: 'Acme' } });
  await documents.save(writer, { document: named, actor: 'test' });
  await saveSource('shop', 'whsec_shop');
  const tickets = { apiVersion: 'millrace/v1', kind: 'Source', metadata: { tenant, name: 'tickets' }, spec: { scheme: 'api-key' } };
  await documents.save(writer, { document: document.parse(tickets), actor: 'test' });
  const issued = issueApiKey('test');
  ({ key, id: keyId } = issued);
  const { id, secretHash } = issued;
  await new ApiKeyTable().insert(writer, { tenant, id, name: 'n', secretHash, scopes: ['ingest'], expiresAt: null, createdBy: 'test' });
  publisher = await startPublisher();
  await waitFor(() => publisher.app.get(ConfigurationPublisher, { strict: false }).copyAgeMs !== undefined, {
    deadlineMs: 60_000,
    what: 'the copy',
  });
  way = await Gate.before(new URL(fresh.url).host);
  await way.open();
});
afterAll(async () => {
  await publisher?.stop();
  await writer?.close();
  way?.close();
  await fresh?.close();
});

interface Door {
  readonly running: Promise<RunningService>;
  readonly url: string;
}

async function openDoor(configurationMaxAgeMs: number, box = secretBox): Promise<Door> {
  const port = await freePort();
  const stopping = new AbortController();
  const running = start(
    {
      service: 'ingestion',
      host: '127.0.0.1',
      port,
      log,
      storage: { url: Object.assign(new URL(fresh.url), { host: way.address }).href, poolSize: 2, secretBox: box, configurationMaxAgeMs },
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
    },
    stopping.signal,
  );
  running.catch(() => undefined);
  onTestFinished(async () => {
    stopping.abort(new Error('the test is over'));
    await running.then(
      (service) => service.stop(),
      () => undefined,
    );
  });
  return { running, url: `http://127.0.0.1:${port}` };
}

async function ready({ url }: Door): Promise<{ httpStatus: number; status: string; parts: Record<string, string> }> {
  const response = await fetch(`${url}/readyz`);
  return { httpStatus: response.status, ...((await response.json()) as { status: string; parts: Record<string, string> }) };
}

function webhook({ url }: Door, source: string, secret: string): Promise<Response> {
  const payload = JSON.stringify({ id: uniqueName('evt'), type: 'invoice.paid', data: { object: { customer: 'cus_1' } } });
  const signature = stripeSdk.webhooks.generateTestHeaderString({ payload, secret });
  const headers = { 'content-type': 'application/json', 'stripe-signature': signature };
  return fetch(`${url}/webhooks/${tenant}.${source}`, { method: 'POST', headers, body: payload });
}

function cloudEvent({ url }: Door, withKey: string): Promise<Response> {
  const body = { specversion: '1.0', id: uniqueName('evt'), source: 'tickets', type: 'ticket.created', data: { customer: 'c-1' } };
  const headers = { 'content-type': 'application/cloudevents+json', authorization: `Bearer ${withKey}` };
  return fetch(`${url}/v1/events`, { method: 'POST', headers, body: JSON.stringify(body) });
}

const statusOf = async (answer: Promise<Response>): Promise<number> => (await answer).status;
const codeOf = async (answer: Promise<Response>): Promise<string> => ((await (await answer).json()) as { code: string }).code;

describe('while Postgres is away', () => {
  test('a door starts, takes what is signed, refuses what is not, and says what it serves from; so does the next one', async () => {
    way.close();
    for (const door of [await openDoor(day), await openDoor(day)]) {
      await door.running;
      expect(await statusOf(webhook(door, 'shop', 'whsec_shop'))).toBe(200);
      expect(await codeOf(webhook(door, 'shop', 'whsec_wrong'))).toBe('signature.mismatch');
      expect(await statusOf(webhook(door, 'nowhere', 'whsec_shop'))).toBe(404);
      expect(await statusOf(cloudEvent(door, key))).toBe(202);
      expect(await codeOf(cloudEvent(door, issueApiKey('test').key))).toBe('storage.unavailable'); // it may be new
      const { httpStatus, status, parts } = await ready(door);
      expect([httpStatus, status, parts['configuration']]).toEqual([200, 'degraded', 'ok']);
      expect(parts['configuration age']).toMatch(/^read from the log’s copy, which is what Postgres had at 20\d\d-.*: Postgres is away$/);
    }
    await way.open();
  });

  test('a door goes back to Postgres when it returns', async () => {
    way.close();
    const door = await openDoor(day);
    await door.running;
    await way.open();
    await waitFor(async () => (await ready(door)).status === 'ok', { what: 'the door to be back at Postgres' });
    await saveSource('late', 'whsec_late');
    await waitFor(async () => (await statusOf(webhook(door, 'late', 'whsec_late'))) === 200, { what: 'the new source' });
  });

  test('what is changed while only the door is cut off holds there as soon as the log has it', async () => {
    await saveSource('rotated', 'whsec_old');
    const fromPostgres = await openDoor(day);
    await fromPostgres.running;
    await waitFor(async () => (await statusOf(webhook(fromPostgres, 'rotated', 'whsec_old'))) === 200, { what: 'the source' });
    way.close();
    const fromCopy = await openDoor(day);
    await fromCopy.running;
    await saveSource('rotated', 'whsec_new');
    await new ApiKeyTable().revoke(writer, { tenant, id: keyId });
    for (const door of [fromPostgres, fromCopy]) {
      await waitFor(async () => (await statusOf(webhook(door, 'rotated', 'whsec_new'))) === 200, { what: 'the new secret' });
      expect(await codeOf(webhook(door, 'rotated', 'whsec_old'))).toBe('signature.mismatch');
      await waitFor(async () => (await statusOf(cloudEvent(door, key))) !== 202, { what: 'the key to be revoked' });
    }
    await documents.remove(writer, { tenant, kind: 'Source', name: 'rotated', actor: 'test' });
    for (const door of [fromPostgres, fromCopy]) {
      await waitFor(async () => (await statusOf(webhook(door, 'rotated', 'whsec_new'))) === 404, { what: 'the source to be gone' });
    }
    await way.open();
  });

  test.each([
    ['that is too old', 1, secretBox, 'CONFIGURATION_MAX_AGE_MS allows 0 s'],
    ['that another key sealed', day, new SecretBox(randomBytes(32)), 'which this process does not have'],
  ])('a door does not start from a copy %s, and says so', async (_what, maxAgeMs, box, reason) => {
    way.close();
    const door = await openDoor(maxAgeMs, box);
    await waitFor(async () => (await ready(door).catch(() => undefined))?.parts['storage']?.includes(reason), { what: reason });
    expect(await ready(door)).toMatchObject({
      httpStatus: 503,
      status: 'unavailable',
      parts: { storage: expect.stringMatching('Postgres') },
    });
    const refused = await webhook(door, 'shop', 'whsec_shop');
    expect([refused.status, refused.headers.get('retry-after') !== null]).toEqual([503, true]);
    await way.open();
  });
});

test('nothing on the topic can be read without the key', async () => {
  let text = '';
  const reader = new TopicReader({ brokers, prefix, clientId: 'test' }, topics.configuration, {
    onRecords: (records) =>
      records.forEach(({ key: recordKey, value, headers }) => (text += `${String(recordKey)} ${String(value)} ${JSON.stringify(headers)}`)),
    onRestart: () => undefined,
  });
  await reader.readToEnd();
  await reader.close();
  expect(text).toContain(tenant);
  expect(text).not.toMatch(/whsec|shop|stripe/);
  expect(text).not.toContain(keyId);
});
