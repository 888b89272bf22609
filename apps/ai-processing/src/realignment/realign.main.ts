import { SettingsInvalid, readSettings } from '#libs/config';
import { LogUnavailable } from '#libs/messaging';
import { Database, DatabaseAddressRefused, RoleRefused, StorageUnavailable, databaseSettings, databaseUrl } from '#libs/persistence';
import { logOptions, logSettings } from '#libs/service';
import { RealignmentRefused, realign } from './realignment.js';

/** `npm run realign`: brings the log of KAFKA_BROKERS and the Postgres of DATABASE_URL together after one of them lost its last changes. */
try {
  const settings = readSettings('realign', { ...databaseSettings, ...logSettings }, process.env);
  const url = databaseUrl(settings.databaseUrl, settings);
  const database = await Database.connect({ url, role: 'millrace_service', applicationName: 'millrace-realign', poolSize: 2 });
  try {
    const { groups, records, appended, lettersLost } = await realign(database, { ...logOptions(settings), clientId: 'millrace-realign' });
    console.log(`${groups} groups go on where this Postgres has them; ${records} records are handled from there, many of them again.`);
    console.log(`${appended} events that the log lacked were appended from Postgres.`);
    if (lettersLost > 0) console.log(`${lettersLost} held customers whose dead letter was lost are tried again.`);
    console.log('Start ai-processing, connectors and query, then ingestion.');
  } finally {
    await database.close();
  }
} catch (error) {
  const expected = [SettingsInvalid, DatabaseAddressRefused, RoleRefused, StorageUnavailable, LogUnavailable, RealignmentRefused];
  if (!expected.some((kind) => error instanceof kind)) throw error;
  console.error((error as Error).message);
  process.exitCode = 1;
}
