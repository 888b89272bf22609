import { SecretBox } from '#libs/auth';
import type { Settings } from '#libs/config';
import type { LogSecurity, SaslLogin } from '#libs/messaging';
import { databaseUrl } from '#libs/persistence';
import type { Doors } from './doors.js';
import type { Readiness } from './readiness.js';
import type { logSettings, secretSettings, storageSettings } from './service.settings.js';
import type { StartWait } from './start-wait.js';

/** The log, as this process uses it. */
export interface LogBootOptions {
  brokers: readonly string[];
  /** Prefix of every topic and consumer group. */
  prefix?: string;
  security?: LogSecurity;
  /** Replication factor of topics that have to be created. Default: as the brokers are set. */
  replication?: number;
  /** Copies that an acknowledged event must have; topics with fewer are refused. Default 1. */
  ackCopies?: number;
  ackTimeoutMs: number;
  /** Records handled at once per consumer group. */
  concurrency: number;
  sessionTimeoutMs: number;
  handlerDeadlineMs: number;
}

/** Postgres in the role that works across tenants, and the configuration read from it. */
export interface StorageBootOptions {
  url: string;
  /** The largest number of connections. */
  poolSize: number;
  secretBox: SecretBox;
  /**
   * For a process with a door: while Postgres is away, it starts and serves from the log's copy of the configuration, and serves no configuration that
   * is older than this, in ms. Default: it waits for Postgres at its start, and then serves what it has read last.
   */
  configurationMaxAgeMs?: number;
  /** True if the process keeps the log's copy equal to what Postgres has. Default false. */
  publishesConfiguration?: boolean;
}

/** The resources that the services of a process share. A process without `log` or `storage` has none. */
export interface BootOptions {
  service: string;
  log?: LogBootOptions;
  storage?: StorageBootOptions;
}

/** The objects that exist before Nest creates the application. They answer requests while the start is under way. */
export interface BootContext {
  doors: Doors;
  readiness: Readiness;
  wait: StartWait;
}

/** The log, from the settings of a service. */
export function logOptions(settings: Settings<typeof logSettings>): LogBootOptions {
  if (settings.kafkaReplication === 0) throw new Error('KAFKA_REPLICATION is 0; take -1 for what the brokers are set to, or 1 to 9');
  return {
    brokers: settings.kafkaBrokers,
    prefix: settings.logPrefix,
    security: logSecurity(settings),
    replication: settings.kafkaReplication,
    ackCopies: settings.kafkaAckCopies,
    ackTimeoutMs: settings.ackTimeoutMs,
    concurrency: settings.handlerConcurrency,
    sessionTimeoutMs: settings.sessionTimeoutMs,
    handlerDeadlineMs: settings.handlerDeadlineMs,
  };
}

/** @throws Error if the settings do not fit together */
function logSecurity(settings: Settings<typeof logSettings>): LogSecurity {
  const { kafkaTls, kafkaCaFile: caFile, kafkaCertificateFile: certificateFile, kafkaKeyFile: keyFile } = settings;
  if ((certificateFile === undefined) !== (keyFile === undefined))
    throw new Error('KAFKA_CERTIFICATE_FILE and KAFKA_KEY_FILE belong together');
  if (!kafkaTls && (caFile ?? certificateFile) !== undefined)
    throw new Error('KAFKA_CA_FILE and KAFKA_CERTIFICATE_FILE need KAFKA_TLS=true');
  return { tls: kafkaTls ? { caFile, certificateFile, keyFile } : undefined, sasl: saslLogin(settings) };
}

function saslLogin(settings: Settings<typeof logSettings>): SaslLogin | undefined {
  const { kafkaSaslMechanism: mechanism, kafkaTls, kafkaOauthScope: scope } = settings;
  if (mechanism === 'none') return undefined;
  const need = (...names: readonly (readonly [name: string, value: string | undefined])[]): string[] => {
    const missing = names.filter(([, value]) => value === undefined).map(([name]) => name);
    if (missing.length > 0) throw new Error(`KAFKA_SASL_MECHANISM=${mechanism} needs ${missing.join(' and ')}`);
    return names.map(([, value]) => value!);
  };
  if (mechanism === 'oauthbearer') {
    const [tokenUrl = '', clientId = '', clientSecret = ''] = need(
      ['KAFKA_OAUTH_TOKEN_URL', settings.kafkaOauthTokenUrl],
      ['KAFKA_OAUTH_CLIENT_ID', settings.kafkaOauthClientId],
      ['KAFKA_OAUTH_CLIENT_SECRET', settings.kafkaOauthClientSecret],
    );
    return { mechanism, tokenUrl, clientId, clientSecret, scope };
  }
  if (mechanism === 'plain' && !kafkaTls)
    throw new Error('KAFKA_SASL_MECHANISM=plain needs KAFKA_TLS=true: it sends the password as it is');
  const [username = '', password = ''] = need(
    ['KAFKA_SASL_USERNAME', settings.kafkaSaslUsername],
    ['KAFKA_SASL_PASSWORD', settings.kafkaSaslPassword],
  );
  return { mechanism, username, password };
}

/**
 * Postgres and the configuration in it, from the settings of a service.
 * @throws DatabaseAddressRefused
 */
export function storageOptions(settings: Settings<typeof storageSettings & typeof secretSettings>): StorageBootOptions {
  const secretBox = new SecretBox(settings.secretsKey, ...settings.previousSecretsKeys);
  const url = databaseUrl(settings.databaseUrl, settings);
  return { url, poolSize: settings.databasePoolSize, secretBox };
}
