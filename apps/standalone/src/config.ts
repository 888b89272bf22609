import { localBrokerSettings } from '#apps/local-broker';
import { querySettings } from '#apps/query';
import { integer, oneOf, optionalBearerKey, optionalText, optionalUrl, text } from '#libs/config';
import { outboundSettings } from '#libs/http';
import { databaseTlsSettings } from '#libs/persistence';
import { processSettings } from '#libs/process';
import { secretStoreSettings } from '#libs/secret-stores';
import { doorSettings } from '#libs/service';
import { logLevels } from '#libs/tracing';

/** Settings of the one-process form. The composition fills in the addresses that the services need of each other. */
export const standaloneSettings = {
  ...doorSettings,
  ...processSettings,
  port: integer('PORT', { min: 1, max: 65_535 }, { help: 'Port to listen on.', fallback: '8080' }),
  stopDelayMs: integer(
    'STOP_DELAY_MS',
    { min: 0, max: 300_000 },
    { help: 'How long a process that gets SIGTERM still serves before it closes its port; useful behind a load balancer.', fallback: '0' },
  ),
  logLevel: oneOf('LOG_LEVEL', logLevels, { help: 'Lowest level that is written; `info` shows every unit of work.', fallback: 'warn' }),
  directory: text('MILLRACE_DIRECTORY', { help: 'Folder of all data of the one-process form.', fallback: '.millrace' }),
  kafkaBrokers: optionalText('KAFKA_BROKERS', { help: 'A Kafka to use instead of the embedded log, host:port, comma-separated.' }),
  logRetentionMegabytes: localBrokerSettings.retentionMegabytes,
  databaseUrl: optionalUrl('DATABASE_URL', ['postgres', 'postgresql'], {
    help: 'A Postgres to use instead of the embedded one, with a login that owns the database and is no superuser.',
    secret: true,
  }),
  ...databaseTlsSettings,
  operatorKey: optionalBearerKey('OPERATOR_KEY', { help: 'The operator’s key to use instead of the generated one.' }),
  modelBaseUrl: optionalText('MODEL_BASE_URL', {
    help: 'An OpenAI-compatible API to use instead of the local model, such as https://host/v1.',
  }),
  modelApiKey: optionalText('MODEL_API_KEY', { help: 'The API key for it.', secret: true }),
  allowPrivateAddresses: oneOf('DELIVERY_ALLOW_PRIVATE_ADDRESSES', ['auto', 'true', 'false'], {
    help: 'Allows destinations and connections at loopback, private and other inner addresses. `auto`: only while HOST is a loopback address.',
    fallback: 'auto',
  }),
  allowedUrls: outboundSettings.allowedUrls,
  consentCallbackUrl: optionalUrl('CONSENT_CALLBACK_URL', ['http', 'https'], {
    help: 'The address of /connections/callback at this installation as browsers reach it. Empty: that of HOST and PORT.',
  }),
  webhooksUrl: querySettings.webhooksUrl,
  ...secretStoreSettings,
  secretsRefreshMs: querySettings.secretsRefreshMs,
};
