import { DatabaseError } from 'pg';
import { SchemaOutdated, statement } from '#libs/persistence';
import type { Database } from '#libs/persistence';
import { digestOf, readFunctions } from './functions.js';
import { migrationNames } from './migrations/index.js';

const appliedMigrations = statement('migration.applied', 'SELECT name FROM migration');
/** SQLSTATEs of a table that is not there, or that the first migration has not granted yet. */
const notMigrated = ['42P01', '42501'];

/**
 * `isApplied` is null where these functions were never applied, and false where an older build applied its own functions since. The build whose
 * functions were first applied earlier is the older one.
 */
const functionsApplied = statement(
  'sqlFunction.isApplied',
  `SELECT min(id) <= (
     SELECT min(id) FROM sql_function_release WHERE digest = (SELECT digest FROM sql_function_release ORDER BY id DESC LIMIT 1)) AS "isApplied"
   FROM sql_function_release WHERE digest = $1`,
);

/**
 * Checks that the database has every migration and the functions of this build. A newer schema passes: releases first widen the schema and the
 * functions, and narrow them only when no older build runs any more.
 * @throws SchemaOutdated where a migration or a function of this build was not applied
 */
export async function requireSchema(database: Database, functions = readFunctions()): Promise<void> {
  const rows = await database.query<{ name: string }>(appliedMigrations).catch((error: unknown) => {
    if (error instanceof DatabaseError && notMigrated.includes(error.code ?? '')) return []; // nothing was ever migrated
    throw error;
  });
  const missing = migrationNames.filter((name) => !rows.some((row) => row.name === name));
  if (missing.length > 0) throw new SchemaOutdated(`the ${missing.length === 1 ? 'migration' : 'migrations'} ${missing.join(', ')}`);
  const [release] = await database.query<{ isApplied: boolean | null }>(functionsApplied, [digestOf(functions)]);
  if (release?.isApplied !== true) throw new SchemaOutdated('the SQL functions of this build');
}
