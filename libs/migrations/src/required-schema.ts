import { DatabaseError } from 'pg';
import { SchemaOutdated, statement } from '#libs/persistence';
import type { Database } from '#libs/persistence';
import { migrationNames } from './migrations/index.js';

const appliedMigrations = statement('migration.applied', 'SELECT name FROM migration');
const undefinedTable = '42P01';

/**
 * Checks that the database has every migration of this build. A newer schema passes: migrations first widen the schema, and narrow it only when
 * no older build runs any more.
 * @throws SchemaOutdated where a migration of this build was not applied
 */
export async function requireSchema(database: Database): Promise<void> {
  const rows = await database.query<{ name: string }>(appliedMigrations).catch((error: unknown) => {
    if (error instanceof DatabaseError && error.code === undefinedTable) return []; // nothing was ever migrated
    throw error;
  });
  const missing = migrationNames.filter((name) => !rows.some((row) => row.name === name));
  if (missing.length > 0) throw new SchemaOutdated(`the ${missing.length === 1 ? 'migration' : 'migrations'} ${missing.join(', ')}`);
}
