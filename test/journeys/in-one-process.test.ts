/** @module-tag both-logs What the log decides of a journey: see `sameOnEveryLog` in journeys.ts for the rest. */
import { describe } from 'vitest';
import { onKafka, testBrokers, uniqueName } from '#libs/testing';
import { oneProcess } from '../forms/forms.js';
import { journeySettings, journeys } from './journeys.js';

/** It brings its own log, unless a Kafka is under test. */
describe('in one process', () => {
  journeys((otlpUrl) =>
    oneProcess({
      otlpUrl,
      logPrefix: `${uniqueName('journey')}.`,
      settings: journeySettings,
      ...(onKafka() ? { brokers: testBrokers() } : {}),
    }),
  );
});
