import { Client, DatabaseError } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freshDatabase, waitFor } from '#libs/testing';
import { registry } from '#libs/tracing';
import type { FreshDatabase } from '#libs/testing';
import { Database, StorageUnavailable, TenantDatabase, statement } from './index.js';
import type { Session } from './index.js';

let fresh: FreshDatabase;
let owner: Client;
let database: Database;
beforeAll(async () => {
  fresh = await freshDatabase();
  owner = new Client({ connectionString: fresh.ownerUrl });
  await owner.connect();
  database = await connect();
});
afterAll(async () => {
  await Promise.all([owner.end(), database.close()]);
  await fresh.close();
});

function connect(poolSize = 4): Promise<Database> {
  return Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'database-test', poolSize });
}

const whoAmI = statement('test.whoAmI', `SELECT current_user AS role, current_setting('application_name') AS application`);
const valueOf = statement('test.int8', 'SELECT $1::int8 AS value');
const fail = statement('test.fail', 'SELECT 1 / $1::int AS quotient');
const backend = statement('test.backend', 'SELECT pg_backend_pid() AS pid');
const noteCustomer = statement(
  'test.noteCustomer',
  'INSERT INTO customer (tenant_id, customer, first_event_at, last_event_at) VALUES ($1, $2, now(), now())',
);
const customers = statement('test.customers', 'SELECT customer FROM customer WHERE tenant_id = $1 ORDER BY customer');
const notify = statement('test.notify', 'SELECT pg_notify($1, $2)');

/** Ends a connection from the server's side, as a restart or a failover does. */
async function terminate(pid: number | undefined): Promise<void> {
  await owner.query('SELECT pg_terminate_backend($1)', [pid]);
}

async function pidOf(session: Session): Promise<number> {
  const [row] = await session.query<{ pid: number }>(backend);
  return row!.pid;
}

test('a session has its role from the start, and keeps it when it is reset', async () => {
  expect(await database.query(whoAmI)).toEqual([{ role: 'millrace_service', application: 'database-test' }]);
  await database.transaction(async (session) => {
    await session.query(statement('test.resetRole', 'RESET ROLE'));
    expect(await session.query(whoAmI)).toMatchObject([{ role: 'millrace_service' }]);
  });
});

test('a statement of a service is planned once, however short its arrays are', async () => {
  const single = await connect(1);
  const customersOf = statement(
    'test.customersOf',
    'SELECT customer.customer FROM unnest($1::text[], $2::text[]) AS of (tenant_id, customer) JOIN customer USING (tenant_id, customer)',
  );
  for (let time = 0; time < 10; time += 1) await single.query(customersOf, [['t'], ['c']]);
  const plans = `SELECT generic_plans AS kept, custom_plans AS anew FROM pg_prepared_statements WHERE name LIKE 'test.customersOf%'`;
  expect(await single.query(statement('test.plans', plans))).toEqual([{ kept: 10, anew: 0 }]);
  await single.close();
});

test('options in the address do not replace the role', async () => {
  const url = `${fresh.url}?options=${encodeURIComponent('-c work_mem=8MB')}`;
  const tuned = await Database.connect({ url, role: 'millrace_service', applicationName: 'tuned' });
  const [row] = await tuned.query(statement('test.tuned', `SELECT current_user AS role, current_setting('work_mem') AS memory`));
  expect(row).toEqual({ role: 'millrace_service', memory: '8MB' });
  await tuned.close();
});

test('an int8 is a number, and one that would be rounded fails', async () => {
  expect(await database.query(valueOf, ['9007199254740991'])).toEqual([{ value: 9_007_199_254_740_991 }]);
  await expect(database.query(valueOf, ['9007199254740993'])).rejects.toThrow('select it as text');
});

test('a statement at fault fails with its own error, and its connection stays usable', async () => {
  const one = await connect(1);
  const before = await one.query(backend);
  await expect(one.query(fail, [0])).rejects.toThrow(DatabaseError);
  expect(await one.query(backend)).toEqual(before);
  await one.close();
});

describe('a transaction', () => {
  test('saves everything when its work succeeds', async () => {
    await database.transaction(async (session) => {
      await session.query(noteCustomer, ['done', 'a']);
      await session.query(noteCustomer, ['done', 'b']);
    });
    expect(await database.query(customers, ['done'])).toEqual([{ customer: 'a' }, { customer: 'b' }]);
  });

  test('saves nothing when its work throws', async () => {
    const work = database.transaction(async (session) => {
      await session.query(noteCustomer, ['thrown', 'a']);
      throw new Error('changed my mind');
    });
    await expect(work).rejects.toThrow('changed my mind');
    expect(await database.query(customers, ['thrown'])).toEqual([]);
  });

  test('does not mistake a network failure of its work for one of Postgres', async () => {
    const work = database.transaction(() => Promise.reject(Object.assign(new Error('connect ECONNREFUSED'), { syscall: 'connect' })));
    await expect(work).rejects.not.toBeInstanceOf(StorageUnavailable);
  });

  test('fails when the error of one of its statements was swallowed', async () => {
    const work = database.transaction(async (session) => {
      await session.query(noteCustomer, ['swallowed', 'a']);
      await session.query(fail, [0]).catch(() => undefined);
    });
    await expect(work).rejects.toThrow('Nothing was saved');
    expect(await database.query(customers, ['swallowed'])).toEqual([]);
  });

  test('refuses a statement after its end', async () => {
    const session = await database.transaction((open) => Promise.resolve(open));
    await expect(session.query(whoAmI)).rejects.toThrow('was sent after the end of its transaction');
  });
});

describe('when the connection breaks', () => {
  test('the statement under way fails as unavailable storage, which is ours to retry', async () => {
    const work = database.transaction(async (session) => {
      await terminate(await pidOf(session));
      await session.query(whoAmI);
    });
    await expect(work).rejects.toMatchObject({ code: 'storage.unavailable', outcome: 'retry', ours: true });
    await expect(database.query(whoAmI)).resolves.toHaveLength(1);
  });

  test('while it is idle, no caller notices', async () => {
    const one = await connect(1);
    const pid = await pidOf(one);
    await terminate(pid);
    const other = await waitFor(async () => [await pidOf(one)].find((now) => now !== pid), { what: 'another connection' });
    expect(other).not.toBe(pid);
    await one.close();
  });
});

test('a server that takes no writes any more, as after a failover, counts as a broken connection', async () => {
  const one = await connect(1);
  const pid = await pidOf(one);
  await one.query(statement('test.readOnly', 'SET default_transaction_read_only = on'));
  await expect(one.query(noteCustomer, ['failover', 'a'])).rejects.toMatchObject({ code: 'storage.unavailable', ours: true });
  await expect(one.query(noteCustomer, ['failover', 'a'])).resolves.toEqual([]);
  expect(await pidOf(one)).not.toBe(pid);
  await one.query(statement('test.readOnly.again', 'SET default_transaction_read_only = on'));
  const inTransaction = one.transaction((session) => session.query(noteCustomer, ['failover', 'b']));
  await expect(inTransaction).rejects.toThrow('Postgres is not available: cannot execute INSERT in a read-only transaction');
  await expect(one.query(noteCustomer, ['failover', 'b'])).resolves.toEqual([]);
  await one.close();
});

test('an address without a server is unavailable storage, not a defect', async () => {
  const options = { url: 'postgres://x:y@127.0.0.1:1/z', role: 'millrace_service', applicationName: 'nobody' } as const;
  await expect(Database.connect(options)).rejects.toThrow(StorageUnavailable);
});

test.each([
  ['a login', (url: URL) => Object.assign(url, { username: 'nobody' })],
  ['a database', (url: URL) => Object.assign(url, { pathname: '/nowhere' })],
])('%s that Postgres refuses is a fault of the settings, not unavailable storage', async (_what, changed) => {
  const url = changed(new URL(fresh.url)).href;
  const refused = Database.connect({ url, role: 'millrace_service', applicationName: 'refused' });
  await expect(refused).rejects.toThrow('Postgres refuses the connection');
  await expect(refused).rejects.not.toThrow(StorageUnavailable);
});

test('more callers than connections wait their turn', async () => {
  const small = await connect(2);
  const answers = await Promise.all(Array.from({ length: 50 }, (_, at) => small.query(valueOf, [at])));
  expect(answers.flat()).toEqual(Array.from({ length: 50 }, (_, at) => ({ value: at })));
  await small.close();
});

test('the metrics tell busy connections, idle ones and callers that wait', async () => {
  const small = await connect(1);
  const counts = async (): Promise<number[]> => {
    const { values } = await registry.getSingleMetric('millrace_database_connections')!.get();
    const waiting = (await registry.getSingleMetric('millrace_database_waiting')!.get()).values;
    const of = (found: typeof values, state?: string): number =>
      found.find(({ labels }) => labels['role'] === 'millrace_service' && labels['state'] === state)!.value;
    return [of(values, 'busy'), of(values, 'idle'), of(waiting)];
  };
  const [busy, idle, waiting] = await counts();
  await small.transaction(async () => {
    const next = small.query(whoAmI);
    expect(await counts()).toEqual([busy! + 1, idle! - 1, waiting! + 1]);
    void next.catch(() => undefined);
  });
  await waitFor(async () => (await counts())[2] === waiting, { what: 'the caller that waited' });
  await small.close();
  expect(await counts()).toEqual([busy, idle! - 1, waiting]);
});

test('a listener gets notices, reconnects after its connection broke, and reports that it may have missed some', async () => {
  const heard: string[] = [];
  const subscription = await database.listen('test_channel', (payload) => heard.push(payload));
  expect(heard).toEqual(['']);
  await database.query(notify, ['test_channel', 'one']);
  await waitFor(() => heard.includes('one'), { what: 'the first notice' });

  const { rows } = await owner.query<{ pid: number }>(`SELECT pid FROM pg_stat_activity WHERE query = 'LISTEN "test_channel"'`);
  await terminate(rows[0]?.pid);
  await waitFor(() => heard.length === 3, { what: 'the word that notices may be missing' });
  await database.query(notify, ['test_channel', 'two']);
  await waitFor(() => heard.includes('two'), { what: 'the notice after the break' });
  expect(heard).toEqual(['', 'one', '', 'two']);
  await subscription.close();
});

test('a tenant’s name is data, whatever is in it', async () => {
  const tenants = await TenantDatabase.connect({ url: fresh.queryUrl, role: 'millrace_query', applicationName: 'quotes' });
  const setting = statement('test.setting', `SELECT current_setting('millrace.tenant') AS tenant`);
  const hostile = `a'; RESET ROLE; --`;
  expect(await tenants.asTenant(hostile, (session) => session.query(setting))).toEqual([{ tenant: hostile }]);
  await tenants.close();
});
