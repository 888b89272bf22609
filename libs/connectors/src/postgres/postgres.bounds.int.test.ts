import { appendFileSync, chmodSync, chownSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Login } from '#libs/connections';
import { EmbeddedPostgres } from '#libs/embedded-postgres';
import type { Json } from '#libs/json';
import { testCertificates } from '#libs/testing';
import { ConnectorHarness, failureOf } from '../harness.conformance.js';

const password = 'secret-of-the-database';
const statements = {
  few: { operation: 'read', sql: 'select n from generate_series(1, 10) as n', maxRows: 3 },
  all: { operation: 'read', sql: 'select n from generate_series(1, 10) as n', maxRows: 10 },
  wide: { operation: 'read', sql: "select repeat('x', 1000000) as text from generate_series(1, 20)" },
  returned: { operation: 'write', sql: "insert into note (said) select repeat('x', 1000000) from generate_series(1, 20) returning said" },
  slow: { operation: 'read', sql: 'select pg_sleep(60)' },
  encrypted: { operation: 'read', sql: 'select ssl, client_dn from pg_stat_ssl where pid = pg_backend_pid()' },
};
const { authority, server, client, other } = testCertificates;

let directory: string;
let postgres: EmbeddedPostgres;
let admin: Client;
let harness: ConnectorHarness<typeof withoutCredential & { login: () => Promise<Login> }> | undefined;

const withoutCredential = {
  authorize: () => Promise.reject(new Error('a driver sends no requests of HTTP')),
  accepted: () => undefined,
  refused: async () => false,
  account: async () => ({}),
};

/** A Postgres that encrypts where it is asked to, with a database and a role of the tenant. */
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-tenant-database-'));
  postgres = await EmbeddedPostgres.start({ directory, durable: false });
  await postgres.stop();
  const data = join(directory, 'data');
  const { uid, gid } = statSync(data);
  for (const [file, text] of [
    ['server.pem', server.cert],
    ['server.key', server.key],
    ['ca.pem', authority],
  ] as const) {
    writeFileSync(join(data, file), text, { mode: 0o600 });
    chmodSync(join(data, file), 0o600);
    chownSync(join(data, file), uid, gid);
  }
  appendFileSync(
    join(data, 'postgresql.conf'),
    `\nssl = on\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\nssl_ca_file = 'ca.pem'\n`,
  );
  postgres = await EmbeddedPostgres.start({ directory, durable: false });
  admin = await connected('/postgres');
  await admin.query(`create role shop login password '${password}'`);
  await admin.query('create database shop');
  const inside = await connected('/shop');
  await inside.query('create table note (id int generated always as identity primary key, said text)');
  await inside.query('create table millrace_effect (effect_key text primary key, output jsonb, at timestamptz not null default now())');
  await inside.query('grant select, insert, update on all tables in schema public to shop');
  await inside.end();
});
afterAll(async () => {
  await admin?.end();
  await postgres?.stop();
  rmSync(directory, { recursive: true, force: true });
});
beforeEach(() => (harness = undefined));
afterEach(async () => harness?.close());

async function connected(pathname: string): Promise<Client> {
  const one = new Client({ connectionString: Object.assign(new URL(postgres.administratorUrl), { pathname }).href });
  await one.connect();
  return one;
}

/** A connection to that database, and the rows of one of its statements. */
function run(statement: string, settings: { readonly [name: string]: Json } = {}, tls?: Login['tls'], timeoutMs?: number) {
  const { port } = new URL(postgres.administratorUrl);
  const login = async (): Promise<Login> => ({ username: 'shop', password, secrets: [password], version: 1, ...(tls && { tls }) });
  const all = { host: '127.0.0.1', port: Number(port), database: 'shop', tls: 'none', statements, ...settings };
  harness = new ConnectorHarness({
    name: 'postgres',
    url: `postgres://127.0.0.1:${port}`,
    settings: () => all,
    authorizer: { ...withoutCredential, login },
  });
  const operation = statements[statement as keyof typeof statements].operation;
  return harness.run(operation, { statement }, timeoutMs);
}

describe('a session with TLS', () => {
  test('is encrypted, to a server that the authority of the settings has signed', async () => {
    expect((await run('encrypted', { tls: 'require', ca: authority })).output).toMatchObject({ rows: [{ ssl: true, client_dn: null }] });
    await harness!.close();
    expect((await run('encrypted')).output).toMatchObject({ rows: [{ ssl: false }] });
  });

  test('shows the client certificate of the connection', async () => {
    const { output } = await run('encrypted', { tls: 'require', ca: authority }, { ...client });
    expect(output).toMatchObject({ rows: [{ ssl: true, client_dn: expect.stringContaining('CN=') as string }] });
  });

  test.each<[string, { readonly [name: string]: Json }]>([
    ['no known authority has signed', {}],
    ['another authority has signed', { ca: other.cert }],
    ['is for another host', { ca: authority, host: '127.0.0.2' }],
  ])('is not begun with a server whose certificate %s', async (_, settings) => {
    expect(await failureOf(run('encrypted', { tls: 'require', ...settings }))).toMatchObject({ isUncertain: false });
  });
});

describe('what a database returns is bounded', () => {
  test('by the rows of the statement, which says whether these were all', async () => {
    expect((await run('few')).output).toMatchObject({ rows: [{ n: 1 }, { n: 2 }, { n: 3 }], isComplete: false });
    await harness!.close();
    expect((await run('all')).output).toMatchObject({ isComplete: true });
  });

  test.each(['wide', 'returned'])('by its bytes, and nothing took effect: %s', async (statement) => {
    const failed = await failureOf(run(statement));
    expect(failed).toMatchObject({
      code: 'operation.refused',
      isUncertain: false,
      message: expect.stringContaining('more than 8388608 bytes'),
    });
    const inside = await connected('/shop');
    expect((await inside.query('select count(*)::int as n from note')).rows).toEqual([{ n: 0 }]);
    await inside.end();
  });

  test('by its time, also in the database', async () => {
    expect(await failureOf(run('slow', {}, undefined, 500))).toMatchObject({ code: 'operation.timeout' });
    const running = async (): Promise<unknown[]> =>
      (await admin.query(`select 1 from pg_stat_activity where usename = 'shop' and state = 'active'`)).rows;
    await expect.poll(running, { timeout: 5_000 }).toEqual([]);
  });
});
