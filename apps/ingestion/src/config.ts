import { integer } from '#libs/config';
import type { Settings } from '#libs/config';
import { redisSettings } from '#libs/redis';
import { doorSettings, serviceSettings } from '#libs/service';

const own = {
  logEvery: integer(
    'INTAKE_LOG_EVERY',
    { min: 0, max: 1_000_000 },
    {
      help: 'Of the accepted requests, every how many-th writes its log line; 0: none. Refused requests always write theirs.',
      fallback: '1',
    },
  ),
  maxBatchEvents: integer(
    'INTAKE_MAX_BATCH_EVENTS',
    { min: 1, max: 10_000 },
    {
      help: 'Events that one CloudEvents batch may hold.',
      fallback: '500',
    },
  ),
  ...redisSettings,
  keptBodyBytes: integer(
    'REQUEST_KEPT_BODY_BYTES',
    { min: 0, max: 1_048_576 },
    {
      help: 'The bytes of its body that are kept of a request that was refused, or that its source wants kept. One with a longer body cannot be verified again.',
      fallback: '65536',
    },
  ),
  mostWaitingCallers: integer(
    'DECISION_CALLERS',
    { min: 1, max: 100_000 },
    {
      help: 'Callers that may wait for decisions in this process at once; further ones get 503 with Retry-After.',
      fallback: '1000',
    },
  ),
  mostWaitingCallersOfTenant: integer(
    'DECISION_CALLERS_PER_TENANT',
    { min: 1, max: 100_000 },
    { help: 'The same for the callers of one tenant.', fallback: '250' },
  ),
};

/** The last day of the seven that the log keeps the copy is left for the publisher, which writes it again each day. */
const longestAgeMs = 6 * 86_400_000;

export const ingestionSettings = {
  ...serviceSettings,
  ...doorSettings,
  configurationMaxAgeMs: integer(
    'CONFIGURATION_MAX_AGE_MS',
    { min: 60_000, max: longestAgeMs },
    {
      help: 'How old the sources, secrets and API keys may be that the door serves while Postgres is away, from memory or from the log’s copy. Older: a start waits, and requests get 503 with Retry-After. No effect in standalone.',
      fallback: String(86_400_000),
    },
  ),
  ...own,
};

/** The settings that the module itself uses. The others belong to the process. */
export type IngestionOptions = Settings<typeof own>;
