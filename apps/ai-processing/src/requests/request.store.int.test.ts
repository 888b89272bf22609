import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { newRequestId } from '#libs/contracts';
import type { RequestReceived } from '#libs/contracts';
import { Database, statement } from '#libs/persistence';
import { freshDatabase, uniqueName } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { RequestStore } from './request.store.js';
import type { LoggedRequest } from './request.store.js';

let fresh: FreshDatabase;
let database: Database;
let requests: RequestStore;
let tenant: string;

beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  requests = new RequestStore(database);
});
afterAll(async () => {
  await database.close();
  await fresh.close();
});
beforeEach(() => {
  tenant = uniqueName('t');
});

const startMs = Date.parse('2026-11-30T10:00:00.000Z');
function logged(at: number, more: Partial<RequestReceived> = {}): LoggedRequest {
  const receivedAtMs = startMs + at * 1_000;
  const request: RequestReceived = {
    tenant,
    customer: '-/shop',
    requestId: newRequestId(receivedAtMs),
    source: 'shop',
    outcome: 'refused',
    code: 'signature.mismatch',
    message: 'The signature is another one',
    receivedAt: new Date(receivedAtMs).toISOString(),
    method: 'POST',
    path: '/webhooks/acme.shop',
    query: null,
    headers: [{ name: 'X-Sig', value: 'ab' }],
    redacted: [],
    clientAddress: '192.0.2.1',
    isProxied: false,
    isVerified: false,
    bodyBytes: 4,
    body: 'body',
    eventIds: [],
    ...more,
  };
  return { request, traceId: null };
}

const stored = statement('test.requests', `SELECT id, source, outcome, body FROM request WHERE tenant_id = $1 ORDER BY received_at`);
const brought = statement(
  'test.requestEvents',
  `SELECT event_id AS event, request_id AS request FROM request_event WHERE tenant_id = $1 ORDER BY place`,
);
const idsOf = async (): Promise<string[]> => (await database.query<{ id: string }>(stored, [tenant])).map(({ id }) => id);

test('a record that comes again is stored once, whatever the bytes and texts are', async () => {
  const bytes = Buffer.from([0xff, 0x00, 0xfe]);
  const { body: _, ...rest } = logged(0).request;
  const odd = {
    request: { ...rest, bodyBase64: bytes.toString('base64'), path: '/a\u0000b', query: '\u0000', message: null },
    traceId: 't',
  };
  await requests.record([odd, odd, logged(1)]);
  await requests.record([odd]);
  const rows = await database.query<{ body: Buffer }>(stored, [tenant]);
  expect(rows.map(({ body }) => body.toString('hex'))).toEqual([bytes.toString('hex'), Buffer.from('body').toString('hex')]);
});

test('of a source and outcome the newest stay, by number and by bytes, and those of others are left alone', async () => {
  const neighbours = [logged(0, { source: 'other' }), logged(0, { outcome: 'accepted', code: null, eventIds: ['evt_a', 'evt_b'] })];
  await requests.record(neighbours, { rows: 3, bytes: 1e6 });
  const many = Array.from({ length: 10 }, (_, at) => logged(at + 1));
  await requests.record(many.slice(0, 5), { rows: 3, bytes: 1e6 });
  await requests.record(many.slice(5), { rows: 3, bytes: 1e6 });
  const left = [...neighbours, ...many.slice(7)].map(({ request }) => request.requestId);
  expect((await idsOf()).toSorted()).toEqual(left.toSorted());
  const large = logged(20, { body: 'x'.repeat(1_000) });
  await requests.record([large], { rows: 3, bytes: 1_120 });
  expect((await idsOf()).slice(2)).toHaveLength(2); // the large one and one small one
  expect(await database.query(brought, [tenant])).toEqual(
    ['evt_a', 'evt_b'].map((event) => ({ event, request: neighbours[1]!.request.requestId })),
  );
});

test('processes that store requests of one source at the same time do not block each other', async () => {
  const batches = Array.from({ length: 8 }, (_, at) => Array.from({ length: 20 }, (__, n) => logged(at * 20 + n)));
  await Promise.all(batches.map((batch) => requests.record(batch, { rows: 10, bytes: 1e6 })));
  await requests.record([logged(1_000)], { rows: 10, bytes: 1e6 });
  expect(await idsOf()).toHaveLength(10);
});

test('what is too old is deleted with the events that it names, of one tenant at a time', async () => {
  const old = logged(0, { eventIds: ['evt_a'] });
  const young = logged(100, { eventIds: ['evt_a'] });
  await requests.record([old, young]);
  expect(await requests.tenants()).toContain(tenant);
  expect(await requests.deleteOld(tenant, new Date(startMs + 50_000))).toBe(1);
  expect(await requests.deleteOld(tenant, new Date(startMs + 50_000))).toBe(0);
  expect(await idsOf()).toEqual([young.request.requestId]);
  expect(await database.query(brought, [tenant])).toEqual([{ event: 'evt_a', request: young.request.requestId }]);
});
