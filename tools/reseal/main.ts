/** `npm run reseal`: seals the secrets of all stored documents, and the tokens of connections, in the current format under SECRETS_KEY. */
import { SecretBox } from '#libs/auth';
import { resealTokens } from '#libs/connections';
import { SettingsInvalid, readSettings } from '#libs/config';
import { DatabaseAddressRefused, RoleRefused, StorageUnavailable, databaseSettings, databaseUrl, resealDocuments } from '#libs/persistence';
import { secretSettings } from '#libs/service';

try {
  const settings = readSettings('reseal', { ...databaseSettings, ...secretSettings }, process.env);
  const url = databaseUrl(settings.databaseUrl, settings);
  const secretBox = new SecretBox(settings.secretsKey, ...settings.previousSecretsKeys);
  const documents = await resealDocuments(url, secretBox);
  const tokens = await resealTokens(url, secretBox);
  const unreadable = [...documents.unreadable, ...tokens.unreadable];
  console.log(`${documents.resealed} versions of documents and the tokens of ${tokens.resealed} connections were sealed again.`);
  if (unreadable.length > 0) {
    console.error(`${unreadable.length} secrets cannot be opened: ${unreadable.join(', ')}. Add their key to SECRETS_KEYS_PREVIOUS.`);
    process.exitCode = 1;
  }
} catch (error) {
  const isExpected = [SettingsInvalid, DatabaseAddressRefused, RoleRefused, StorageUnavailable].some((kind) => error instanceof kind);
  if (!isExpected) throw error;
  console.error((error as Error).message);
  process.exitCode = 1;
}
