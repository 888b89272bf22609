import { Client } from 'pg';
import { inject } from 'vitest';
import { startRelay, uniqueName } from '#libs/testing';
import { driverConformance } from '../driver.conformance.js';

const schema = `
  create table item (sku text primary key, stock int not null, version int not null);
  create table note (id int generated always as identity primary key, said text);
  create table millrace_effect (effect_key text primary key, output jsonb, at timestamptz not null default now());
  grant select, insert, update on all tables in schema public to`;

/** A database of the tenant's own on the Postgres of the tests, behind a relay that can keep answers back. */
async function startPeer() {
  const name = uniqueName('shop').replaceAll('-', '_');
  const password = 'secret/of-the+database';
  await administer('/postgres', `create role ${name} login password '${password}'`);
  await administer('/postgres', `create database ${name}`);
  await administer(`/${name}`, `${schema} ${name}`);
  const relay = await startRelay(hostOf(inject('postgresUrl')));
  const inside = async (sql: string) => administer(`/${name}`, sql);
  return {
    name,
    password,
    inside,
    ...relay,
    url: `postgres://127.0.0.1:${relay.port}`,
    get connections() {
      return relay.counts.all;
    },
    get open() {
      return relay.counts.open;
    },
    stop: async () => {
      await relay.stop();
      await administer('/postgres', `drop database if exists ${name} with (force)`);
      await administer('/postgres', `drop role if exists ${name}`);
    },
  };
}
type Peer = Awaited<ReturnType<typeof startPeer>>;

function hostOf(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
}

async function administer(pathname: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: Object.assign(new URL(inject('postgresUrl')), { pathname }).href });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

const statements = {
  addNote: { operation: 'write', sql: 'insert into note (said) values ($1) returning id, said', values: ['said'] },
  setStock: {
    operation: 'upsert',
    sql: 'insert into item values ($1, $2, $3) on conflict (sku) do update set stock = excluded.stock, version = excluded.version where item.version < excluded.version',
    values: ['sku', 'stock', 'version'],
  },
  echo: { operation: 'read', sql: 'select $1::text as said', values: ['said'] },
  slow: { operation: 'write', sql: 'select pg_sleep(30)' },
  twice: { operation: 'write', sql: 'select 1; delete from note' },
  forbidden: { operation: 'write', sql: 'delete from note' },
  wrong: { operation: 'write', sql: 'insert into item (sku) values ($1)', values: ['sku'] },
};
const addNote = { statement: 'addNote', values: { said: 'hello' } };
const notes = async ({ inside }: Peer): Promise<number> => Number((await inside('select count(*) as n from note'))[0]!['n']);
const writing = (statement: string, values: Record<string, string> = {}) => ({ operation: 'write', input: { statement, values } });

driverConformance({
  name: 'postgres',
  start: startPeer,
  settings: ({ port, name }) => ({ host: '127.0.0.1', port, database: name, tls: 'none', statements }),
  login: ({ name, password }) => ({ username: name, password }),
  writes: [
    { operation: 'write', input: addNote, effects: notes },
    {
      operation: 'upsert',
      input: { statement: 'setStock', values: { sku: 'a', stock: 3, version: 1 } },
      effects: async ({ inside }) => Number((await inside('select count(*) as n from item where stock = 3'))[0]!['n']),
    },
  ],
  loseAnswer: ({ lose }) => lose('commit'),
  faults: [
    { name: 'a statement that takes too long', prepare: () => undefined, code: 'operation.timeout', timeoutMs: 400, call: writing('slow') },
    { name: 'a second statement', prepare: () => undefined, code: 'operation.refused', call: writing('twice') },
    { name: 'a missing grant', prepare: () => undefined, code: 'operation.refused', call: writing('forbidden') },
    { name: 'a broken constraint', prepare: () => undefined, code: 'operation.refused', call: writing('wrong', { sku: 'b' }) },
    {
      name: 'a statement of another operation',
      prepare: () => undefined,
      code: 'operation.inputInvalid',
      call: writing('echo', { said: 'x' }),
    },
    { name: 'a missing value', prepare: () => undefined, code: 'operation.inputInvalid', call: writing('addNote') },
    {
      name: 'a role that bypasses row-level security',
      prepare: async ({ inside, name }) => void (await inside(`alter role ${name} bypassrls`)),
      code: 'operation.refused',
    },
    {
      name: 'a database of Millrace',
      prepare: async ({ inside }) => void (await inside('create table step_result (); create table delivery_command ()')),
      code: 'operation.refused',
    },
  ],
  hostile: [
    {
      name: 'a value',
      operation: 'read',
      input: (text) => ({ statement: 'echo', values: { said: text } }),
      seen: (_, { output }) => (output as { rows: { said: string }[] }).rows[0]!.said,
    },
  ],
});
