import { DatabaseClient, StorageUnavailable, readDatabaseAddress, translated } from '#libs/persistence';
import { sleep } from '#libs/time';
import { logger } from '#libs/tracing';
import { applyFunctions, readFunctions } from './functions.js';
import { MigrationRefused, requireMigrationRights } from './migration-rights.js';
import { migrations } from './migrations/index.js';

/** How long a statement may wait for a table. All traffic of the table waits behind it. */
const lockTimeoutMs = 2_000;
/** Pause between two tries, in which the traffic that waited goes on. */
const betweenTriesMs = 1_000;
/** After this time without the lock, somebody has to look for the transaction that holds it. */
const triesForMs = 600_000;

const log = logger('migrations');

/** Any number, as long as nothing else in the same database locks it. */
const migrationLock = 5_108_212_026;

/**
 * Brings the database to the schema and the SQL functions of this build. Many processes may run it at once: one migrates, the others wait
 * and find it done. An older build leaves newer migrations alone, and puts its own functions back.
 * A statement that waits for a table gives up after 2 s, so that traffic does not queue up behind it, and its migration is tried again, for 10 minutes.
 * Needs a direct connection (no transaction pooler). `docs/operations.md` lists the rights that its login needs.
 * @throws StorageUnavailable when Postgres is not available
 * @throws MigrationRefused when the server is too old or the login lacks a right; nothing was changed
 */
export async function migrate(url: string, functions = readFunctions()): Promise<void> {
  const lock = new DatabaseClient({
    ...readDatabaseAddress(url),
    application_name: 'millrace-migrate',
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
  });
  await lock.connect().catch((error: unknown) => {
    throw new StorageUnavailable(error);
  });
  try {
    await lock.query('SELECT pg_advisory_lock($1)', [migrationLock]);
    await requireMigrationRights(lock);
    await lock.query(`SET lock_timeout = ${lockTimeoutMs}`);
    await untilLocksAreFree(() => applyMigrations(url));
    await untilLocksAreFree(() => applyFunctions(lock, functions));
  } catch (error) {
    throw refusalOf(error) ?? translated(error);
  } finally {
    await lock.end(); // releases the lock
  }
}

/** SQLSTATE of a statement that did not get its lock in time. */
const lockNotAvailable = '55P03';

/** Repeats work that is rolled back as a whole. */
async function untilLocksAreFree(work: () => Promise<void>): Promise<void> {
  const startedAt = performance.now();
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const isLocked = error instanceof Error && 'code' in error && error.code === lockNotAvailable;
      if (!isLocked || performance.now() - startedAt > triesForMs) throw error;
      log.warn({ error: error.message }, 'a migration waits for a table that a long transaction uses; it is tried again');
    }
    await sleep(betweenTriesMs);
  }
}

const insufficientPrivilege = '42501';

/** For a right that the checks before do not know of, such as one that an administrator took from the login. */
function refusalOf(error: unknown): MigrationRefused | undefined {
  if (!(error instanceof Error && 'code' in error && error.code === insufficientPrivilege)) return undefined;
  return new MigrationRefused(`Postgres refuses a statement of the migration: ${error.message}.`, error);
}

/** TypeORM is loaded here and nowhere else: a service that only checks the schema does not pay for its modules. */
async function applyMigrations(url: string): Promise<void> {
  const { DataSource } = await import('typeorm');
  const { connectionString, tls } = readDatabaseAddress(url);
  const dataSource = new DataSource({
    type: 'postgres',
    url: connectionString,
    extra: { tls, Client: DatabaseClient, lock_timeout: lockTimeoutMs },
    applicationName: 'millrace-migrate',
    migrations,
    migrationsTableName: 'migration',
    migrationsTransactionMode: 'each',
    logging: false,
  });
  try {
    await dataSource.initialize();
    await dataSource.runMigrations();
  } finally {
    if (dataSource.isInitialized) await dataSource.destroy();
  }
}
