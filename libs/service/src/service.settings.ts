import {
  addressRanges,
  flag,
  integer,
  key,
  keys,
  list,
  oneOf,
  optionalBearerKey,
  optionalFile,
  optionalInteger,
  optionalText,
  origins,
  text,
} from '#libs/config';
import type { Settings } from '#libs/config';
import { largestBodyBytes } from '#libs/messaging';
import { databaseSettings } from '#libs/persistence';
import { processSettings } from '#libs/process';
import type { BodyLimits } from './body-reader.js';
import { defaultDoorLimits } from './doors.js';
import type { DoorLimits } from './doors.js';

/** Settings that several services have. An app spreads these tables into its own, so wording and default are the same everywhere. */

/** The limits that hold without settings. */
export const defaultBodyLimits: BodyLimits = {
  limitBytes: 1_048_576,
  bufferBytes: 128 * 1_048_576,
  timeoutMs: 60_000,
  minBytesPerSecond: 1_024,
};

export const httpSettings = {
  host: text('HOST', { help: 'Address to listen on.', fallback: '127.0.0.1' }),
  port: integer('PORT', { min: 0, max: 65_535 }, { help: 'Port to listen on; 0 takes a free one.', fallback: '8080' }),
  operationsPort: optionalInteger(
    'OPERATIONS_PORT',
    { min: 0, max: 65_535 },
    {
      help: 'Port for /healthz, /readyz and /metrics, which are then not on PORT; 0 takes a free one. Empty: they are on PORT. `ai-processing` and `connectors` answer nothing else, so with it they do not listen on PORT.',
    },
  ),
  operationsKey: optionalBearerKey('OPERATIONS_KEY', {
    help: 'The bearer key for /metrics and for the reasons in /readyz. Empty: everybody who reaches the port sees them.',
  }),
  bodyLimitBytes: integer(
    'BODY_LIMIT_BYTES',
    { min: 65_536, max: largestBodyBytes },
    {
      help: 'Largest body of a request; a larger one gets 413. GitHub sends up to 25 MB. What the log has to carry then: docs/operations.md.',
      fallback: String(defaultBodyLimits.limitBytes),
    },
  ),
  bodyBufferBytes: integer(
    'BODY_BUFFER_BYTES',
    { min: 65_536, max: 8_589_934_592 },
    {
      help: 'Bytes of request bodies that the process holds at most, of all requests together; further requests get 503 with Retry-After. Not less than BODY_LIMIT_BYTES.',
      fallback: String(defaultBodyLimits.bufferBytes),
    },
  ),
  bodyTimeoutMs: integer(
    'BODY_TIMEOUT_MS',
    { min: 100, max: 240_000 },
    {
      help: 'How long the body of a request may take before it gets 408.',
      fallback: String(defaultBodyLimits.timeoutMs),
    },
  ),
  bodyMinBytesPerSecond: integer(
    'BODY_MIN_BYTES_PER_SECOND',
    { min: 0, max: 1_048_576 },
    {
      help: 'A body that brings fewer bytes per second, over 5 s, gets 408 before its deadline. 0: there is no lowest rate.',
      fallback: String(defaultBodyLimits.minBytesPerSecond),
    },
  ),
  connectionLimit: integer(
    'CONNECTION_LIMIT',
    { min: 10, max: 1_000_000 },
    {
      help: 'Connections that callers may have open at once. For one more, that is closed which has been without a request for the longest time. Less than the open files that the process may have.',
      fallback: String(defaultDoorLimits.connections),
    },
  ),
  requestLimit: integer(
    'REQUEST_LIMIT',
    { min: 10, max: 100_000 },
    {
      help: 'Requests of doors that may be under way at once, of all connections together; further ones get 503 with Retry-After. A caller who waits for a decision, or follows its draft, counts until it is answered or its stream has ended, so DECISION_CALLERS should be well below.',
      fallback: String(defaultDoorLimits.requests),
    },
  ),
};

const trustedProxies = addressRanges('TRUSTED_PROXIES', {
  help: 'IP addresses and ranges (CIDR) of the proxies before the service, with commas between. Of these, `X-Forwarded-For` names the caller, and client certificates in headers are believed, so they must take both away from what callers send. Empty: none; the peer of a connection is the caller.',
});

/** Settings of a service that web pages call. */
export const browserSettings = {
  allowedOrigins: origins('ALLOWED_ORIGINS', {
    help: 'Origins of web pages that may call, such as https://console.example; `*`: all. Pages of the service’s own host always may, and programs send no origin.',
  }),
};

/** Settings of a service with a door. */
export const doorSettings = {
  ...httpSettings,
  trustedProxies,
  stopDelayMs: integer(
    'STOP_DELAY_MS',
    { min: 0, max: 300_000 },
    {
      help: 'How long a process that gets SIGTERM still serves, unready and with `connection: close`, before it closes its port: load balancers learn late that it stops. At most half of STOP_TIMEOUT_MS. SIGINT (Ctrl-C) does not wait.',
      fallback: '5000',
    },
  ),
};

/** The address that a service listens on, and its limits of bodies. */
export interface HttpOptions {
  host: string;
  /** 0 takes a free port. */
  port: number;
  /** The port of operations; undefined: they are on `port`. 0 takes a free one. */
  operationsPort?: number | undefined;
  /** Limits of request bodies. Default: those of the settings. */
  bodies?: BodyLimits;
  /** Limits of what is taken at once. Default: those of the settings. */
  atOnce?: DoorLimits;
  /** True if nothing but operations is answered. Such a process is unready while something that it needs is away, whoever shares it. */
  isWorker?: boolean;
  /** How long a stop goes on serving before it closes the port. Default 0. */
  stopDelayMs?: number;
  /** Addresses and ranges of the proxies whose headers about the caller are believed. Default: none. */
  trustedProxies?: readonly string[];
}

/**
 * The options of a service with a door, from the settings.
 * @throws Error if the settings do not fit together
 */
export function httpOptions(settings: Settings<typeof doorSettings & typeof processSettings>): HttpOptions {
  const { operationsPort, port, stopDelayMs, stopTimeoutMs, trustedProxies: proxies } = settings;
  if (operationsPort === port && port !== 0)
    throw new Error(`OPERATIONS_PORT and PORT are both ${port}; choose two ports, or leave OPERATIONS_PORT out to have both on one`);
  if (stopDelayMs * 2 > stopTimeoutMs)
    throw new Error(
      `STOP_DELAY_MS (${stopDelayMs}) is more than half of STOP_TIMEOUT_MS (${stopTimeoutMs}); the other half is for what is under way: raise STOP_TIMEOUT_MS`,
    );
  return { ...listenOptions(settings), operationsPort, stopDelayMs, trustedProxies: proxies };
}

/** The options of a service without a door: it answers operations only, on one port. */
export function workerHttpOptions(settings: Settings<typeof httpSettings>): HttpOptions {
  return { ...listenOptions(settings), port: settings.operationsPort ?? settings.port, isWorker: true };
}

function listenOptions(settings: Settings<typeof httpSettings>): HttpOptions {
  const { host, port, bodyLimitBytes, bodyBufferBytes, bodyTimeoutMs, bodyMinBytesPerSecond, connectionLimit, requestLimit } = settings;
  const bodies = {
    limitBytes: bodyLimitBytes,
    bufferBytes: bodyBufferBytes,
    timeoutMs: bodyTimeoutMs,
    minBytesPerSecond: bodyMinBytesPerSecond,
  };
  return { host, port, bodies, atOnce: { connections: connectionLimit, requests: requestLimit } };
}

export const logSettings = {
  kafkaBrokers: list('KAFKA_BROKERS', { help: 'Bootstrap addresses of the log, host:port each.', fallback: '127.0.0.1:9092' }),
  kafkaTls: flag('KAFKA_TLS', { help: 'Whether connections to the log are encrypted.', fallback: 'false' }),
  kafkaCaFile: optionalFile('KAFKA_CA_FILE', {
    help: 'PEM file of the authorities that the brokers’ certificates come from. Empty: those that Node trusts. Read again for each connection, as the next two.',
  }),
  kafkaCertificateFile: optionalFile('KAFKA_CERTIFICATE_FILE', {
    help: 'PEM file of this service’s certificate, where the log asks for one (mTLS).',
  }),
  kafkaKeyFile: optionalFile('KAFKA_KEY_FILE', { help: 'PEM file of the key of that certificate.' }),
  kafkaSaslMechanism: oneOf('KAFKA_SASL_MECHANISM', ['none', 'plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'], {
    help: 'How this service tells the log who it is. `plain` needs KAFKA_TLS.',
    fallback: 'none',
  }),
  kafkaSaslUsername: optionalText('KAFKA_SASL_USERNAME', { help: 'The name for `plain` and `scram-…`.' }),
  kafkaSaslPassword: optionalText('KAFKA_SASL_PASSWORD', { help: 'Its password.', secret: true }),
  kafkaOauthTokenUrl: optionalText('KAFKA_OAUTH_TOKEN_URL', {
    help: 'The token endpoint for `oauthbearer` (client credentials, RFC 6749).',
  }),
  kafkaOauthClientId: optionalText('KAFKA_OAUTH_CLIENT_ID', { help: 'The id of this service there.' }),
  kafkaOauthClientSecret: optionalText('KAFKA_OAUTH_CLIENT_SECRET', { help: 'Its secret.', secret: true }),
  kafkaOauthScope: optionalText('KAFKA_OAUTH_SCOPE', { help: 'The scope to ask for. Empty: none.' }),
  logPrefix: text('LOG_PREFIX', {
    help: 'Prefix of every topic and consumer group. Two installations on one Kafka need different ones.',
    fallback: 'millrace.',
  }),
  kafkaReplication: integer(
    'KAFKA_REPLICATION',
    { min: -1, max: 9 },
    {
      help: 'Replication factor of topics that have to be created. -1: as the brokers are set (default.replication.factor, min.insync.replicas). With 3 or more, they get min.insync.replicas 2.',
      fallback: '-1',
    },
  ),
  kafkaAckCopies: integer(
    'KAFKA_ACK_COPIES',
    { min: 1, max: 9 },
    {
      help: 'Copies that the log must have of an event that is acknowledged. A service does not start on topics that promise fewer (replicas, min.insync.replicas) or that elect unclean leaders. 1: not checked, for one broker in development.',
      fallback: '2',
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
      help: 'Records handled at once per consumer group and process, each of another customer. Where there are several tenants, the last fifth is for those with little under way.',
      fallback: '200',
    },
  ),
};

export const storageSettings = {
  ...databaseSettings,
  databasePoolSize: integer('DATABASE_POOL_SIZE', { min: 2, max: 500 }, { help: 'Connections to Postgres at most.', fallback: '20' }),
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
