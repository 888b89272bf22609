import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client, escapeIdentifier } from 'pg';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { uniqueName, waitFor } from '#libs/testing';
import { EmbeddedPostgres } from '#libs/embedded-postgres';
import { Database, SchemaOutdated, StorageUnavailable } from '#libs/persistence';
import { MigrationRefused, migrate, requireSchema } from './index.js';
import { migrationNames } from './migrations/index.js';

let admin: Client;
let owner: Client;
let name: string;
/** The address of the login that owns the database. */
let url: string;
let serviceUrl: string;
/** A database that nobody has migrated. */
beforeEach(async () => {
  admin = new Client({ connectionString: inject('postgresUrl') });
  await admin.connect();
  name = uniqueName('empty');
  await admin.query(`CREATE DATABASE ${escapeIdentifier(name)} OWNER millrace_owner`);
  const as = (username: string): string => Object.assign(new URL(inject('postgresUrl')), { pathname: `/${name}`, username }).href;
  url = as('millrace_owner');
  serviceUrl = as('millrace_service');
  owner = new Client({ connectionString: url });
  await owner.connect();
});
afterEach(async () => {
  await owner.end();
  await admin.query(`DROP DATABASE ${escapeIdentifier(name)} WITH (FORCE)`);
  await admin.end();
});

async function applied(): Promise<string[]> {
  const { rows } = await owner.query<{ name: string }>('SELECT name FROM migration ORDER BY id');
  return rows.map((row) => row.name);
}

/** Leaves a server on which nobody ever migrated. */
async function dropRoles({ administratorUrl }: EmbeddedPostgres): Promise<void> {
  const superuser = new Client({ connectionString: administratorUrl });
  await superuser.connect();
  await superuser.query('DROP ROLE millrace_service, millrace_query');
  await superuser.end();
}

async function start(login = serviceUrl): Promise<void> {
  const database = await Database.connect({ url: login, role: 'millrace_service', applicationName: 'start' });
  try {
    await requireSchema(database);
  } finally {
    await database.close();
  }
}

test('many processes that migrate at the same moment apply each migration once', async () => {
  await Promise.all(Array.from({ length: 4 }, () => migrate(url)));
  expect(await applied()).toEqual(migrationNames);
});

test('migrating again changes nothing', async () => {
  await migrate(url);
  await migrate(url);
  expect(await applied()).toEqual(migrationNames);
  await expect(start()).resolves.toBeUndefined();
});

test('a service does not start on a database that was never migrated, and says which command to run', async () => {
  await expect(start()).rejects.toThrow(SchemaOutdated);
  await expect(start()).rejects.toThrow('Run `npm run migrate` with DATABASE_URL');
});

test('a service does not start either where not even its role exists', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'millrace-no-roles-'));
  const postgres = await EmbeddedPostgres.start({ directory, durable: false });
  try {
    await dropRoles(postgres);
    const connecting = Database.connect({ url: postgres.ownerUrl, role: 'millrace_service', applicationName: 'start' });
    await expect(connecting).rejects.toThrow(SchemaOutdated);
  } finally {
    await postgres.stop();
    await rm(directory, { recursive: true });
  }
});

test('a service does not start on a schema that lacks a migration, and says which', async () => {
  await migrate(url);
  const newest = migrationNames.at(-1);
  await owner.query('DELETE FROM migration WHERE name = $1', [newest]);
  await expect(start()).rejects.toThrow(`The database lacks the migration ${newest}.`);
});

test('a service starts on a newer schema: old builds run on while new ones roll out', async () => {
  await migrate(url);
  await owner.query(`INSERT INTO migration (timestamp, name) VALUES (9999999999999, 'Later9999999999999')`);
  await expect(start()).resolves.toBeUndefined();
});

test('a plain login that owns the database and may create roles can migrate it', async () => {
  const login = uniqueName('owner');
  await admin.query(`CREATE ROLE ${escapeIdentifier(login)} LOGIN CREATEROLE PASSWORD 'secret'`);
  await admin.query(`ALTER DATABASE ${escapeIdentifier(name)} OWNER TO ${escapeIdentifier(login)}`);
  // Another database of the same server made the roles, and their administrator lets this login take them.
  await admin.query(`GRANT millrace_service, millrace_query TO ${escapeIdentifier(login)}`);
  url = Object.assign(new URL(url), { username: login, password: 'secret' }).href;
  await migrate(url);
  expect(await applied()).toEqual(migrationNames);
  await expect(start(url)).resolves.toBeUndefined(); // one login may do everything
});

/** Turns `url` into that of a new login. */
async function asLogin(rights = ''): Promise<string> {
  const login = uniqueName('login');
  await admin.query(`CREATE ROLE ${escapeIdentifier(login)} LOGIN ${rights} PASSWORD 'secret'`);
  url = Object.assign(new URL(url), { username: login, password: 'secret' }).href;
  return login;
}

async function refusal(): Promise<string> {
  const error = await migrate(url).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(MigrationRefused);
  expect((await owner.query(`SELECT to_regclass('migration') AS migration`)).rows).toEqual([{ migration: null }]);
  return (error as Error).message;
}

test('a login that may not create tables is refused before anything is changed', async () => {
  const login = await asLogin();
  expect(await refusal()).toBe(
    `The login ${login} may not create tables in the schema public of the database ${name}: as an administrator, run ALTER DATABASE "${name}" OWNER TO "${login}", then migrate again.`,
  );
});

test('a login that cannot take the roles is refused, and what the refusal asks for is enough', async () => {
  const login = await asLogin();
  await admin.query(`ALTER DATABASE ${escapeIdentifier(name)} OWNER TO ${escapeIdentifier(login)}`);
  const remedy = 'GRANT millrace_service, millrace_query TO';
  expect(await refusal()).toBe(
    `The login ${login} is no member of the roles millrace_service and millrace_query and may not become one: as an administrator, run ${remedy} "${login}", then migrate again.`,
  );
  await admin.query(`${remedy} ${escapeIdentifier(login)}`);
  await migrate(url);
  expect(await applied()).toEqual(migrationNames);
});

test('a login that does not own the tables is refused with the name of the one that does', async () => {
  await migrate(url);
  const { rows } = await owner.query<{ owner: string }>('SELECT current_user AS owner');
  const login = await asLogin('CREATEROLE');
  await expect(migrate(url)).rejects.toThrow(`belong to ${rows[0]!.owner}, not to ${login}: migrate with the login ${rows[0]!.owner}.`);
});

test('where the roles do not exist, a login that may not create them is told how an administrator does', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'millrace-no-roles-'));
  const postgres = await EmbeddedPostgres.start({ directory, durable: false });
  const superuser = new Client({ connectionString: postgres.administratorUrl });
  await superuser.connect();
  await dropRoles(postgres);
  try {
    await superuser.query(`CREATE ROLE plain LOGIN PASSWORD 'secret'`);
    await superuser.query('ALTER DATABASE millrace OWNER TO plain');
    const plain = Object.assign(new URL(postgres.administratorUrl), { username: 'plain', password: 'secret' }).href;
    const remedy = 'CREATE ROLE millrace_service; CREATE ROLE millrace_query; GRANT millrace_service, millrace_query TO "plain"';
    await expect(migrate(plain)).rejects.toThrow(`as an administrator, run ${remedy}, then migrate again.`);
    await superuser.query(remedy);
    await migrate(plain);
  } finally {
    await superuser.end();
    await postgres.stop();
    await rm(directory, { recursive: true });
  }
});

test('a migration that waits for a table holds no traffic behind it, and is tried again until it gets the table', async () => {
  await migrate(url);
  // As before migration 0010.
  await owner.query(`DROP TABLE log_identity; ALTER TABLE hold DROP COLUMN cause_log;
    ALTER TABLE held_record DROP CONSTRAINT held_record_pkey, DROP COLUMN log,
      ADD PRIMARY KEY (tenant_id, consumer_group, topic, partition, record_key, log_offset);
    DELETE FROM migration WHERE name = 'LogIdentities1795219200009'`);
  await owner.query('BEGIN; SELECT FROM hold'); // a long transaction
  const migrating = migrate(url);
  const other = new Client({ connectionString: url });
  await other.connect();
  const waiting = async (): Promise<boolean> => {
    const { rowCount } = await other.query(`SELECT FROM pg_locks WHERE relation = 'hold'::regclass AND NOT granted`);
    return rowCount! > 0;
  };
  await waitFor(waiting, { what: 'the migration to wait for the table' });
  await other.query('SELECT FROM hold'); // ends although the long transaction does not
  await waitFor(waiting, { what: 'the next try' });
  await owner.query('COMMIT');
  await migrating;
  await other.end();
  expect((await applied()).toSorted()).toEqual(migrationNames.toSorted());
});

test('without Postgres it fails as unavailable storage', async () => {
  await expect(migrate('postgres://x:y@127.0.0.1:1/z')).rejects.toThrow(StorageUnavailable);
});
