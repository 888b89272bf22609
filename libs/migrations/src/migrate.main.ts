import { SettingsInvalid, readSettings, url } from '#libs/config';
import { StorageUnavailable } from '#libs/persistence';
import { migrate } from './migrate.js';
import { MigrationRefused } from './migration-rights.js';

/** `npm run migrate`: brings the database of DATABASE_URL to the schema of this build. */
const settings = {
  databaseUrl: url('DATABASE_URL', ['postgres', 'postgresql'], {
    help: 'Where Postgres is, with user and password of the login that owns the schema and may create roles.',
    secret: true,
  }),
};

try {
  const { databaseUrl } = readSettings('migrate', settings, process.env);
  await migrate(databaseUrl);
  console.log('The database has the schema of this build.');
} catch (error) {
  if (!(error instanceof SettingsInvalid || error instanceof StorageUnavailable || error instanceof MigrationRefused)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
