import type { Settings } from '#libs/config';
import { SecretBox } from '#libs/auth';
import type { LogPart, StoragePart } from './infrastructure.module.js';
import type { logSettings, secretSettings, storageSettings } from './service.settings.js';

/** The log as the settings say. */
export function logPart(settings: Settings<typeof logSettings>): LogPart {
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

/** Postgres and the configuration in it, as the settings say. */
export function storagePart(
  settings: Settings<typeof storageSettings & typeof secretSettings>,
  needed: StoragePart['needed'],
): StoragePart {
  const secretBox = new SecretBox(settings.secretsKey, ...settings.previousSecretsKeys);
  return { url: settings.databaseUrl, poolSize: settings.databasePoolSize, needed, secretBox };
}
