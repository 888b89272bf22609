import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SecretBox } from '#libs/auth';
import { Connections } from '#libs/connections';
import { TenantConnections } from '#libs/connectors';
import { document } from '#libs/contracts';
import type { EventReceived } from '#libs/contracts';
import { HttpClient } from '#libs/http';
import type { EventAppender } from '#libs/intake';
import { LogUnavailable, RecordTooLarge } from '#libs/messaging';
import { Configuration, Database, DocumentSecrets, DocumentTable, statement } from '#libs/persistence';
import { freshDatabase, startHttpSink, uniqueName, waitFor } from '#libs/testing';
import type { FreshDatabase, HttpSink } from '#libs/testing';
import { PullProgressTable } from './pull-progress.table.js';
import { Puller } from './puller.js';

let fresh: FreshDatabase;
let database: Database;
let documents: DocumentTable;
let configuration: Configuration;
let connections: Connections;
let http: HttpClient;
let system: HttpSink;

beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  const secretBox = new SecretBox(randomBytes(32));
  documents = new DocumentTable(secretBox);
  connections = await Connections.started({ secrets: new DocumentSecrets(secretBox), secretBox, database, allowPrivateAddresses: true });
  configuration = new Configuration(database, { secretBox });
  await configuration.start();
  http = new HttpClient({ allowPrivateAddresses: true });
  system = await startHttpSink();
});
afterAll(async () => {
  await connections.close();
  await http.close();
  await system.stop();
  await configuration.stop();
  await database.close();
  await fresh.close();
});

interface Item {
  readonly id: number;
  readonly customer: string;
  readonly updatedAt: string;
}

interface Row {
  cursor: string | null;
  position: string | null;
  items: number;
  repeated: number;
  skipped: number;
  failures: number;
  code: string | null;
  message: string | null;
  waitSeconds: number;
  isFree: boolean;
}

const progress = statement(
  'test.pull.progress',
  `SELECT cursor, position, items::integer, repeated::integer, skipped::integer, failures, last_failure_code AS code, last_failure_message AS message, lease_until IS NULL AS "isFree",
     extract(epoch FROM next_at - coalesce(last_failure_at, clock_timestamp()))::float8 AS "waitSeconds" FROM pull WHERE tenant_id = $1`,
);
const recordEvent = statement(
  'test.pull.recordEvent',
  `INSERT INTO event (tenant_id, id, source, customer, lane, type, provider_event_id, occurred_at, received_at, content_type, body, log_topic, log_partition, log_offset)
   VALUES ($1, $2, 'contacts', 'c', 'normal', 't', 'p', now(), now(), 'application/json', '{}', 'events.normal', 0, 0)`,
);
const reading = { summary: 'Read.', effect: 'read', input: {} };
const api = {
  summary: 'Contacts.',
  base: '{settings.base}',
  hosts: ['*'],
  settings: { type: 'object', required: ['base'], properties: { base: { type: 'string' } } },
  auth: [{ kind: 'none' }, { kind: 'bearer' }, { kind: 'oauth2' }],
  operations: {
    list: {
      ...reading,
      request: { path: '/list', query: { since: 'input.since' } },
      paging: { kind: 'cursor', param: 'after', items: 'response.body.items', next: 'response.body.next' },
    },
    some: { ...reading, request: { path: '/some', query: { since: 'input.since' } } },
  },
};
const contacts = {
  connection: 'crm',
  operation: 'list',
  input: '{ "since": since }',
  eventId: 'item.id & ":" & item.updatedAt',
  customer: 'item.customer',
  type: '"contact.changed"',
  occurredAt: 'item.updatedAt',
  cursor: { value: 'item.updatedAt' },
  everyMs: 1_000,
  rate: { pagesPerSecond: 100, itemsPerSecond: 10_000 },
};
const leaseMs = 1_000;
const pageSize = 10;

let tenant: string;
let items: Item[];
/** The events on the log, in their order. */
let log: EventReceived[];
/** Does an append in the place of the log. */
let onAppend: (events: readonly EventReceived[]) => void;
let processes: Puller[];
let tellOfConnections: ((changed: undefined) => void)[];

const timeOf = (at: number): string => new Date(Date.UTC(2026, 0, 1) + at * 1_000).toISOString();
const itemsUpTo = (count: number): Item[] =>
  Array.from({ length: count }, (_, id) => ({ id, customer: `c-${id % 7}`, updatedAt: timeOf(id) }));

beforeEach(async () => {
  tenant = uniqueName('t');
  items = [];
  log = [];
  onAppend = () => undefined;
  processes = [];
  tellOfConnections = [];
  system.respondWith(({ path }) => {
    const url = new URL(path, 'http://system');
    const newer = items.filter(({ updatedAt }) => updatedAt >= (url.searchParams.get('since') ?? ''));
    if (url.pathname === '/some') return json(newer.slice(0, pageSize));
    const from = Number(url.searchParams.get('after') ?? 0);
    const next = from + pageSize;
    return json({ items: newer.slice(from, next), next: next < newer.length ? String(next) : null });
  });
  await apply('Connector', 'crm', api);
  await apply('Connection', 'crm', { connector: 'crm', settings: { base: system.url }, auth: { kind: 'none' } });
});
afterEach(async () => {
  await Promise.all(processes.map((process) => process.beforeApplicationShutdown()));
  await documents.remove(database, { tenant, kind: 'Pull', name: 'contacts', actor: 'test' });
});

function json(body: object): { status: number; headers: Record<string, string>; body: string } {
  return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}

async function apply(kind: 'Pull' | 'Connection' | 'Connector', name: string, spec: object): Promise<void> {
  const parsed = document.parse({ apiVersion: 'millrace/v1', kind, metadata: { tenant, name }, spec });
  const { version } = await documents.save(database, { document: parsed, actor: 'test' });
  const isCurrent = (): boolean => {
    if (kind === 'Pull') return configuration.pull(tenant, name)?.version === version;
    return kind === 'Connection'
      ? configuration.connection(tenant, name)?.version === version
      : configuration.documentsOf(tenant)(kind, name) !== undefined;
  };
  await waitFor(isCurrent, { what: `${name} to be current` });
}

const pull = (more: object = {}): Promise<void> => apply('Pull', 'contacts', { ...contacts, ...more });

/** A process that reads pulls. */
function start(table = new PullProgressTable(database)): Puller {
  const append = async (events: readonly EventReceived[]): Promise<void> => {
    onAppend(events);
    log.push(...events);
  };
  const states = { onChange: (listener: (changed: undefined) => void) => (tellOfConnections.push(listener), () => undefined) };
  const process = new Puller(
    configuration,
    table,
    new TenantConnections(http, configuration, connections),
    states,
    { append } as unknown as EventAppender,
    { leaseMs, pollMs: 100 },
  );
  process.onApplicationBootstrap();
  processes.push(process);
  return process;
}

async function row(): Promise<Row | undefined> {
  return (await database.query<Row>(progress, [tenant]))[0];
}

const until = (what: string, holds: (found: Row) => boolean): Promise<Row> =>
  waitFor(
    async () => {
      const found = await row();
      return found !== undefined && holds(found) ? found : undefined;
    },
    { what },
  );

const idsOf = (events: readonly EventReceived[]): string[] => [...new Set(events.map(({ providerEventId }) => providerEventId!))];
const asked = (): URL[] => system.requests.map(({ path }) => new URL(path, 'http://system'));

/** Ends its process, as kill -9 does, once the log has the events of so many pages and none of the last one is noted. */
class KilledTable extends PullProgressTable {
  isDead = false;

  constructor(private pagesLeft: number) {
    super(database);
  }

  private async alive<T>(work: () => Promise<T>): Promise<T> {
    if (this.isDead) throw new Error('killed');
    return work();
  }

  override adopt(...given: Parameters<PullProgressTable['adopt']>): ReturnType<PullProgressTable['adopt']> {
    return this.isDead ? Promise.resolve(undefined) : super.adopt(...given);
  }

  override claim(...given: Parameters<PullProgressTable['claim']>): ReturnType<PullProgressTable['claim']> {
    return this.isDead ? Promise.resolve([]) : super.claim(...given);
  }

  override renew(...given: Parameters<PullProgressTable['renew']>): ReturnType<PullProgressTable['renew']> {
    return this.alive(() => super.renew(...given));
  }

  override release(...given: Parameters<PullProgressTable['release']>): ReturnType<PullProgressTable['release']> {
    return this.alive(() => super.release(...given));
  }

  override fail(...given: Parameters<PullProgressTable['fail']>): ReturnType<PullProgressTable['fail']> {
    return this.alive(() => super.fail(...given));
  }

  override note(...given: Parameters<PullProgressTable['note']>): Promise<boolean> {
    this.pagesLeft -= 1;
    this.isDead ||= this.pagesLeft < 0;
    return this.alive(() => super.note(...given));
  }
  override end(...given: Parameters<PullProgressTable['end']>): ReturnType<PullProgressTable['end']> {
    return this.alive(() => super.end(...given));
  }
}

describe('a list over several processes', () => {
  test('that are killed between page and cursor becomes one event per item, none is lost, and each customer keeps its order', async () => {
    items = itemsUpTo(200);
    await pull();
    for (const pages of [0, 2, 5, 4]) {
      const table = new KilledTable(pages);
      start(table);
      await waitFor(() => table.isDead, { what: 'a process to end' });
    }
    start();
    start();
    await until('the end of the list', ({ cursor }) => cursor !== null);
    const expected = items.map(({ id, updatedAt }) => `${id}:${updatedAt}`);
    expect(idsOf(log)).toEqual(expected); // in the order of the list, so of each customer
    expect(log.length).toBeGreaterThan(expected.length); // pages were repeated, as the same events
    expect(new Set(log.map(({ eventId }) => eventId)).size).toBe(expected.length);
  });

  test('is read by one of them at a time', async () => {
    items = itemsUpTo(100);
    await pull();
    for (let one = 0; one < 4; one += 1) start();
    await until('the end of the list', ({ cursor }) => cursor !== null);
    expect(log).toHaveLength(100);
  });
});

test('an event has what the expressions read from its item', async () => {
  items = itemsUpTo(1);
  await pull({ lane: { default: 'low', rules: [] } });
  start();
  await until('the item', ({ items: read }) => read > 0);
  expect(log[0]).toMatchObject({
    source: 'contacts',
    customer: 'c-0',
    type: 'contact.changed',
    lane: 'low',
    providerEventId: `0:${timeOf(0)}`,
    occurredAt: timeOf(0),
    body: JSON.stringify(items[0]),
  });
});

test('the next pass begins with the greatest value, also where the newest item comes first', async () => {
  items = itemsUpTo(15).toReversed();
  await pull();
  start();
  await until('the first pass', ({ cursor }) => cursor === JSON.stringify(timeOf(14)));
  items = [{ id: 99, customer: 'c-0', updatedAt: timeOf(99) }, ...items];
  await until('the second pass', ({ cursor }) => cursor === JSON.stringify(timeOf(99)));
  expect(asked().at(-1)!.searchParams.get('since')).toBe(timeOf(14));
  expect(idsOf(log)).toContain(`99:${timeOf(99)}`);
});

test('items whose events are recorded are not appended again', async () => {
  items = itemsUpTo(3);
  await pull();
  start();
  await until('a pass', ({ cursor }) => cursor !== null);
  await database.query(recordEvent, [tenant, log[1]!.eventId]);
  const before = log.length;
  await new PullProgressTable(database).start(tenant, 'contacts', { fromBeginning: true });
  await until('the next pass from the beginning', ({ repeated }) => repeated > 0);
  expect(log.slice(before, before + 2).map(({ providerEventId }) => providerEventId)).toEqual([`0:${timeOf(0)}`, `2:${timeOf(2)}`]);
});

test('an operation without pages is asked again with the new cursor until nothing is newer', async () => {
  items = itemsUpTo(35);
  await pull({ operation: 'some', everyMs: 86_400_000 });
  start();
  await until('the last item', ({ cursor }) => cursor === JSON.stringify(timeOf(34)));
  expect(idsOf(log)).toHaveLength(35);
});

test('a pull keeps its rate, and holds nothing meanwhile', async () => {
  items = itemsUpTo(30);
  await pull({ rate: { pagesPerSecond: 0.01 } });
  start();
  const found = await until('the first page', ({ position }) => position !== null);
  expect(found.items).toBe(10);
  const waiting = await until('the claim to be free', ({ isFree }) => isFree);
  expect(waiting.waitSeconds).toBeGreaterThan(90);
});

describe('where the system', () => {
  test('limits requests, the pull waits as long as it is told', async () => {
    items = itemsUpTo(20);
    await pull();
    const answer = { status: 429, headers: { 'retry-after': '77' }, body: '' };
    system.respondWith(() => answer);
    start();
    const found = await until('the failure', ({ failures }) => failures === 1);
    expect(found.code).toBe('operation.limited');
    expect(found.waitSeconds).toBeGreaterThanOrEqual(77);
  });

  test('no longer knows a place in the list, the pass begins anew with the cursor that it began with', async () => {
    items = itemsUpTo(30);
    await pull({ cursor: { value: 'item.updatedAt', start: timeOf(0) } });
    system.respondWith(({ path }) =>
      path.includes('after=') ? { status: 400, body: '' } : json({ items: items.slice(0, pageSize), next: '10' }),
    );
    start();
    const found = await until('the refusal', ({ failures }) => failures === 1);
    expect(found).toMatchObject({ code: 'operation.refused', position: null, cursor: null });
  });

  test.each([
    ['an object without the list', '{"error":"busy"}'],
    ['null', 'null'],
    ['an empty body', ''],
    ['HTML', '<html>busy</html>'],
    ['text in the place of the list', '{"items":"soon"}'],
  ])('answers with %s in the middle of the list, the pull is refused, and its cursor stays', async (_what, body) => {
    items = itemsUpTo(30);
    await pull();
    system.respondWith(({ path }) =>
      path.includes('after=') ? { status: 200, body } : json({ items: items.slice(0, pageSize), next: '10' }),
    );
    start();
    const found = await until('the refusal', ({ failures }) => failures === 1);
    expect(found).toMatchObject({ code: 'operation.outputInvalid', cursor: null, items: 10 });
  });

  test('answers without the list of an operation without pages, the pull is refused, and its cursor stays', async () => {
    await pull({ operation: 'some', items: 'output.rows' });
    system.respondWith(() => json({ error: 'busy' }));
    start();
    const found = await until('the refusal', ({ failures }) => failures === 1);
    expect(found).toMatchObject({ code: 'pull.itemsInvalid', cursor: null, items: 0 });
  });

  test.each([
    ['of the page, in the first pass', {}],
    ['that the pull starts with', { cursor: { value: 'item.updatedAt', start: timeOf(0) } }],
  ])('gives an item a cursor of another kind than the one %s, it is named, and the cursor stays', async (_what, more) => {
    items = itemsUpTo(5);
    items[3] = { ...items[3]!, updatedAt: 'yesterday' };
    await pull({ ...more, eventId: 'item.id & "!"' });
    start();
    const found = await until('the refusal', ({ failures }) => failures === 1);
    expect(found).toMatchObject({ code: 'pull.cursorInvalid', cursor: null, items: 0 });
    expect(found.message).toContain('the item 3!');
    expect(found.message).toContain('is text, "yesterday", but the one before is a time');
    expect(log).toEqual([]);
  });

  test('has numbers where cursor.start is text, the pull is refused', async () => {
    items = itemsUpTo(5);
    await pull({ cursor: { value: 'item.id', start: '0' } });
    system.respondWith(() => json({ items, next: null }));
    start();
    const found = await until('the refusal', ({ failures }) => failures === 1);
    expect(found).toMatchObject({ code: 'pull.cursorInvalid', cursor: null, items: 0 });
  });

  test('has more pages than a pass may read, that is said, and the cursor stays', async () => {
    items = itemsUpTo(50);
    await pull({ maxPages: 3 });
    start();
    const found = await until('the failure', ({ failures }) => failures === 1);
    expect(found).toMatchObject({ code: 'pull.tooLong', cursor: null, items: 30 });
  });

  test('waits for consent, the pull says so, and goes on as soon as its connection works', async () => {
    const auth = {
      kind: 'oauth2',
      grant: 'authorizationCode',
      clientId: 'c',
      clientSecret: { value: 's'.repeat(20) },
      endpoints: { authorize: `${system.url}/authorize`, token: `${system.url}/token` },
    };
    await apply('Connection', 'crm', { connector: 'crm', settings: { base: system.url }, auth });
    items = itemsUpTo(5);
    await pull();
    start();
    const found = await until('the failure', ({ failures }) => failures === 1);
    expect(found).toMatchObject({ code: 'connection.needsReauth', items: 0 });
    expect(found.waitSeconds).toBeGreaterThan(200);
    await apply('Connection', 'crm', { connector: 'crm', settings: { base: system.url }, auth: { kind: 'none' } });
    for (const tell of tellOfConnections) tell(undefined);
    await until('the items', ({ items: read }) => read >= 5);
    expect(idsOf(log)).toHaveLength(5);
  });
});

test('while the log is away nothing is noted, and the page is read again', async () => {
  items = itemsUpTo(5);
  await pull();
  let isAway = true;
  onAppend = () => {
    if (isAway) throw new LogUnavailable('away');
  };
  start();
  const found = await until('the failure', ({ failures }) => failures > 0);
  expect(found).toMatchObject({ code: 'log.unavailable', items: 0, cursor: null });
  isAway = false;
  await until('the items', ({ items: read }) => read >= 5);
  expect(idsOf(log)).toHaveLength(5);
});

test('an item that is larger than an event may be is left out and counted, and those beside it are not', async () => {
  items = itemsUpTo(5);
  await pull();
  onAppend = (events) => {
    if (events.some(({ providerEventId }) => providerEventId!.startsWith('2:'))) throw new RecordTooLarge(2_000_000, 'at most 1');
  };
  start();
  await until('the pass', ({ cursor, skipped }) => cursor !== null && skipped > 0);
  expect(idsOf(log).map((id) => id.split(':')[0])).toEqual(['0', '1', '3', '4']);
});

describe('a new version', () => {
  test('of the same list goes on with its cursor', async () => {
    items = itemsUpTo(3);
    await pull();
    start();
    await until('a pass', ({ cursor }) => cursor !== null);
    await pull({ type: '"contact.seen"' });
    items = itemsUpTo(4);
    await waitFor(() => log.some(({ type }) => type === 'contact.seen'), { what: 'an event of the new version' });
    expect(log.find(({ type }) => type === 'contact.seen')!.providerEventId).toBe(`2:${timeOf(2)}`);
  });

  test('of another list begins anew', async () => {
    items = itemsUpTo(3);
    await pull();
    start();
    await until('a pass', ({ cursor }) => cursor !== null);
    await pull({ type: '"contact.seen"', cursor: { value: 'item.id' } });
    await until('a pass of the new list', ({ cursor }) => cursor === '2');
  });
});

test('a removed pull reads no more, and its row is forgotten', async () => {
  items = itemsUpTo(1);
  await pull();
  start();
  await until('a pass', ({ cursor }) => cursor !== null);
  await documents.remove(database, { tenant, kind: 'Pull', name: 'contacts', actor: 'test' });
  await waitFor(async () => (await row()) === undefined, { what: 'the row to be forgotten' });
});

test('a puller waits for the pull that is due first, and for none where there is none', async () => {
  const table = new PullProgressTable(database);
  await table.forgetRemoved();
  expect(await table.nextDueMs()).toBeUndefined();
  items = itemsUpTo(1);
  await pull({ everyMs: 86_400_000 });
  start();
  await until('a pass', ({ cursor, isFree }) => cursor !== null && isFree);
  expect(await table.nextDueMs()).toBeGreaterThan(80_000_000);
});
