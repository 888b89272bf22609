import { integer, key, keys, list, optionalBearerKey, origins, text, url } from '#libs/config';
import { processSettings } from '#libs/process';

/** Settings that several services have. An app spreads these tables into its own, so wording and default are the same everywhere. */

export const httpSettings = {
  host: text('HOST', { help: 'Address to listen on.', fallback: '127.0.0.1' }),
  port: integer('PORT', { min: 0, max: 65_535 }, { help: 'Port to listen on; 0 takes a free one.', fallback: '8080' }),
  operationsKey: optionalBearerKey('OPERATIONS_KEY', {
    help: 'The bearer key for /metrics and for the reasons in /readyz. Empty: everybody who reaches the port sees them.',
  }),
};

/** Settings of a service that web pages call. */
export const browserSettings = {
  allowedOrigins: origins('ALLOWED_ORIGINS', {
    help: 'Origins of web pages that may call, such as https://console.example; `*`: all. Pages of the service’s own host always may, and programs send no origin.',
  }),
};

export const logSettings = {
  kafkaBrokers: list('KAFKA_BROKERS', { help: 'Bootstrap addresses of the log, host:port each.', fallback: '127.0.0.1:9092' }),
  logPrefix: text('LOG_PREFIX', {
    help: 'Prefix of every topic and consumer group. Two installations on one Kafka need different ones.',
    fallback: 'millrace.',
  }),
  kafkaReplication: integer(
    'KAFKA_REPLICATION',
    { min: 1, max: 9 },
    {
      help: 'Replication factor of topics that have to be created. In production 3, with min.insync.replicas 2.',
      fallback: '1',
    },
  ),
  ackTimeoutMs: integer(
    'LOG_ACK_TIMEOUT_MS',
    { min: 100, max: 60_000 },
    {
      help: 'How long an append may wait for the log before its caller gets 503.',
      fallback: '5000',
    },
  ),
  sessionTimeoutMs: integer(
    'LOG_SESSION_TIMEOUT_MS',
    { min: 6_000, max: 300_000 },
    {
      help: 'How long a process may be silent before its partitions go to others; customers of a killed process wait this long. The log’s own limits apply too.',
      fallback: '15000',
    },
  ),
  handlerDeadlineMs: integer(
    'HANDLER_DEADLINE_MS',
    { min: 1_000, max: 86_400_000 },
    {
      help: 'How long one attempt at a record may take before it is reported; after twice as long the process ends, so that another one takes the record. Longer than the slowest flow.',
      fallback: '1800000',
    },
  ),
  handlerConcurrency: integer(
    'HANDLER_CONCURRENCY',
    { min: 1, max: 10_000 },
    {
      help: 'Records handled at once per consumer group and process, each of another customer.',
      fallback: '200',
    },
  ),
};

export const storageSettings = {
  databaseUrl: url('DATABASE_URL', ['postgres', 'postgresql'], { help: 'Address of Postgres, with user and password.', secret: true }),
  databasePoolSize: integer('DATABASE_POOL_SIZE', { min: 1, max: 500 }, { help: 'Connections to Postgres at most.', fallback: '20' }),
};

export const secretSettings = {
  secretsKey: key('SECRETS_KEY', {
    help: 'Key that encrypts secrets in documents. Without it they cannot be read again.',
  }),
  previousSecretsKeys: keys('SECRETS_KEYS_PREVIOUS', {
    help: 'Earlier keys, which still open secrets during a rotation.',
  }),
};

/** Settings of every service that uses the log and Postgres. */
export const serviceSettings = { ...httpSettings, ...processSettings, ...logSettings, ...storageSettings, ...secretSettings };
