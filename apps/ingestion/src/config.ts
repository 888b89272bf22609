import { integer } from '#libs/config';
import type { Settings } from '#libs/config';
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
};

export const ingestionSettings = {
  ...serviceSettings,
  ...doorSettings,
  ...own,
};

/** The settings that the module itself uses. The others belong to the process. */
export type IngestionOptions = Settings<typeof own>;
