import { handle, part } from '../operations/part.js';
import { SecretRefresher } from './secret.refresher.js';
import { listStoredSecrets, refreshSecrets } from './stored-secret.operations.js';

export const storedSecretPart = part({
  providers: [SecretRefresher],
  operations: [
    handle(listStoredSecrets, ({ principal, get }) => get(SecretRefresher).list(principal.tenant)),
    handle(refreshSecrets, async ({ principal, get }, input) => {
      const changed = await get(SecretRefresher).refresh(principal, input);
      return { changed, secrets: await get(SecretRefresher).list(principal.tenant) };
    }),
  ],
});
