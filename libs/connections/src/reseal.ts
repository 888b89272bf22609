import { SecretUnreadable } from '#libs/auth';
import type { SecretBox } from '#libs/auth';
import { Database } from '#libs/persistence';
import { placeOf } from './oauth/token.keeper.js';
import { connectionStateTable } from './state/connection-state.table.js';
import type { SealedTokens } from './state/connection-state.table.js';

/**
 * Seals the tokens of all connections under the current key. Can be repeated, and run while services work that know the key.
 * @param url a login that is a member of `millrace_service`
 * @returns how many connections it wrote, and the tokens that cannot be opened, such as `acme/Connection/crm refreshToken`
 * @throws StorageUnavailable when Postgres is not available
 */
export async function resealTokens(url: string, secretBox: SecretBox): Promise<{ resealed: number; unreadable: string[] }> {
  const database = await Database.connect({ url, role: 'millrace_service', applicationName: 'millrace-reseal', poolSize: 1 });
  const unreadable: string[] = [];
  let resealed = 0;
  try {
    let page: SealedTokens[];
    let after = { tenant: '', name: '' };
    do {
      page = await connectionStateTable.sealedPage(database, after);
      for (const row of page) {
        const [accessToken, refreshToken] = (['accessToken', 'refreshToken'] as const).map((field) =>
          sealedAgain(secretBox, row, field, unreadable),
        );
        if (accessToken === row.accessToken && refreshToken === row.refreshToken) continue;
        await connectionStateTable.replaceSealed(database, row, { ...row, accessToken: accessToken!, refreshToken: refreshToken! });
        resealed++;
      }
      after = page.at(-1) ?? after;
    } while (page.length > 0);
    return { resealed, unreadable };
  } finally {
    await database.close();
  }
}

function sealedAgain(secretBox: SecretBox, row: SealedTokens, field: 'accessToken' | 'refreshToken', unreadable: string[]): string | null {
  const sealed = row[field];
  if (sealed === null || secretBox.isCurrent(sealed)) return sealed;
  const place = placeOf(row, field);
  try {
    return secretBox.seal(secretBox.open(sealed, place), place).sealed;
  } catch (error) {
    if (!(error instanceof SecretUnreadable)) throw error;
    unreadable.push(`${row.tenant}/Connection/${row.name} ${field}`);
    return sealed;
  }
}
