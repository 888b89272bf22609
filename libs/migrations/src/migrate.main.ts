import { SettingsInvalid, readSettings } from '#libs/config';
import { DatabaseAddressRefused, StorageUnavailable, databaseSettings, databaseUrl } from '#libs/persistence';
import { migrate } from './migrate.js';
import { MigrationRefused } from './migration-rights.js';

/** `npm run migrate`: brings the database of DATABASE_URL, whose login owns the schema, to the schema of this build. */
try {
  const settings = readSettings('migrate', databaseSettings, process.env);
  await migrate(databaseUrl(settings.databaseUrl, settings));
  console.log('The database has the schema of this build.');
} catch (error) {
  const isExpected = [SettingsInvalid, DatabaseAddressRefused, StorageUnavailable, MigrationRefused].some((kind) => error instanceof kind);
  if (!isExpected) throw error;
  console.error((error as Error).message);
  process.exitCode = 1;
}
