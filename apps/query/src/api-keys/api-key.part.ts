import { ApiKeyTable } from '#libs/persistence';
import { handle, part } from '../operations/part.js';
import { createApiKey, listApiKeys, revokeApiKey } from './api-key.operations.js';
import { ApiKeyService } from './api-key.service.js';

export const apiKeyPart = part({
  providers: [ApiKeyTable, ApiKeyService],
  operations: [
    handle(listApiKeys, ({ principal, get }) => get(ApiKeyService).list(principal.tenant)),
    handle(createApiKey, ({ principal, get }, input) => get(ApiKeyService).create(principal, input)),
    handle(revokeApiKey, async ({ principal, get }, { id }) => ({ apiKey: await get(ApiKeyService).revoke(principal, id) })),
  ],
});
