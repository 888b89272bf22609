import { SecretBox } from '#libs/auth';
import type { Settings } from '#libs/config';
import type { Doors } from './doors.js';
import type { Readiness } from './readiness.js';
import type { logSettings, secretSettings, storageSettings } from './service.settings.js';
import type { StartWait } from './start-wait.js';

/** The log, as this process uses it. */
export interface LogBootOptions {
  brokers: readonly string[];
  /** Prefix of every topic and consumer group. */
  prefix?: string;
  /** Replication factor of topics that have to be created. */
  replication: number;
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
  /** `always`: not ready while Postgres is away. `at-start`: once the configuration has been read, works from memory (the front door). */
  needed: 'always' | 'at-start';
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
  return {
    brokers: settings.kafkaBrokers,
    prefix: settings.logPrefix,
    replication: settings.kafkaReplication,
    ackTimeoutMs: settings.ackTimeoutMs,
    concurrency: settings.handlerConcurrency,
    sessionTimeoutMs: settings.sessionTimeoutMs,
    handlerDeadlineMs: settings.handlerDeadlineMs,
  };
}

/** Postgres and the configuration in it, from the settings of a service. */
export function storageOptions(
  settings: Settings<typeof storageSettings & typeof secretSettings>,
  needed: StorageBootOptions['needed'],
): StorageBootOptions {
  const secretBox = new SecretBox(settings.secretsKey, ...settings.previousSecretsKeys);
  return { url: settings.databaseUrl, poolSize: settings.databasePoolSize, needed, secretBox };
}
