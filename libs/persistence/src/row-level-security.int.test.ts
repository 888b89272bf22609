import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freshDatabase, uniqueName } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { Database, TenantDatabase, statement } from './index.js';

let fresh: FreshDatabase;
let owner: Client;
let service: Database;
let query: TenantDatabase;
let tables: string[];
beforeAll(async () => {
  fresh = await freshDatabase();
  owner = new Client({ connectionString: fresh.ownerUrl });
  await owner.connect();
  service = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'service' });
  query = await TenantDatabase.connect({ url: fresh.queryUrl, role: 'millrace_query', applicationName: 'query' });
  tables = await tablesOf(owner);
  for (const tenant of ['acme', 'globex']) {
    await service.query(noteCustomer, [tenant, 'cust-1']);
    await service.query(saveDocument, [tenant, 'd', `{"displayName": "${tenant}"}`]);
  }
});
afterAll(async () => {
  await Promise.all([query.close(), service.close(), owner.end()]);
  await fresh.close();
});

const noteCustomer = statement(
  'rls.noteCustomer',
  'INSERT INTO customer (tenant_id, customer, first_event_at, last_event_at) VALUES ($1, $2, now(), now())',
);
const saveDocument = statement(
  'rls.saveDocument',
  `INSERT INTO document (tenant_id, kind, name, version, spec, digest, created_by) VALUES ($1, 'Tenant', $2, 1, $3, 'd', 'test')`,
);
const customers = statement('rls.customers', 'SELECT tenant_id, customer FROM customer');

/** Every table but those in which `migrate` notes what it applied, and those of the logs and the model providers: they belong to no tenant. */
async function tablesOf(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class
     WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace AND relname <> ALL($1) ORDER BY relname`,
    [['migration', 'sql_function', 'sql_function_release', 'log_identity', 'model_provider', 'group_position']],
  );
  return rows.map(({ name }) => name);
}

describe('every table', () => {
  test('exists', () => {
    expect(tables.length).toBeGreaterThan(10);
  });

  test('forces row-level security, on its owner too', async () => {
    const { rows } = await owner.query<{ name: string }>(
      `SELECT relname AS name FROM pg_class WHERE relname = ANY($1) AND NOT (relrowsecurity AND relforcerowsecurity)`,
      [tables],
    );
    expect(rows).toEqual([]);
  });

  test('has a policy for each role, and that of the query role compares the tenant', async () => {
    const { rows } = await owner.query(
      `SELECT tablename AS "table", roles::text[] AS roles,
         qual LIKE '%tenant_id%millrace.tenant%' AND with_check LIKE '%tenant_id%millrace.tenant%' AS "comparesTenant"
       FROM pg_policies WHERE schemaname = 'public' ORDER BY tablename, roles::text`,
    );
    const expected = tables.flatMap((table) => [
      { table, roles: ['millrace_query'], comparesTenant: true },
      { table, roles: ['millrace_service'], comparesTenant: false },
    ]);
    expect(rows).toEqual(expected);
  });

  test('has the tenant as its first key column, and every index but those that workers and key checks scan begins with it', async () => {
    const { rows } = await owner.query<{ index: string; first: string }>(
      `SELECT index.relname AS "index", attribute.attname AS first FROM pg_index
       JOIN pg_class AS index ON index.oid = indexrelid
       JOIN pg_class AS owner ON owner.oid = indrelid AND owner.relname = ANY($1)
       JOIN pg_attribute AS attribute ON attribute.attrelid = indrelid AND attribute.attnum = indkey[0]`,
      [tables],
    );
    const crossing = rows.filter(({ first }) => first !== 'tenant_id').map(({ index }) => index);
    const ofConnections = ['connection_consent_expires', 'connection_state_obtained'];
    expect(crossing.toSorted()).toEqual([
      'api_key_id',
      ...ofConnections,
      'hold_partition',
      'pull_due',
      'review_escalates',
      'review_expires',
      'run_wait_due',
      'run_wait_told',
    ]);
  });

  test('keeps times in milliseconds, so that a cursor made from a Date finds its row again', async () => {
    const { rows } = await owner.query(
      `SELECT table_name, column_name FROM information_schema.columns
       WHERE table_name = ANY($1) AND data_type LIKE 'timestamp%' AND datetime_precision <> 3`,
      [tables],
    );
    expect(rows).toEqual([]);
  });

  test('compares its keys by bytes, whatever the locale of the cluster', async () => {
    const { rows } = await owner.query(
      `SELECT indexrelid::regclass::text AS index, attname AS column FROM pg_index
       CROSS JOIN LATERAL unnest(indkey::smallint[], indcollation::oid[]) AS key (number, collated)
       JOIN pg_attribute ON attrelid = indrelid AND attnum = key.number
       JOIN pg_collation ON pg_collation.oid = key.collated
       WHERE indrelid::regclass::text = ANY($1) AND collname <> 'C'`,
      [tables],
    );
    expect(rows).toEqual([]);
  });

  test('shows the query role nothing while no tenant is set', async () => {
    const visible = statement(
      'rls.visible',
      tables.map((table) => `SELECT '${table}' AS name, count(*) AS rows FROM (SELECT tenant_id FROM ${table}) AS t`).join(' UNION ALL '),
    );
    const rows = await query.query<{ name: string; rows: number }>(visible);
    expect(rows.filter(({ rows: count }) => count > 0)).toEqual([]);
  });
});

describe('the query role', () => {
  test('sees its own rows and no others with a tenant set', async () => {
    expect(await query.asTenant('acme', (session) => session.query(customers))).toEqual([{ tenant_id: 'acme', customer: 'cust-1' }]);
    expect(await query.asTenant('initech', (session) => session.query(customers))).toEqual([]);
  });

  test('sees nothing after that transaction, on the same connection', async () => {
    const one = await TenantDatabase.connect({ url: fresh.queryUrl, role: 'millrace_query', applicationName: 'one', poolSize: 1 });
    await one.asTenant('acme', (session) => session.query(customers));
    expect(await one.query(customers)).toEqual([]);
    await one.asTenant('acme', () => Promise.reject(new Error('rolled back'))).catch(() => undefined);
    expect(await one.query(customers)).toEqual([]);
    await one.close();
  });

  test('cannot write a row of another tenant', async () => {
    const work = query.asTenant('acme', (session) => session.query(saveDocument, ['globex', 'planted', '{}']));
    await expect(work).rejects.toThrow('violates row-level security policy');
  });

  test('cannot write a table that is not its own', async () => {
    const work = query.asTenant('acme', (session) => session.query(noteCustomer, ['acme', 'cust-2']));
    await expect(work).rejects.toThrow('permission denied for table customer');
  });

  test('cannot change or remove a saved version of a document', async () => {
    const change = statement('rls.changeDocument', `UPDATE document SET digest = 'x'`);
    const remove = statement('rls.removeDocument', 'DELETE FROM document');
    for (const forbidden of [change, remove]) {
      await expect(query.asTenant('acme', (session) => session.query(forbidden))).rejects.toThrow('permission denied for table document');
    }
  });

  test('reads the model providers of the installation, and cannot change them', async () => {
    const read = statement('rls.modelProviders', 'SELECT address FROM model_provider');
    expect(await query.asTenant('acme', (session) => session.query(read))).toEqual([]);
    const change = statement('rls.changeModelProviders', `UPDATE model_provider SET models = '{}'`);
    await expect(query.asTenant('acme', (session) => session.query(change))).rejects.toThrow('permission denied for table model_provider');
  });

  test('cannot read the hashes of API keys', async () => {
    const hashes = statement('rls.hashes', 'SELECT secret_hash FROM api_key');
    await expect(query.asTenant('acme', (session) => session.query(hashes))).rejects.toThrow('permission denied for table api_key');
  });

  test('cannot become the service role', async () => {
    const become = statement('rls.become', 'SET ROLE millrace_service');
    const plain = await loginOf('millrace_query');
    await expect(plain.asTenant('acme', (session) => session.query(become))).rejects.toThrow('permission denied to set role');
    await plain.close();
  });
});

test('the service role sees every tenant', async () => {
  expect(await service.query(customers)).toHaveLength(2);
});

test('a plain login that is a member of both roles is bound by the one it takes', async () => {
  const login = await loginOf('millrace_service', 'millrace_query');
  expect(await login.query(customers)).toEqual([]);
  expect(await login.asTenant('globex', (session) => session.query(customers))).toEqual([{ tenant_id: 'globex', customer: 'cust-1' }]);
  await login.close();
});

/** A new unprivileged login with these memberships, connected in the query role. Logins belong to the whole server, so each has its own name. */
async function loginOf(...roles: string[]): Promise<TenantDatabase> {
  const name = uniqueName('login');
  const url = await fresh.login(name, `IN ROLE ${roles.join(', ')}`);
  return TenantDatabase.connect({ url, role: 'millrace_query', applicationName: name });
}
