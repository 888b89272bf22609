import { Client, DatabaseError } from 'pg';
import { DataSource } from 'typeorm';
import type { Database } from './database.js';
import { migrationNames, migrations } from './migrations/index.js';
import { statement } from './statement.js';
import { SchemaOutdated, StorageUnavailable, translated } from './storage.errors.js';

/** Any number, as long as nothing else in the same database locks it. */
const migrationLock = 5_108_212_026;
const ledger = 'migration';

/**
 * Brings the database to the schema of this build. Safe to run from many processes at once: one migrates, the others wait and find it done.
 * Needs a direct connection (no transaction pooler) of a login that owns the schema and may create roles, or finds them created.
 * @throws StorageUnavailable where Postgres is away
 */
export async function migrate(url: string): Promise<void> {
  const lock = new Client({ connectionString: url, application_name: 'millrace-migrate', connectionTimeoutMillis: 5_000, keepAlive: true });
  lock.on('error', () => undefined); // the statement under way fails with it
  const dataSource = new DataSource({
    type: 'postgres',
    url,
    applicationName: 'millrace-migrate',
    migrations,
    migrationsTableName: ledger,
    migrationsTransactionMode: 'each',
    logging: false,
  });
  await lock.connect().catch((error: unknown) => {
    throw new StorageUnavailable(error);
  });
  try {
    await lock.query('SELECT pg_advisory_lock($1)', [migrationLock]);
    await dataSource.initialize();
    await dataSource.runMigrations();
  } catch (error) {
    throw translated(error);
  } finally {
    if (dataSource.isInitialized) await dataSource.destroy();
    await lock.end(); // and the lock with it
  }
}

const applied = statement('migration.applied', `SELECT name FROM ${ledger}`);

/**
 * A newer schema is fine: migrations first widen, and narrow only when no old build runs any more.
 * @throws SchemaOutdated where the database lacks a migration of this build
 */
export async function requireSchema(database: Database): Promise<void> {
  const rows = await database.query<{ name: string }>(applied).catch((error: unknown) => {
    if (error instanceof DatabaseError && error.code === '42P01') return []; // there is no ledger: nothing was ever migrated
    throw error;
  });
  const missing = migrationNames.filter((name) => !rows.some((row) => row.name === name));
  if (missing.length > 0) throw new SchemaOutdated(missing);
}
