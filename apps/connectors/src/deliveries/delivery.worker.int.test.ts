import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { SecretBox } from '#libs/auth';
import { Connections } from '#libs/connections';
import { TenantConnections } from '#libs/connectors';
import { Deliverers } from '#libs/destinations';
import { NotFound, deliveryId, document, effectKey, newRunId, topics } from '#libs/contracts';
import type { Owned, RunCompleted } from '#libs/contracts';
import { newDeliveries } from '#libs/deliveries';
import { HttpClient } from '#libs/http';
import { LogUnavailable, RecordProducer, ensureTopics } from '#libs/messaging';
import { Configuration, Database, DocumentSecrets, DocumentTable, statement } from '#libs/persistence';
import { verifyStandardWebhook } from '#libs/signatures';
import { WaitingDestinations } from '../connections/waiting-destinations.js';
import { freshDatabase, startAuthorizationServer, startHttpSink, testBrokers, uniqueName, waitFor } from '#libs/testing';
import type { AuthorizationServer, FreshDatabase, HttpSink } from '#libs/testing';
import type { ConnectorsOptions } from '../config.js';
import { AttemptAnnouncer } from './attempt.announcer.js';
import { AttemptService } from './attempt.service.js';
import { DeliveryLeaseLost } from './delivery.errors.js';
import { DeliveryClaims } from './delivery.claims.js';
import { DeliveryService } from './delivery.service.js';
import { DeliveryQueueTable } from './delivery-queue.table.js';
import { DeliveryWorker } from './delivery.worker.js';
import { DestinationHealth } from '../destinations/destination-health.js';
import { DestinationHealthTable } from '../destinations/destination-health.table.js';

const secret = `whsec_${randomBytes(24).toString('base64')}`;
const options: ConnectorsOptions = {
  deliveryConcurrency: 8,
  deliveryPollMs: 20,
  deliveryLeaseMs: 15_000,
  deliveryStopMs: 100,
  deliveryBreakerOpenMs: 200,
  deliveryBreakerLongestOpenMs: 400,
  allowPrivateAddresses: true,
  allowedUrls: [],
};

let producer: RecordProducer;
let http: HttpClient;
let deliverers: Deliverers;
let connections: Connections;

beforeAll(async () => {
  const log = { brokers: testBrokers(), clientId: 'test' };
  await ensureTopics(log, Object.values(topics));
  producer = new RecordProducer(log);
  await producer.connect();
  http = new HttpClient({ allowPrivateAddresses: true });
});

afterAll(async () => {
  await http.close();
  await producer.disconnect();
});

let tenant: string;
let fresh: FreshDatabase;
let database: Database;
let documents: DocumentTable;
let configuration: Configuration;
let table: DeliveryQueueTable;
let sink: HttpSink;
let worker: DeliveryWorker;
let deliveries: DeliveryService;
let appends: ReturnType<typeof recordAppends>;
let secrets: DocumentSecrets;
let appended: { schema: string; value: Owned & Record<string, unknown> }[];

beforeEach(async () => {
  tenant = uniqueName('t');
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  table = new DeliveryQueueTable(database);
  const secretBox = new SecretBox(randomBytes(32));
  documents = new DocumentTable(secretBox);
  configuration = new Configuration(database, { secretBox });
  secrets = new DocumentSecrets(secretBox);
  await configuration.start();
  connections = await Connections.started({ secrets, secretBox, database, allowPrivateAddresses: true });
  const { connectors, open } = new TenantConnections(http, configuration, connections);
  deliverers = new Deliverers({ http, connectors, openConnection: open });
  appends = recordAppends();
  sink = await startHttpSink();
  ({ worker, deliveries } = startWorker());
  await apply('crm', sink);
});

afterEach(async () => {
  await worker.beforeApplicationShutdown();
  vi.restoreAllMocks();
  await sink.stop();
  await configuration.stop();
  await connections.close();
  await database.close();
  await fresh.close();
});

/** The real appends go on; what the log took is noted. */
function recordAppends() {
  appended = [];
  const append = producer.append.bind(producer);
  return vi.spyOn(producer, 'append').mockImplementation(async (topic, type, value, more) => {
    const answer = await append(topic, type, value, more);
    appended.push({ schema: type.schema, value: value as never });
    return answer;
  });
}

/** A process of its own, as far as deliveries are concerned. */
function startWorker({ opened = Promise.resolve(), ...more }: Partial<ConnectorsOptions> & { opened?: Promise<void> } = {}) {
  const announcer = new AttemptAnnouncer(table, producer);
  const healthTable = new DestinationHealthTable(database);
  const { deliveryBreakerOpenMs: openMs, deliveryBreakerLongestOpenMs: longestOpenMs } = options;
  const health = new DestinationHealth(database, healthTable, { openMs, longestOpenMs });
  const attempter = new AttemptService(table, deliverers, configuration, secrets, health);
  const claims = new DeliveryClaims(database, table, healthTable, health, configuration);
  const started = new DeliveryWorker(
    table,
    attempter,
    announcer,
    claims,
    healthTable,
    configuration,
    { opened },
    {
      ...options,
      ...more,
    },
  );
  started.onApplicationBootstrap();
  return { worker: started, deliveries: new DeliveryService(table, configuration, started) };
}

async function apply(name: string, destination: HttpSink, spec: object = {}): Promise<void> {
  const retry = { delaysMs: [10, 20, 20] };
  const parsed = document.parse({
    apiVersion: 'millrace/v1',
    kind: 'Destination',
    metadata: { tenant, name },
    spec: { kind: 'http', url: `${destination.url}/in`, secret: { value: secret }, timeoutMs: 5_000, retry, ...spec },
  });
  const { version } = await documents.save(database, { document: parsed, actor: 'test' });
  await waitFor(() => configuration.destination(tenant, name)?.version === version, { what: `${name} to be current` });
}

/** A connector of the tenant at the sink, a connection, and a destination for each of its operations. */
async function applyLedger(auth: object = { kind: 'bearer', token: { value: 'token-of-the-ledger' } }): Promise<void> {
  const write = { summary: 'Do it.', effect: 'write', input: { type: 'object', required: ['id'] } };
  const operations = {
    put: { ...write, idempotency: { class: 'upsert' }, request: { method: 'PUT', path: '/entries/{input.id}', body: 'input' } },
    book: {
      ...write,
      idempotency: { class: 'key' },
      request: { method: 'POST', path: '/entries', headers: { 'Idempotency-Key': '{delivery.id}' }, body: 'input' },
    },
    post: {
      ...write,
      idempotency: { class: 'verify', operation: 'find', settleMs: 0 },
      request: { method: 'POST', path: '/posts', body: '{ "delivery": delivery.id }' },
    },
    find: {
      summary: 'Find it.',
      effect: 'read',
      input: {},
      request: { path: '/posts', query: { delivery: 'delivery.id' } },
      result: 'response.body[0]',
    },
  };
  const spec = { summary: 'A ledger.', base: sink.url, hosts: ['*'], auth: [{ kind: 'bearer' }, { kind: 'oauth2' }], operations };
  await applyDocument('Connector', 'ledger', spec);
  await applyDocument('Connection', 'books', { connector: 'ledger', auth });
  const destination = { kind: 'operation', connection: 'books', timeoutMs: 5_000, retry: { delaysMs: [10, 20, 20] }, order: 'strict' };
  for (const operation of ['put', 'book', 'post']) {
    await applyDocument('Destination', operation, { ...destination, operation, input: '{ "id": payload.a, "z": payload.z }' });
  }
}

async function applyDocument(kind: 'Connector' | 'Connection' | 'Destination', name: string, spec: object): Promise<void> {
  const parsed = document.parse({ apiVersion: 'millrace/v1', kind, metadata: { tenant, name }, spec });
  await documents.save(database, { document: parsed, actor: 'test' });
  await waitFor(() => configuration.documentsOf(tenant)(kind, name) !== undefined, { what: `${name} to be current` });
}

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const runIds = new Map<string, string>();
const runIdOf = (run: string): string => runIds.get(run) ?? runIds.set(run, newRunId()).get(run)!;
const eventReceivedAt = new Date().toISOString();
const decided = (id: string, more: Partial<RunCompleted> = {}): RunCompleted => ({
  tenant,
  customer: 'c-1',
  eventId: `evt_${id}`,
  runId: runIdOf(id),
  flow: 'triage',
  flowVersion: 1,
  generation: 0,
  at: new Date().toISOString(),
  eventReceivedAt,
  decision: null,
  deliveries: [{ step: 'tell', destination: 'crm', payload: { z: 1, a: id } }],
  ...more,
});
const idOf = (id: string, destination = 'crm', more: Partial<RunCompleted> = {}): string =>
  deliveryId(decided(id, more), 'tell', destination);
const keyOf = (...of: Parameters<typeof idOf>): string => effectKey(idOf(...of));

const rows = statement(
  'test.deliveries',
  'SELECT id, destination, state, attempts, error_code, retries FROM delivery WHERE tenant_id = $1 ORDER BY position',
);
const attemptRows = statement(
  'test.attempts',
  'SELECT number, outcome, status, error_code, response_excerpt, announced FROM attempt WHERE tenant_id = $1 ORDER BY delivery_id, number',
);
const healthRow = statement('test.health', `SELECT * FROM destination_health WHERE tenant_id = $1 AND destination = 'crm'`);
const health = async () => (await database.query<Record<string, unknown>>(healthRow, [tenant]))[0];
const stored = () => database.query<Record<string, unknown>>(rows, [tenant]);
const attempts = () => database.query<Record<string, unknown>>(attemptRows, [tenant]);
const settled = (state: string, count = 1) =>
  waitFor(async () => (await stored()).filter((row) => row['state'] === state).length === count, { what: `${count} ${state}` });
const announced = (schema: string) => appended.filter((one) => one.schema === schema).map(({ value }) => value);

test('a decision arrives once: signed, under its effect key, in the event’s trace, byte for byte as planned', async () => {
  const run = decided('1');
  await Promise.all([deliveries.plan(run, traceparent), deliveries.plan(run, traceparent)]);
  await deliveries.plan(run, traceparent);
  await settled('delivered');
  expect(sink.requests).toHaveLength(1);
  const [request] = sink.requests;
  verifyStandardWebhook(secret, request!.headers, request!.body, Date.now());
  expect(request).toMatchObject({ method: 'POST', path: '/in' });
  expect(request!.body.toString()).toBe('{"z":1,"a":"1"}');
  expect(request!.headers).toMatchObject({
    'content-type': 'application/json',
    'webhook-id': keyOf('1'),
    'idempotency-key': keyOf('1'),
    traceparent: expect.stringContaining('0af7651916cd43dd8448eb211c80319c') as string,
  });
  expect(await attempts()).toMatchObject([{ number: 1, outcome: 'succeeded', status: 204, error_code: null, response_excerpt: '' }]);
  await waitFor(() => announced('delivery.attempted.v1').length === 1, { what: 'the announcement' });
  expect(announced('delivery.attempted.v1')).toMatchObject([{ deliveryId: idOf('1'), state: 'delivered', attempt: 1, code: null }]);
  expect(appended).toHaveLength(1);
});

test('whoever keeps the dead letters is told of a delivery that arrives after it failed', async () => {
  let asked = 0;
  sink.respondWith(() => ({ status: (asked += 1) <= 2 ? 503 : 200 }));
  await deliveries.plan(decided('1'), undefined);
  await settled('delivered');
  await waitFor(() => announced('delivery.attempted.v1').length === 3, { what: 'the announcements' });
  expect(announced('delivery.recovered.v1')).toMatchObject([{ deliveryId: idOf('1') }]);
});

test('credentials in the address and in headers reach the destination, and nothing that is stored or announced repeats them', async () => {
  const [token, query] = ['token-of-the-destination', 'value-of-the-query'];
  await apply('crm', sink, {
    url: `${sink.url}/in?api_key=${query}`,
    headers: { authorization: `Bearer ${token}`, 'x-region': 'eu', 'x-note': { value: 'note-of-the-destination' } },
  });
  sink.respondWith(({ headers, path }) => ({ status: 422, body: JSON.stringify({ headers, path }) }));
  await deliveries.plan(decided('1'), undefined);
  await settled('parked');
  const [request] = sink.requests;
  expect(request).toMatchObject({ path: `/in?api_key=${query}` });
  expect(request!.headers).toMatchObject({ authorization: `Bearer ${token}`, 'x-region': 'eu', 'x-note': 'note-of-the-destination' });
  await waitFor(() => announced('delivery.attempted.v1').length === 1, { what: 'the announcement' });
  const everything = JSON.stringify([await attempts(), await stored(), appended, configuration.destination(tenant, 'crm')]);
  expect(everything).toContain('[redacted]');
  expect(everything).toContain('x-region');
  expect([token, query, 'note-of-the-destination'].filter((each) => everything.includes(each))).toEqual([]);
});

test('a strict destination that is down gets it when it is back, every attempt on record, and what comes after waits its turn', async () => {
  await apply('crm', sink, { order: 'strict' });
  let asked = 0;
  sink.respondWith(() => ({ status: (asked += 1) <= 2 ? 503 : 200, body: 'later' }));
  await deliveries.plan(decided('1'), undefined);
  await deliveries.plan(decided('2'), undefined);
  await settled('delivered', 2);
  expect(sink.requests.map(({ headers }) => headers['webhook-id'])).toEqual([keyOf('1'), keyOf('1'), keyOf('1'), keyOf('2')]);
  expect(await stored()).toMatchObject([{ attempts: 3 }, { attempts: 1 }]);
  expect((await attempts()).filter((row) => row['outcome'] === 'uncertain')).toMatchObject([
    { status: 503, error_code: 'delivery.unavailable', response_excerpt: 'later' },
    { status: 503, error_code: 'delivery.unavailable', response_excerpt: 'later' },
  ]);
});

test('a destination that names a time is not asked before it', async () => {
  let asked = 0;
  sink.respondWith(() => ((asked += 1) === 1 ? { status: 429, headers: { 'retry-after': '1' } } : { status: 200 }));
  await deliveries.plan(decided('1'), undefined);
  await settled('delivered');
  const [first, second] = sink.requests;
  expect(second!.receivedAtMs - first!.receivedAtMs).toBeGreaterThanOrEqual(990);
});

test('what is refused is parked with its reason, the next one goes out, and a redeliver arrives under the same effect key', async () => {
  sink.respondWith(({ body }) => ({ status: body.includes('"a":"1"') ? 422 : 200, body: 'unknown field' }));
  await deliveries.plan(decided('1'), undefined);
  await deliveries.plan(decided('2'), undefined);
  await settled('parked');
  await settled('delivered');
  expect(await attempts()).toMatchObject([{ number: 1 }, { number: 1 }]);
  await waitFor(() => announced('dead-lettered.v1').length === 1, { what: 'the dead letter' });
  expect(announced('dead-lettered.v1')).toMatchObject([
    { kind: 'delivery', code: 'delivery.refused', message: 'The destination refused the payload with status 422', deliveryId: idOf('1') },
  ]);

  sink.respondWith(() => ({ status: 200 }));
  const command = { tenant, customer: 'c-1', commandId: 'cmd_1', actor: 'key:1', at: new Date().toISOString(), deliveryId: idOf('1') };
  await deliveries.redeliver(command);
  await deliveries.redeliver(command);
  await settled('delivered', 2);
  const sent = sink.requests.filter(({ headers }) => headers['webhook-id'] === keyOf('1'));
  expect(sent).toHaveLength(2);
  expect(new Set(sent.map(({ body }) => body.toString())).size).toBe(1);
  await expect(deliveries.redeliver({ ...command, deliveryId: 'dlv_none' })).rejects.toThrow(new NotFound('delivery', 'dlv_none'));
});

test('when the retries are spent, a delivery is parked', async () => {
  await apply('crm', sink, { retry: { delaysMs: [10] } });
  sink.respondWith(() => ({ status: 500 }));
  await deliveries.plan(decided('1'), undefined);
  await settled('parked');
  expect(sink.requests).toHaveLength(2);
  expect(await stored()).toMatchObject([{ attempts: 2, error_code: 'delivery.unavailable' }]);
});

test('a delivery to a destination that is not there is parked, and goes out once it is', async () => {
  const run = decided('1', { deliveries: [{ step: 'tell', destination: 'erp', payload: {} }] });
  await deliveries.plan(run, undefined);
  await settled('parked');
  expect(await stored()).toMatchObject([{ error_code: 'flow.unknownDestination' }]);
  await apply('erp', sink);
  const at = new Date().toISOString();
  await deliveries.redeliver({ tenant, customer: 'c-1', commandId: 'cmd_1', actor: 'key:1', at, deliveryId: idOf('1', 'erp') });
  await settled('delivered');
});

const to = (id: string, destination: string, customer: string): RunCompleted =>
  decided(id, { customer, deliveries: [{ step: 'tell', destination, payload: { a: id } }] });
const never = new Promise<never>(() => undefined);

test('a destination that hangs delays no other one, however much is due for it', async () => {
  const hanging = await startHttpSink();
  hanging.respondWith(() => never);
  const concurrency = 2;
  await apply('hanging', hanging, { limit: { concurrency } });
  for (let at = 0; at < 2 * options.deliveryConcurrency; at += 1) await deliveries.plan(to(`slow-${at}`, 'hanging', `c-${at}`), undefined);
  await waitFor(() => hanging.requests.length === concurrency, {
    what: 'all room of the one that hangs to be taken',
  });
  await deliveries.plan(to('1', 'crm', 'c-1'), undefined);
  await settled('delivered');
  expect(sink.requests).toHaveLength(1);
  expect(hanging.requests).toHaveLength(concurrency);
  await hanging.stop();
});

test('a customer whose delivery hangs delays no other customer at the same destination, and only itself', async () => {
  sink.respondWith(({ body }) => (body.includes('slow') ? never : { status: 200 }));
  await deliveries.plan(to('slow', 'crm', 'c-1'), undefined);
  await waitFor(() => sink.requests.length === 1, { what: 'the attempt that hangs' });
  await deliveries.plan(to('behind', 'crm', 'c-1'), undefined);
  await deliveries.plan(to('other', 'crm', 'c-2'), undefined);
  await settled('delivered');
  expect(sink.requests.map(({ headers }) => headers['webhook-id'])).toEqual([keyOf('slow'), keyOf('other')]);
});

test('a delivery that another service planned starts at once, not when the next look is due', async () => {
  await worker.beforeApplicationShutdown();
  ({ worker } = startWorker({ deliveryPollMs: 60_000 }));
  for (const id of ['1', '2']) {
    const run = decided(id);
    await table.insert(await newDeliveries(run, run.deliveries, traceparent, configuration));
    await settled('delivered', Number(id));
  }
});

test('another generation is another delivery, with an effect key of its own', async () => {
  await deliveries.plan(decided('1'), undefined);
  const again = { generation: 1, runId: runIdOf('1, again') };
  await deliveries.plan(decided('1', again), undefined);
  await settled('delivered', 2);
  expect(sink.requests.map(({ headers }) => headers['webhook-id'])).toEqual([keyOf('1'), keyOf('1', 'crm', again)]);
});

test('a process that stops breaks off what hangs and gives it back, and the next one delivers it at once', async () => {
  let asked = 0;
  sink.respondWith(() => ((asked += 1) === 1 ? never : { status: 200 }));
  await deliveries.plan(decided('1'), undefined);
  await waitFor(() => sink.requests.length === 1, { what: 'the first attempt' });
  await worker.beforeApplicationShutdown();
  expect(await stored()).toMatchObject([{ state: 'pending', attempts: 0 }]);
  ({ worker, deliveries } = startWorker());
  await settled('delivered');
  expect(await stored()).toMatchObject([{ attempts: 1 }]);
});

test('nothing is attempted before the doors of its process are open: the destination may be behind one of them', async () => {
  await worker.beforeApplicationShutdown();
  const doors = Promise.withResolvers<void>();
  ({ worker, deliveries } = startWorker({ opened: doors.promise }));
  const looks = vi.spyOn(DeliveryClaims.prototype, 'claim');
  await deliveries.plan(decided('1'), undefined);
  expect(looks).not.toHaveBeenCalled();
  doors.resolve();
  await settled('delivered');
  expect(await stored()).toMatchObject([{ attempts: 1 }]);
});

test('an attempt whose announcement the log did not take stays marked until it is announced', async () => {
  appends.mockRejectedValueOnce(new LogUnavailable('away'));
  await deliveries.plan(decided('1'), undefined);
  await settled('delivered');
  await waitFor(() => appends.mock.calls.length === 1, { what: 'the announcement that the log does not take' });
  expect(await attempts()).toMatchObject([{ announced: false }]);
  const [forgotten] = await table.unannounced(0, 100);
  await new AttemptAnnouncer(table, producer).announce(forgotten!);
  expect(announced('delivery.attempted.v1')).toMatchObject([{ deliveryId: idOf('1'), state: 'delivered', attempt: 1 }]);
  expect(await attempts()).toMatchObject([{ announced: true }]);
});

test('however many destinations hang, another one gets through', async () => {
  const hanging = await startHttpSink();
  hanging.respondWith(() => never);
  for (let at = 0; at < options.deliveryConcurrency; at += 1) {
    await apply(`hanging-${at}`, hanging);
    await deliveries.plan(to(`slow-${at}`, `hanging-${at}`, `c-${at}`), undefined);
  }
  for (let at = 0; at < 20; at += 1) await deliveries.plan(to(`more-${at}`, 'hanging-0', `d-${at}`), undefined);
  await waitFor(() => hanging.requests.length >= options.deliveryConcurrency - 1, { what: 'nearly all room to be taken' });
  hanging.respondWith(() => ({ status: 200 }));
  await deliveries.plan(to('1', 'crm', 'c-1'), undefined);
  await hanging.stop();
  await settled('delivered', 1);
});

test('a destination that does not answer is left alone, uses up no retries meanwhile, and is probed before it gets everything again', async () => {
  await apply('crm', sink, { timeoutMs: 500, retry: { delaysMs: [10, 10, 10] } });
  sink.respondWith(() => never);
  for (let at = 0; at < 5; at += 1) await deliveries.plan(to(`${at}`, 'crm', `c-${at}`), undefined);
  await waitFor(async () => (await health())?.open_until != null, { what: 'the breaker to open' });
  for (let at = 5; at < 12; at += 1) await deliveries.plan(to(`${at}`, 'crm', `c-${at}`), undefined);
  sink.respondWith(() => ({ status: 200 }));
  await settled('delivered', 12);
  expect((await stored()).slice(5)).toEqual((await stored()).slice(5).map((row) => ({ ...row, attempts: 1, retries: 0 })));
  expect(await health()).toMatchObject({ open_until: null, open_reason: null });
});

test('deliveries to a destination that works change nothing of its health, and the first success after a failure does', async () => {
  const version = statement('test.healthVersion', `SELECT xmin::text AS version FROM destination_health WHERE tenant_id = $1`);
  for (let at = 0; at < 5; at += 1) await deliveries.plan(to(`${at}`, 'crm', `c-${at}`), undefined);
  await settled('delivered', 5);
  const before = await database.query(version, [tenant]);
  for (let at = 5; at < 30; at += 1) await deliveries.plan(to(`${at}`, 'crm', `c-${at}`), undefined);
  await settled('delivered', 30);
  expect(await database.query(version, [tenant])).toEqual(before);
  sink.respondWith(() => ({ status: 500 }));
  await deliveries.plan(to('30', 'crm', 'c-30'), undefined);
  const counted = async () => (await health())?.['breaker'] as { seconds: [number, number, number][] } | null;
  const sum = async (at: 1 | 2) => (await counted())?.seconds.reduce((total, second) => total + second[at], 0);
  await settled('parked');
  await waitFor(async () => (await sum(1)) === 30 + (await sum(2))!, { what: 'the failures, and the successes before them, to be noted' });
  sink.respondWith(() => ({ status: 200 }));
  await deliveries.plan(to('31', 'crm', 'c-31'), undefined);
  await settled('delivered', 31);
  await waitFor(async () => (await sum(1)) === 31 + (await sum(2))!, { what: 'the success to be noted' });
});

test('a 503 that names a time stops everybody until then', async () => {
  let asked = 0;
  sink.respondWith(() => ((asked += 1) === 1 ? { status: 503, headers: { 'retry-after': '1' } } : { status: 200 }));
  await deliveries.plan(to('1', 'crm', 'c-1'), undefined);
  await waitFor(async () => (await health())?.limited_until != null, { what: 'the pause' });
  await deliveries.plan(to('2', 'crm', 'c-2'), undefined);
  await settled('delivered', 2);
  const [first, second] = sink.requests;
  expect(second!.receivedAtMs - first!.receivedAtMs).toBeGreaterThanOrEqual(990);
});

test('no more attempts begin per second than the destination allows', async () => {
  await apply('crm', sink, { limit: { perSecond: 20 } });
  for (let at = 0; at < 12; at += 1) await deliveries.plan(to(`${at}`, 'crm', `c-${at}`), undefined);
  await settled('delivered', 12);
  const times = sink.requests.map(({ receivedAtMs }) => receivedAtMs);
  expect(times.at(-1)! - times[0]!).toBeGreaterThanOrEqual(400);
});

test('after a 410 nothing more is sent: everything is parked with the reason, until a new version of the document', async () => {
  sink.respondWith(() => ({ status: 410, body: 'moved away' }));
  await deliveries.plan(to('1', 'crm', 'c-1'), undefined);
  await settled('parked');
  await deliveries.plan(to('2', 'crm', 'c-2'), undefined);
  await settled('parked', 2);
  expect(sink.requests).toHaveLength(1);
  expect((await attempts()).map(({ status, error_code: code, response_excerpt: excerpt }) => [status, code, excerpt])).toEqual(
    expect.arrayContaining([
      [410, 'delivery.destinationDisabled', 'moved away'],
      [null, 'delivery.destinationDisabled', null],
    ]),
  );
  await waitFor(() => announced('dead-lettered.v1').length === 2, { what: 'both dead letters' });

  sink.respondWith(() => ({ status: 200 }));
  await apply('crm', sink, { timeoutMs: 4_000 });
  await deliveries.plan(to('3', 'crm', 'c-3'), undefined);
  await settled('delivered');
});

test('a disabled destination is enabled by a command that came after it was disabled', async () => {
  sink.respondWith(() => ({ status: 410 }));
  const before = new Date().toISOString();
  await deliveries.plan(to('1', 'crm', 'c-1'), undefined);
  await settled('parked');
  await waitFor(async () => (await health())?.['disabled_since'] instanceof Date, { what: 'the destination to be disabled' });
  const healthTable = new DestinationHealthTable(database);
  await healthTable.enable({ tenant, destination: 'crm' }, before);
  expect((await health())?.disabled_since).not.toBeNull();
  await healthTable.enable({ tenant, destination: 'crm' }, new Date(Date.now() + 1).toISOString());
  sink.respondWith(() => ({ status: 200 }));
  await deliveries.plan(to('2', 'crm', 'c-2'), undefined);
  await settled('delivered');
});

test.each([
  ['before it began', 0],
  ['while it looked for the effect of an earlier attempt', 60_000],
])('a process that was paused for longer than its claim lasts sends nothing: %s', async (_, leftMs) => {
  const lease = { endsAtMs: performance.now() + leftMs, signal: new AbortController().signal };
  const paused: Pick<Deliverers, 'deliver'> = {
    async deliver(delivery, ...rest) {
      lease.endsAtMs = performance.now();
      delivery.requireClaim();
      return deliverers.deliver(delivery, ...rest);
    },
  };
  const attempter = new AttemptService(
    table,
    paused as Deliverers,
    configuration,
    secrets,
    new DestinationHealth(database, new DestinationHealthTable(database), { openMs: 1, longestOpenMs: 1 }),
  );
  await worker.beforeApplicationShutdown();
  await deliveries.plan(decided('1'), undefined);
  const room = { tenant, destination: 'crm', free: 1, concurrency: 1, mode: 'ruled' as const };
  const [delivery] = (await table.claim([room], 5_000)).deliveries;
  const claim = { delivery: delivery!, destinationDisabled: false };
  await expect(attempter.attempt(claim, lease)).rejects.toThrow(DeliveryLeaseLost);
  expect(sink.requests).toHaveLength(0);
  expect(await stored()).toMatchObject([{ state: 'pending', attempts: 0 }]);
});

test('what the operator gives up lets the others of a strict destination go on', async () => {
  await apply('crm', sink, { order: 'strict' });
  sink.respondWith(({ body }) => ({ status: body.includes('"a":"1"') ? 422 : 200 }));
  await deliveries.plan(decided('1'), undefined);
  await deliveries.plan(decided('2'), undefined);
  await settled('parked');
  expect(await stored()).toMatchObject([{ state: 'parked' }, { state: 'pending' }]);
  const at = new Date().toISOString();
  const letter = { deadLetterId: 'dlq_1', kind: 'delivery' as const, deliveryId: idOf('1') };
  await deliveries.skip({ tenant, customer: 'c-1', commandId: 'cmd_1', actor: 'key:1', at, ...letter });
  await settled('delivered');
  expect(await stored()).toMatchObject([{ state: 'skipped' }, { state: 'delivered' }]);
});

describe('a destination that takes each request anew', () => {
  const once = { idempotency: { class: 'none' }, timeoutMs: 150 };
  const command = (commandId: string) => ({ tenant, customer: 'c-1', commandId, actor: 'key:1', at: new Date().toISOString() });
  const taking = (outcomes: readonly ('hang' | number)[]) => {
    let asked = 0;
    sink.respondWith(() => {
      const outcome = outcomes[asked++] ?? 200;
      return outcome === 'hang' ? never : { status: outcome };
    });
  };

  test('is not sent again what it may have taken: that waits for a person, who may send it all the same', async () => {
    await apply('crm', sink, once);
    taking(['hang']);
    await deliveries.plan(decided('1'), undefined);
    await settled('parked');
    expect(await stored()).toMatchObject([{ error_code: 'delivery.uncertain', attempts: 1 }]);
    expect(await attempts()).toMatchObject([{ outcome: 'uncertain', error_code: 'delivery.uncertain' }]);
    await waitFor(() => announced('dead-lettered.v1').length === 1, { what: 'the dead letter' });
    expect(announced('dead-lettered.v1')).toMatchObject([
      { code: 'delivery.uncertain', message: expect.stringContaining('did not answer') as string },
    ]);

    await deliveries.redeliver({ ...command('cmd_1'), deliveryId: idOf('1') });
    await waitFor(async () => (await stored())[0]!['attempts'] === 2, { what: 'the redelivery that sends nothing' });
    expect(await stored()).toMatchObject([{ state: 'parked', error_code: 'delivery.uncertain' }]);
    expect(sink.requests).toHaveLength(1);

    await deliveries.redeliver({ ...command('cmd_2'), deliveryId: idOf('1'), evenIfTaken: true });
    await settled('delivered');
    expect(sink.requests).toHaveLength(2);
  });

  test('is sent again what certainly did not reach it', async () => {
    await apply('crm', sink, once);
    taking([429, 425]);
    await deliveries.plan(decided('1'), undefined);
    await settled('delivered');
    expect(await attempts()).toMatchObject([{ outcome: 'failed' }, { outcome: 'failed' }, { outcome: 'succeeded' }]);
  });

  test('is sent again what it may have taken where the flow consents', async () => {
    await apply('crm', sink, once);
    taking(['hang', 500]);
    const run = decided('1');
    await deliveries.plan({ ...run, deliveries: run.deliveries.map((each) => ({ ...each, atLeastOnce: true })) }, undefined);
    await settled('delivered');
    expect(await attempts()).toMatchObject([{ outcome: 'uncertain' }, { outcome: 'uncertain' }, { outcome: 'succeeded' }]);
  });

  test('is not sent again what a process that stopped was sending', async () => {
    await apply('crm', sink, { ...once, timeoutMs: 60_000 });
    taking(['hang']);
    await deliveries.plan(decided('1'), undefined);
    await waitFor(() => sink.requests.length === 1, { what: 'the attempt' });
    await worker.beforeApplicationShutdown();
    ({ worker, deliveries } = startWorker());
    await settled('parked');
    expect(await stored()).toMatchObject([{ error_code: 'delivery.uncertain' }]);
    expect(sink.requests).toHaveLength(1);
  });

  test('is not sent again what a process was sending that ended without a word', async () => {
    await apply('crm', sink, once);
    await worker.beforeApplicationShutdown();
    await table.insert(await newDeliveries(decided('1'), decided('1').deliveries, undefined, configuration));
    const rooms = [{ tenant, destination: 'crm', free: 1, concurrency: 1, mode: 'ruled' as const }];
    expect((await table.claim(rooms, 1)).deliveries).toHaveLength(1); // and never settled
    ({ worker, deliveries } = startWorker());
    await settled('parked');
    expect(await stored()).toMatchObject([{ error_code: 'delivery.uncertain' }]);
    expect(sink.requests).toHaveLength(0);
  });
});

test('a newer delivery of an object is sent instead of the older one that waits for its retry', async () => {
  await apply('crm', sink, { idempotency: { class: 'upsert' }, supersede: 'payload.order', retry: { delaysMs: [60_000] } });
  sink.respondWith(({ body }) => ({ status: body.includes('old') ? 500 : 200 }));
  const setting = (id: string, value: string): RunCompleted => {
    const run = decided(id);
    return { ...run, deliveries: run.deliveries.map((each) => ({ ...each, payload: { order: 'o-1', value } })) };
  };
  await deliveries.plan(setting('1', 'old'), undefined);
  await waitFor(async () => (await stored())[0]!['attempts'] === 1, { what: 'the attempt that fails' });
  await deliveries.plan(setting('2', 'new'), undefined);
  await settled('delivered');
  expect((await stored()).map(({ state }) => state)).toEqual(['superseded', 'delivered']);
  expect(sink.requests).toHaveLength(2);
});

describe('a destination whose connection waits for a person', () => {
  const redirectUri = 'https://millrace.example/connections/callback';
  let login: AuthorizationServer;
  let waiting: WaitingDestinations;

  beforeEach(async () => {
    login = await startAuthorizationServer();
    waiting = new WaitingDestinations(connections, configuration, new DestinationHealthTable(database), worker);
    waiting.onApplicationBootstrap();
  });
  afterEach(async () => {
    await waiting.beforeApplicationShutdown();
    await login.stop();
  });

  async function save(kind: 'Connection' | 'Destination', name: string, spec: object): Promise<void> {
    const parsed = document.parse({ apiVersion: 'millrace/v1', kind, metadata: { tenant, name }, spec });
    const { version } = await documents.save(database, { document: parsed, actor: 'test' });
    const current = () => (kind === 'Connection' ? configuration.connection(tenant, name) : configuration.destination(tenant, name));
    await waitFor(() => current()?.version === version, { what: `${name} to be current` });
  }

  async function consent(): Promise<void> {
    const connection = configuration.connection(tenant, 'ledger')!;
    const request = { principal: 'test', redirectUri, allowOtherAccount: false };
    const { searchParams } = new URL(
      await login.consent((await connections.authorize(connection, request, new AbortController().signal))!),
    );
    const parameter = (name: string): string => searchParams.get(name)!;
    const answer = { state: parameter('state'), code: parameter('code'), iss: parameter('iss'), error: undefined };
    await connections.completeConsent(answer, async () => connection);
  }

  test('uses up no retries, and goes on after consent', async () => {
    const auth = {
      kind: 'oauth2',
      grant: 'authorizationCode',
      issuer: login.url,
      clientId: login.clientId,
      clientSecret: { value: login.clientSecret },
      scopes: ['openid', 'offline_access'],
    };
    await save('Connection', 'ledger', { connector: 'rest', settings: { base: sink.url }, auth });
    const input = '{ "path": "/book", "body": payload }';
    const idempotency = { class: 'key' };
    await save('Destination', 'books', {
      kind: 'operation',
      connection: 'ledger',
      operation: 'request',
      input,
      idempotency,
      retry: { delaysMs: [10] },
    });
    const payload = { path: '/book', body: { z: 1 } };
    const planned = Array.from({ length: 5 }, (_, at) =>
      decided(`w${at}`, { customer: `c-${at}`, deliveries: [{ step: 'tell', destination: 'books', payload }] }),
    );
    for (const run of planned) await deliveries.plan(run, undefined);
    const openReason = statement(
      'test.openReason',
      `SELECT open_reason FROM destination_health WHERE tenant_id = $1 AND destination = 'books'`,
    );
    const reason = async () => (await database.query<{ open_reason: string | null }>(openReason, [tenant]))[0]?.open_reason;
    await waitFor(async () => (await reason()) === 'connection.needsReauth', { what: 'the breaker to open' });
    await waiting.resume();
    expect(await reason()).toBe('connection.needsReauth');
    expect(await stored()).toMatchObject(planned.map(() => ({ state: 'pending', attempts: 0, retries: 0 })));
    expect(sink.requests).toHaveLength(0);
    await consent();
    await settled('delivered', 5);
    expect(await stored()).toMatchObject(planned.map(() => ({ state: 'delivered', attempts: 1, retries: 0 })));
    expect(sink.requests).toHaveLength(5);
    expect(await reason()).toBeNull();
  });
});

describe('a destination of the kind operation', () => {
  const json = { 'content-type': 'application/json' };
  const decidedFor = (destination: string) => decided('1', { deliveries: [{ step: 'tell', destination, payload: { z: 1, a: 'a/b' } }] });

  test('gets its input, with the credential of the connection and the effect key, on every attempt alike', async () => {
    await applyLedger();
    let asked = 0;
    sink.respondWith(() => ({ status: (asked += 1) === 1 ? 502 : 200, headers: json, body: '{"said":"token-of-the-ledger"}' }));
    await deliveries.plan(decidedFor('book'), undefined);
    await settled('delivered');
    expect(sink.requests.map(({ body }) => body.toString())).toEqual(['{"id":"a/b","z":1}', '{"id":"a/b","z":1}']);
    for (const { headers } of sink.requests)
      expect(headers).toMatchObject({ authorization: 'Bearer token-of-the-ledger', 'idempotency-key': keyOf('1', 'book') });
    expect(await attempts()).toMatchObject([{ outcome: 'uncertain' }, { outcome: 'succeeded', response_excerpt: '{"said":"[redacted]"}' }]);
  });

  test('has its values encoded in the address', async () => {
    await applyLedger();
    await deliveries.plan(decidedFor('put'), undefined);
    await settled('delivered');
    expect(sink.requests).toMatchObject([{ method: 'PUT', path: '/entries/a%2Fb' }]);
  });

  test('of the class verify is looked up after a lost answer, and not repeated if it took effect', async () => {
    await applyLedger();
    const posts: string[] = [];
    sink.respondWith(({ method, body }) => {
      if (method === 'GET') return { status: 200, headers: json, body: JSON.stringify(posts.map((delivery) => ({ delivery }))) };
      posts.push((JSON.parse(body.toString()) as { delivery: string }).delivery);
      return { status: 500 };
    });
    await deliveries.plan(decidedFor('post'), undefined);
    await settled('delivered');
    expect(posts).toEqual([keyOf('1', 'post')]);
    expect(await attempts()).toMatchObject([{ outcome: 'uncertain' }, { outcome: 'succeeded', status: 200 }]);
  });

  test('is parked with the reason if its input does not fit the operation, and nothing is sent', async () => {
    await applyLedger();
    const run = decided('1', { deliveries: [{ step: 'tell', destination: 'put', payload: { z: 1 } }] });
    await deliveries.plan(run, undefined);
    await settled('parked');
    expect(await stored()).toMatchObject([{ error_code: 'delivery.refused' }]);
    expect(sink.requests).toEqual([]);
  });
});
