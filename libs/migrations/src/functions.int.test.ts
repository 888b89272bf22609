import { Client, escapeIdentifier } from 'pg';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { Database, SchemaOutdated } from '#libs/persistence';
import { uniqueName } from '#libs/testing';
import { readFunctions } from './functions.js';
import type { SqlFunction } from './functions.js';
import { migrate, requireSchema } from './index.js';

let admin: Client;
let owner: Client;
let name: string;
let url: string;
let serviceUrl: string;
/** A database of this build. */
beforeEach(async () => {
  admin = new Client({ connectionString: inject('postgresUrl') });
  await admin.connect();
  name = uniqueName('functions');
  await admin.query(
    `CREATE DATABASE ${escapeIdentifier(name)} TEMPLATE ${escapeIdentifier(inject('postgresTemplate'))} OWNER millrace_owner`,
  );
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

const current = readFunctions();
const text = (body: string, args = '', returns = 'integer'): string =>
  `CREATE OR REPLACE FUNCTION probe(${args}) RETURNS ${returns} LANGUAGE sql AS $$ SELECT ${body} $$;`;
const withProbe = (...parts: Parameters<typeof text>): SqlFunction[] => [...current, { name: 'probe', text: text(...parts) }];

interface StoredFunction {
  name: string;
  definition: string;
  rights: string;
  /** Changes whenever the function is created again. */
  version: string;
}

async function stored(): Promise<StoredFunction[]> {
  const { rows } = await owner.query<StoredFunction>(
    `SELECT oid::regprocedure::text AS name, pg_get_functiondef(oid) AS definition, proacl::text AS rights, xmin::text || '/' || oid AS version
     FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1`,
  );
  return rows;
}

const content = (functions: StoredFunction[]) => functions.map(({ version: _, ...rest }) => rest);

async function start(functions: readonly SqlFunction[]): Promise<void> {
  const database = await Database.connect({ url: serviceUrl, role: 'millrace_service', applicationName: 'start' });
  try {
    await requireSchema(database, [...functions]);
  } finally {
    await database.close();
  }
}

test('migrating again touches no function', async () => {
  const before = await stored();
  expect(before).toHaveLength(current.length);
  await migrate(url);
  expect(await stored()).toEqual(before);
});

test('a database whose functions came from migrations ends up as a fresh one', async () => {
  const fresh = await stored();
  // Before migration 0008: older texts, another return type, other arguments, another right, and no note of any of it.
  await owner.query(`DELETE FROM migration WHERE name = 'SqlFunctions1795219200007'`);
  await owner.query('DROP TABLE sql_function, sql_function_release');
  await owner.query(
    `CREATE OR REPLACE FUNCTION event_state(p_tenant text, p_event text) RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'old' $$`,
  );
  await owner.query('DROP FUNCTION event_states, events_by_id, run_page');
  await owner.query(
    `CREATE FUNCTION event_states(p_tenant text, p_keys text[]) RETURNS TABLE (id text) LANGUAGE sql AS $$ SELECT 'old' $$`,
  );
  await owner.query(
    `CREATE FUNCTION events_by_id(p_keys text[]) RETURNS SETOF event_summary LANGUAGE sql AS $$ SELECT * FROM event_summary $$`,
  );
  await owner.query('GRANT EXECUTE ON FUNCTION run_count, notify_configuration TO PUBLIC');
  await migrate(url);
  expect(content(await stored())).toEqual(content(fresh));
});

test('a changed text is applied again, and the others stay as they are', async () => {
  await migrate(url, withProbe('1'));
  const before = await stored();
  await migrate(url, withProbe('2'));
  const after = await stored();
  const version = (functions: StoredFunction[]) => new Map(functions.map((each) => [each.name, each.version]));
  const changed = after.filter((each) => version(before).get(each.name) !== each.version).map((each) => each.name);
  expect(changed).toEqual(['probe()']);
  expect((await owner.query('SELECT probe() AS value')).rows).toEqual([{ value: 2 }]);
});

test('a function with another return type or other arguments takes the place of the old one', async () => {
  await migrate(url, withProbe('1'));
  await migrate(url, withProbe(`'one'`, '', 'text'));
  expect((await owner.query('SELECT probe() AS value')).rows).toEqual([{ value: 'one' }]);
  await migrate(url, withProbe('p_value + 1', 'p_value integer'));
  expect((await stored()).map((each) => each.name).filter((each) => each.startsWith('probe'))).toEqual(['probe(integer)']);
});

test('a function that the build does not have any more is dropped, and one that is not ours is left alone', async () => {
  await owner.query('CREATE FUNCTION somebody_elses() RETURNS integer LANGUAGE sql AS $$ SELECT 1 $$');
  await migrate(url, withProbe('1'));
  await migrate(url);
  const names = (await stored()).map((each) => each.name);
  expect(names).not.toContain('probe()');
  expect(names).toContain('somebody_elses()');
});

test('only the roles of the services may call a function', async () => {
  await migrate(url, withProbe('1'));
  const { rows } = await owner.query<{ role: string; allowed: boolean }>(
    `SELECT role, has_function_privilege(role, 'probe()', 'EXECUTE') AS allowed FROM unnest(ARRAY['millrace_query', 'millrace_service', 'pg_monitor']) AS role`,
  );
  expect(rows.map(({ allowed }) => allowed)).toEqual([true, true, false]);
});

test('a text that Postgres refuses changes nothing', async () => {
  await migrate(url, withProbe('1'));
  const before = await stored();
  const broken = [...current.slice(1), { name: 'probe', text: text('nothing_of_this_name') }];
  await expect(migrate(url, broken)).rejects.toThrow('nothing_of_this_name');
  expect(await stored()).toEqual(before);
});

test('a service does not start on functions that are older than its own', async () => {
  const newer = withProbe('1');
  await expect(start(newer)).rejects.toThrow(SchemaOutdated);
  await expect(start(newer)).rejects.toThrow('The database lacks the SQL functions of this build.');
  await migrate(url, newer);
  await expect(start(newer)).resolves.toBeUndefined();
});

test('an older service starts on newer functions: old builds run on while new ones roll out', async () => {
  await migrate(url, withProbe('1'));
  await migrate(url, withProbe('2'));
  await expect(start(current)).resolves.toBeUndefined();
  await expect(start(withProbe('1'))).resolves.toBeUndefined();
});

test('after an older build put its functions back, it starts and a newer service does not', async () => {
  const newer = withProbe('1');
  await migrate(url, newer);
  await migrate(url);
  await expect(start(current)).resolves.toBeUndefined();
  await expect(start(newer)).rejects.toThrow(SchemaOutdated);
});
