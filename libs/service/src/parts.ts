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
  };
}

/** Postgres and the configuration in it, as the settings say. */
export function storagePart(
  settings: Settings<typeof storageSettings & typeof secretSettings>,
  needed: StoragePart['needed'],
): StoragePart {
  return { url: settings.databaseUrl, poolSize: settings.databasePoolSize, needed, secretBox: secretBoxOf(settings) };
}

/** @throws Error that names the setting where a key is not 32 bytes of base64 */
export function secretBoxOf(settings: Settings<typeof secretSettings>): SecretBox {
  const previous = settings.previousSecretsKeys?.split(',').map((key) => keyBytes('SECRETS_KEYS_PREVIOUS', key)) ?? [];
  return new SecretBox(keyBytes('SECRETS_KEY', settings.secretsKey), ...previous);
}

function keyBytes(setting: string, text: string): Buffer {
  const key = Buffer.from(text.trim(), 'base64');
  if (key.length !== 32) throw new Error(`${setting} must be 32 bytes in base64 (make one with: openssl rand -base64 32)`);
  return key;
}
