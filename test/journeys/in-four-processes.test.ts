/** @module-tag both-logs What the log decides of a journey: see `sameOnEveryLog` in journeys.ts for the rest. */
import { describe } from 'vitest';
import { freshDatabase, testBrokers, uniqueName } from '#libs/testing';
import { fourProcesses } from '../forms/forms.js';
import { journeySettings, journeys } from './journeys.js';

/** They share a database of their own and the log of the test run. */
describe('in four processes', () => {
  journeys(async (otlpUrl) => {
    const { url: databaseUrl, queryUrl: queryDatabaseUrl } = await freshDatabase();
    return fourProcesses({
      otlpUrl,
      logPrefix: `${uniqueName('journey')}.`,
      settings: journeySettings,
      brokers: testBrokers(),
      databaseUrl,
      queryDatabaseUrl,
    });
  });
});
