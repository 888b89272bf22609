import type { SecretBox } from '#libs/auth';
import { Database } from './database.js';
import { DocumentTable } from './document.table.js';

/**
 * Seals the secrets of all stored documents in the current format under the current key: after an upgrade that changed the format or marked more
 * values as secrets, and after a rotation of the key.
 * @param url a login that is a member of `millrace_service`
 * @throws StorageUnavailable when Postgres is not available
 */
export async function resealDocuments(url: string, secretBox: SecretBox): ReturnType<DocumentTable['resealAll']> {
  const database = await Database.connect({ url, role: 'millrace_service', applicationName: 'millrace-reseal', poolSize: 1 });
  try {
    return await new DocumentTable(secretBox).resealAll(database);
  } finally {
    await database.close();
  }
}
