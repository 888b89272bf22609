/** `npm run reseal`: seals the secrets of all stored documents in the current format under SECRETS_KEY. */
import { SecretBox } from '#libs/auth';
import { SettingsInvalid, readSettings } from '#libs/config';
import { StorageUnavailable, resealDocuments } from '#libs/persistence';
import { secretSettings, storageSettings } from '#libs/service';

const { databaseUrl } = storageSettings;

try {
  const settings = readSettings('reseal', { databaseUrl, ...secretSettings }, process.env);
  const { resealed, unreadable } = await resealDocuments(
    settings.databaseUrl,
    new SecretBox(settings.secretsKey, ...settings.previousSecretsKeys),
  );
  console.log(`${resealed} versions of documents were sealed again.`);
  if (unreadable.length > 0) {
    console.error(`${unreadable.length} secrets cannot be opened: ${unreadable.join(', ')}. Add their key to SECRETS_KEYS_PREVIOUS.`);
    process.exitCode = 1;
  }
} catch (error) {
  if (!(error instanceof SettingsInvalid || error instanceof StorageUnavailable)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
