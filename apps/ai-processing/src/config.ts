import { integer, oneOf, optionalInteger, text, url } from '#libs/config';
import type { Settings } from '#libs/config';
import { outboundSettings } from '#libs/http';
import { redisSettings } from '#libs/redis';
import { longestLeaseMs } from '#libs/persistence';
import { serviceSettings } from '#libs/service';

const own = {
  modelBaseUrl: url('MODEL_BASE_URL', ['http', 'https'], {
    help: 'The OpenAI-compatible API that infer steps call, up to and including its version, such as https://host/v1.',
  }),
  modelApiKey: text('MODEL_API_KEY', { help: 'The API key for it.', secret: true }),
  modelApi: oneOf('MODEL_API', ['chat', 'responses'], {
    help: 'The API to call: chat completions or responses.',
    fallback: 'chat',
  }),
  modelRequestsPerMinute: optionalInteger(
    'MODEL_REQUESTS_PER_MINUTE',
    { min: 1, max: 10_000_000 },
    {
      help: 'The most requests to each model of MODEL_BASE_URL in a minute, for all processes together. Empty: as the provider says in its answers, if it does.',
    },
  ),
  modelTokensPerMinute: optionalInteger(
    'MODEL_TOKENS_PER_MINUTE',
    { min: 1, max: 10_000_000_000 },
    { help: 'The same for tokens, input and output together.' },
  ),
  ...redisSettings,
  runRetries: integer(
    'RUN_RETRIES',
    { min: 0, max: 100 },
    {
      help: 'Retries of a run after transient failures before it is given up. Waits for a limited model or a refused credential do not count.',
      fallback: '5',
    },
  ),
  runLeaseMs: integer(
    'RUN_LEASE_MS',
    { min: 1_000, max: longestLeaseMs },
    {
      help: 'How long a run stays claimed after its process was last heard of; it is renewed while the run is at work.',
      fallback: '15000',
    },
  ),
  retentionDays: integer(
    'RETENTION_DAYS',
    { min: 8, max: 36_500 },
    {
      help: 'Days that an event is kept after everything that followed from it has ended. At least 8, because the log can give its record again for 7 days.',
      fallback: '30',
    },
  ),
  requestRetentionDays: integer(
    'REQUEST_RETENTION_DAYS',
    { min: 1, max: 3_650 },
    {
      help: 'Days that a request is kept as it was received. Of each source and outcome at most the newest 1000 and 32 MiB are kept.',
      fallback: '7',
    },
  ),
  ...outboundSettings,
};

export const aiProcessingSettings = {
  ...serviceSettings,
  ...own,
};

/** The settings of the module. The other settings of the table belong to the process. */
export type AiProcessingOptions = Settings<typeof own> & Pick<Settings<typeof serviceSettings>, 'handlerConcurrency'>;
