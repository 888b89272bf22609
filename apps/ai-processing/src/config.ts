import { integer, oneOf, text, url } from '#libs/config';
import type { Settings } from '#libs/config';
import { serviceSettings } from '#libs/service';

const own = {
  modelBaseUrl: url('MODEL_BASE_URL', ['http', 'https'], {
    help: 'The OpenAI-compatible API that infer steps call, up to and including its version, such as https://host/v1.',
  }),
  modelApiKey: text('MODEL_API_KEY', { help: 'The API key for it.', secret: true }),
  modelApi: oneOf('MODEL_API', ['chat', 'responses'], {
    help: 'Which of the two APIs it speaks: chat completions or responses.',
    fallback: 'chat',
  }),
  runRetries: integer(
    'RUN_RETRIES',
    { min: 0, max: 100 },
    {
      help: 'How often a run that failed in a passing way is tried again before it is given up. Waiting for a limited model or its credential uses up none.',
      fallback: '5',
    },
  ),
  runLeaseMs: integer(
    'RUN_LEASE_MS',
    { min: 1_000, max: 300_000 },
    {
      help: 'How long a run stays claimed after its process was last heard of; it is renewed while the run is at work.',
      fallback: '15000',
    },
  ),
  retentionDays: integer(
    'RETENTION_DAYS',
    { min: 8, max: 36_500 },
    {
      help: 'How many days an event is kept after all that followed from it has ended. The log keeps its records for 7 days, and until then an event must be known, or it would take effect again.',
      fallback: '30',
    },
  ),
};

export const aiProcessingSettings = {
  ...serviceSettings,
  ...own,
};

/** The settings of the module. The other settings of the table belong to the process. */
export type AiProcessingOptions = Settings<typeof own>;
