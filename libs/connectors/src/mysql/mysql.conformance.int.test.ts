import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Json } from '#libs/json';
import { hasMariaDb, startMariaDb, startRelay, testCertificates, uniqueName } from '#libs/testing';
import type { MariaDbServer } from '#libs/testing';
import { driverConformance } from '../driver.conformance.js';
import { ConnectorHarness, withoutCredential } from '../harness.conformance.js';

let server: MariaDbServer;

const tables = [
  'create table item (sku varchar(200) primary key, stock int not null, version int not null)',
  'create table coded (sku varchar(20) primary key, code varchar(20) not null, unique key by_code (code))',
  'create table note (id bigint unsigned auto_increment primary key, said text)',
  `create table millrace_effect (effect_key varchar(500) character set utf8mb4 collate utf8mb4_bin primary key, output json,
    at timestamp(6) not null default current_timestamp(6))`,
];

/** A database of its own, behind a relay that can keep answers back. */
async function startPeer() {
  const name = uniqueName('shop').replaceAll('-', '_').slice(0, 60);
  const password = 'secret/of-the+database';
  await administer(undefined, `create database ${name}`);
  for (const table of tables) await administer(name, table);
  await administer(undefined, `create user ${name} identified by '${password}'`);
  await administer(undefined, `grant select, insert, update on ${name}.* to ${name}`);
  const relay = await startRelay({ host: '127.0.0.1', port: server.port });
  return {
    ...relay,
    name,
    password,
    inside: (sql: string) => administer(name, sql),
    url: `mysql://127.0.0.1:${relay.port}`,
    get connections() {
      return relay.counts.all;
    },
    get open() {
      return relay.counts.open;
    },
    stop: async () => {
      await relay.stop();
      await administer(undefined, `drop database if exists ${name}`);
      await administer(undefined, `drop user if exists ${name}`);
    },
  };
}
type Peer = Awaited<ReturnType<typeof startPeer>>;

async function administer(database: string | undefined, sql: string): Promise<Record<string, unknown>[]> {
  const client = await createConnection({
    host: '127.0.0.1',
    port: server.port,
    user: 'root',
    ...(database === undefined ? {} : { database }),
  });
  try {
    return (await client.query(sql))[0] as unknown as Record<string, unknown>[];
  } finally {
    client.destroy();
  }
}

const key = { table: 'item', columns: ['sku'] };
const statements = {
  addNote: { operation: 'write', sql: 'insert into note (said) values (?) returning id, said', values: ['said'] },
  setStock: {
    operation: 'upsert',
    sql: 'insert into item values (?, ?, ?) on duplicate key update stock = if(version < values(version), values(stock), stock), version = greatest(version, values(version))',
    values: ['sku', 'stock', 'version'],
    key,
  },
  setCode: {
    operation: 'upsert',
    sql: 'insert into coded values (?, ?) on duplicate key update code = values(code)',
    values: ['sku', 'code'],
    key: { table: 'coded', columns: ['sku'] },
  },
  echo: { operation: 'read', sql: 'select cast(? as char) as said', values: ['said'] },
  few: { operation: 'read', sql: 'select seq from seq_1_to_100', maxRows: 3 },
  types: {
    operation: 'read',
    sql: `select 9007199254740993 as big, 1.10 as exact, cast('2026-11-30 10:00:00.5' as datetime(1)) as at, x'00ff' as bytes, null as none, ? as flag`,
    values: ['flag'],
  },
  changeInRead: { operation: 'read', sql: `insert into note (said) values ('x')` },
  slow: { operation: 'write', sql: 'select sleep(30)' },
  twice: { operation: 'write', sql: 'select 1; delete from note' },
  forbidden: { operation: 'write', sql: 'delete from note' },
  wrong: { operation: 'write', sql: 'insert into item (sku) values (?)', values: ['sku'] },
};
const addNote = { statement: 'addNote', values: { said: 'hello' } };
const notes = async ({ inside }: Peer): Promise<number> => Number((await inside('select count(*) as n from note'))[0]!['n']);
const using = (operation: string, statement: string, values: Record<string, Json> = {}) => ({ operation, input: { statement, values } });
const prepare = (): undefined => undefined;
const settingsOf = ({ port, name }: Peer) => ({ host: '127.0.0.1', port, database: name, tls: 'none', statements });

describe.skipIf(!hasMariaDb())('on MariaDB', () => {
  beforeAll(async () => {
    server = await startMariaDb();
  });
  afterAll(() => server.stop());

  driverConformance({
    name: 'mysql',
    start: startPeer,
    settings: settingsOf,
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
      { name: 'a statement that takes too long', prepare, code: 'operation.timeout', timeoutMs: 400, call: using('write', 'slow') },
      { name: 'a second statement', prepare, code: 'operation.refused', call: using('write', 'twice') },
      { name: 'a missing grant', prepare, code: 'operation.refused', call: using('write', 'forbidden') },
      { name: 'a value that is missing in the row', prepare, code: 'operation.refused', call: using('write', 'wrong', { sku: 'b' }) },
      { name: 'a read that writes', prepare, code: 'operation.refused', call: using('read', 'changeInRead') },
      {
        name: 'a table whose key is not the only one',
        prepare,
        code: 'operation.refused',
        call: using('upsert', 'setCode', { sku: 'a', code: 'b' }),
      },
      { name: 'a statement of another operation', prepare, code: 'operation.inputInvalid', call: using('write', 'echo', { said: 'x' }) },
      { name: 'a missing value', prepare, code: 'operation.inputInvalid', call: using('write', 'addNote') },
      {
        name: 'an account with rights on the whole server',
        prepare: async ({ inside, name }) => void (await inside(`grant file on *.* to ${name}`)),
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

  /** A connection with the credential of the peer. */
  async function connected<T>(work: (run: ConnectorHarness<typeof withoutCredential>['run'], peer: Peer) => Promise<T>, more = {}) {
    const peer = await startPeer();
    const { name: username, password, url } = peer;
    const authorizer = { ...withoutCredential, login: async () => ({ username, password, secrets: [password], version: 1 }) };
    const settings = () => ({ ...settingsOf(peer), ...more });
    const harness = new ConnectorHarness({ name: 'mysql', url, settings, authorizer });
    try {
      return await work((...call) => harness.run(...call), peer);
    } finally {
      await harness.close();
      await peer.stop();
    }
  }

  test('a read is bounded, and keeps all digits', async () => {
    await connected(async (run) => {
      const few = await run('read', { statement: 'few' });
      expect(few.output).toMatchObject({ rows: [{ seq: 1 }, { seq: 2 }, { seq: 3 }], isComplete: false });
      const { output } = await run('read', { statement: 'types', values: { flag: true } });
      expect(JSON.stringify(output)).toBe(
        '{"rows":[{"big":9007199254740993,"exact":1.10,"at":"2026-11-30 10:00:00.5","bytes":"0x00ff","none":null,"flag":"1"}],"isComplete":true}',
      );
    });
  });

  test('a repeat of a write returns the output of the first time', async () => {
    await connected(async (run, peer) => {
      const first = await run('write', addNote);
      const again = await run('write', { ...addNote, values: { said: 'other' } });
      expect(first.output).toMatchObject({ count: 1, rows: [{ said: 'hello' }] });
      expect(JSON.stringify(again.output)).toBe(JSON.stringify(first.output));
      expect(await notes(peer)).toBe(1);
    });
  });

  test('an older state does not replace a newer one', async () => {
    await connected(async (run, peer) => {
      const set = (stock: number, version: number) => run('upsert', { statement: 'setStock', values: { sku: 'a', stock, version } });
      await set(5, 2);
      await set(3, 1);
      expect((await peer.inside('select stock, version from item'))[0]).toEqual({ stock: 5, version: 2 });
    });
  });

  test('a session is encrypted, and the certificate is checked', async () => {
    const encrypted = { tls: 'require' };
    await connected(async (run) => expect(await run('write', addNote)).toBeDefined(), { ...encrypted, ca: testCertificates.authority });
    const refused = connected((run) => run('write', addNote), encrypted);
    await expect(refused).rejects.toMatchObject({ code: 'operation.unavailable', isUncertain: false });
  });
});
