import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bulkOperationId, noCustomer } from '#libs/contracts';
import type { StartBulkOperation } from '#libs/contracts';
import { LogUnavailable } from '#libs/messaging';
import { Database, statement } from '#libs/persistence';
import { freshDatabase, waitFor } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import type { BulkItem } from './bulk-progress.table.js';
import { BulkOperations, itemStatements } from './bulk-operations.js';
import type { BulkOperationsOptions } from './bulk-operations.js';

interface Ordered {
  subject: string;
  customer: string;
  commandId: string;
}

let fresh: FreshDatabase;
let database: Database;
let ordered: Ordered[];
let processes: Process[];

beforeEach(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  ordered = [];
  processes = [];
});
afterEach(async () => {
  for (const process of processes) await process.end();
  await database.close();
  await fresh.close();
});

/** One process that carries operations out, with its own connections, so that it can be killed. */
class Process {
  private constructor(
    private readonly connections: Database,
    readonly operations: BulkOperations,
  ) {}

  static async start(options: Partial<BulkOperationsOptions> = {}): Promise<Process> {
    const connections = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'process' });
    const operations = new BulkOperations(connections, {
      kind: 'replay',
      sources: { events: itemStatements({ items: 'replay_of_events_items', count: 'replay_of_events_count' }) },
      append: async ({ commandId }, item) => note(item, commandId),
      leaseMs: 500,
      pollMs: 20,
      ...options,
    });
    const process = new Process(connections, operations);
    processes.push(process);
    operations.onApplicationBootstrap();
    return process;
  }

  private closed: Promise<void> | undefined;

  /** Ends as a kill would: nothing is saved or given back. */
  kill(): Promise<void> {
    return (this.closed ??= this.connections.close());
  }

  async end(): Promise<void> {
    await this.operations.beforeApplicationShutdown();
    await this.kill();
  }
}

function note({ subject, customer }: BulkItem, commandId: string): void {
  ordered.push({ subject, customer, commandId });
}

const command = (more: Partial<StartBulkOperation> = {}): StartBulkOperation => ({
  tenant: 'acme',
  customer: noCustomer,
  commandId: 'cmd_1',
  actor: 'key:1',
  at: new Date().toISOString(),
  kind: 'replay',
  selection: 'events',
  filter: {},
  flow: null,
  ratePerSecond: 1_000,
  ...more,
});
const operationId = bulkOperationId('acme', 'cmd_1');

/** Several events of one customer share a moment, as those of one batch do: their place in the log is what orders them. */
const insertEvents = statement(
  'test.bulk.events',
  `INSERT INTO event (tenant_id, id, source, customer, type, lane, occurred_at, received_at, content_type, body, log_topic, log_partition, log_offset)
   SELECT $1, 'evt_' || md5(n::text), 's', 'c-' || n % $3, 't', 'normal', now(), now() - interval '1 hour' + (n / 50) * interval '1 second', 'text/plain', '',
     'millrace.events.normal', 0, n
   FROM generate_series(1, $2::integer) AS n`,
);
const oldestFirst = statement('test.bulk.order', 'SELECT id FROM event WHERE tenant_id = $1 ORDER BY log_offset');
const rowOf = statement(
  'test.bulk.row',
  'SELECT state, total, total_exact, done, failed, finished_at IS NOT NULL AS finished, lease_until FROM bulk_operation WHERE tenant_id = $1 AND id = $2',
);

interface Row {
  state: string;
  total: number;
  total_exact: boolean;
  done: number;
  failed: number;
  finished: boolean;
}
async function stored(): Promise<Row> {
  const [row] = await database.query<Row>(rowOf, ['acme', operationId]);
  return row!;
}
const becomes = (state: string) =>
  waitFor(async () => ((await stored())?.state === state ? stored() : false), { what: `the operation to be ${state}` });

async function eventsOf(tenant: string, count: number, customers = 20): Promise<string[]> {
  await database.query(insertEvents, [tenant, count, customers]);
  return (await database.query<{ id: string }>(oldestFirst, [tenant])).map(({ id }) => id);
}
const subjects = (): string[] => ordered.map(({ subject }) => subject);
/** The commands that take effect: the first of those with one id. */
const effective = (): string[] => [...new Map(ordered.toReversed().map((one) => [one.commandId, one.subject])).values()].toReversed();

test('everything that was there is ordered once, the oldest first, and nothing of another tenant', async () => {
  const events = await eventsOf('acme', 500);
  await eventsOf('beta', 10);
  const { operations } = await Process.start();
  await operations.start(command());
  await operations.start(command());
  expect(await becomes('completed')).toMatchObject({ total: 500, total_exact: true, done: 500, failed: 0, finished: true });
  expect(subjects()).toEqual(events);
});

test('what comes later is not the operation’s', async () => {
  const events = await eventsOf('acme', 30);
  const { operations } = await Process.start({
    append: async ({ commandId }, item) => {
      note(item, commandId);
      if (ordered.length === 30) await database.query(lateEvent);
    },
  });
  await operations.start(command());
  expect(await becomes('completed')).toMatchObject({ done: 30 });
  expect(subjects()).toEqual(events);
});
const lateEvent = statement(
  'test.bulk.late',
  `INSERT INTO event (tenant_id, id, source, customer, type, lane, occurred_at, received_at, content_type, body, log_topic, log_partition, log_offset)
   VALUES ('acme', 'evt_late', 's', 'c-1', 't', 'normal', now(), clock_timestamp() + interval '1 second', 'text/plain', '', 'millrace.events.normal', 0, 1000)`,
);

test('a rate is kept to', async () => {
  await eventsOf('acme', 100);
  let slept = 0;
  const { operations } = await Process.start({
    clock: {
      now: () => slept,
      sleep: async (ms) => {
        slept += ms;
      },
    },
  });
  await operations.start(command({ ratePerSecond: 10 }));
  await becomes('completed');
  expect(slept).toBeCloseTo(9_900);
});

test('a cancel in the middle stops it, and it says how far it got', async () => {
  const events = await eventsOf('acme', 500);
  const { operations } = await Process.start({
    clock: { now: timeThatFlies(), sleep: async () => undefined },
    append: async ({ commandId }, item) => {
      note(item, commandId);
      if (ordered.length === 200) await operations.cancel({ ...command(), operationId });
    },
  });
  await operations.start(command());
  await becomes('cancelled');
  const reached = await waitFor(async () => ((await stored()).done === ordered.length ? ordered.length : false), { what: 'its progress' });
  expect(reached).toBeGreaterThanOrEqual(200);
  expect(reached).toBeLessThan(400);
  expect(subjects()).toEqual(events.slice(0, reached));
  await operations.cancel({ ...command(), operationId });
  expect(await stored()).toMatchObject({ state: 'cancelled', done: reached, finished: true });
});

/** Every look at the clock is half a second later, so that each wave is saved. */
function timeThatFlies(): () => number {
  let time = 0;
  return () => (time += 500);
}

describe('a process that ends in the middle', () => {
  const hanging = Promise.withResolvers<never>();
  afterEach(() => hanging.reject(new Error('the test is over')));

  test('is followed by another one, which repeats nothing in effect and keeps the order', async () => {
    const events = await eventsOf('acme', 500);
    const first = await Process.start({
      clock: { now: timeThatFlies(), sleep: async () => undefined },
      append: async ({ commandId }, item) => {
        if (ordered.length >= 250) await hanging.promise;
        note(item, commandId);
      },
    });
    await first.operations.start(command());
    await waitFor(() => ordered.length >= 250, { what: 'half of it' });
    await first.kill();
    await Process.start();
    expect(await becomes('completed')).toMatchObject({ done: 500 });
    expect(ordered.length).toBeGreaterThan(500); // some came twice, under the same id
    expect(effective()).toEqual(events);
  });

  test('and whose lease lies further ahead than any may, because the clock of Postgres stepped back, is followed by the next one', async () => {
    const events = await eventsOf('acme', 50);
    const first = await Process.start({ leaseMs: 7_200_000, append: () => hanging.promise });
    await first.operations.start(command());
    await waitFor(async () => (await stored()).total === 50, { what: 'the claim' });
    await first.kill();
    await Process.start();
    expect(await becomes('completed')).toMatchObject({ done: 50 });
    expect(effective()).toEqual(events);
  });

  test('gives the operation back where it stands when it is stopped, so that nothing is even sent twice', async () => {
    const events = await eventsOf('acme', 500);
    const first = await Process.start();
    await first.operations.start(command({ ratePerSecond: 200 }));
    await waitFor(() => ordered.length >= 40, { what: 'some of it' });
    await first.end();
    const reached = ordered.length;
    expect(reached).toBeLessThan(500);
    expect(await stored()).toMatchObject({ state: 'running', done: reached, lease_until: null });
    await Process.start({ leaseMs: 300_000, clock: { now: timeThatFlies(), sleep: async () => undefined } });
    await becomes('completed');
    expect(subjects()).toEqual(events);
  });
});

test('two processes do not carry one operation out at the same time', async () => {
  const events = await eventsOf('acme', 300);
  const [one] = [await Process.start(), await Process.start()];
  await one.operations.start(command());
  await becomes('completed');
  expect(subjects()).toEqual(events);
});

test('while the log is away it waits, and each customer’s order holds', async () => {
  const events = await eventsOf('acme', 100, 4);
  let asked = 0;
  const { operations } = await Process.start({
    clock: { now: () => 0, sleep: async () => undefined },
    append: async ({ commandId }, item) => {
      asked += 1;
      if (asked % 3 === 0) throw new LogUnavailable('away');
      note(item, commandId);
    },
  });
  await operations.start(command());
  expect(await becomes('completed')).toMatchObject({ done: 100, failed: 0 });
  for (let customer = 0; customer < 4; customer += 1) {
    const of = (subject: string): boolean => ordered.some((one) => one.subject === subject && one.customer === `c-${customer}`);
    expect(subjects().filter(of)).toEqual(events.filter(of));
  }
});

test('an item that the log will never take is counted, and the others go on', async () => {
  await eventsOf('acme', 10);
  const { operations } = await Process.start({
    append: async ({ commandId }, item) => {
      if (item.place === 3) throw new Error('does not fit');
      note(item, commandId);
    },
  });
  await operations.start(command());
  expect(await becomes('completed')).toMatchObject({ done: 9, failed: 1 });
});

test('an operation that cannot be carried out fails with its reason', async () => {
  await eventsOf('acme', 1);
  const { operations } = await Process.start();
  await operations.start(command({ filter: { receivedFrom: 'not a time' } }));
  expect(await becomes('failed')).toMatchObject({ done: 0, finished: true });
});

test('another kind is left to its own app', async () => {
  const { operations } = await Process.start();
  await operations.start(command({ kind: 'redelivery', selection: 'deliveries' }));
  expect(await stored()).toBeUndefined();
});
