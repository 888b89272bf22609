import { z } from 'zod';
import { scopes } from '#libs/contracts';
import { wallTimeMs } from '#libs/time';
import { command, query } from '../operations/operation.js';
import type { InputOf } from '../operations/operation.js';
import { entity, enumeration, id, timestamp, valuesOf } from '../operations/shape.js';

export const scope = enumeration(
  'Scope',
  valuesOf(scopes, {
    ingest: 'Push events to `POST /v1/events`.',
    read: 'Query, and subscribe to changes.',
    operate: 'Replay, redeliver, settle dead letters, enable destinations, and run bulk operations.',
    review: 'Decide reviews. No operation needs it.',
    admin: 'Apply, read and remove documents, manage API keys, and all that the other scopes allow.',
  }),
  'A right of an API key.',
);

export const apiKey = entity(
  'ApiKey',
  {
    id: id.describe('The id of the key, for `revokeApiKey`. It is no secret.'),
    name: z.string().describe('What people call it, as `createApiKey` was given it.'),
    scopes: z.array(scope).readonly().describe('What the key may do.'),
    createdAt: timestamp.describe('When it was made.'),
    createdBy: z.string().describe('Who made it: `key:` with the id of a key, or `operator`.'),
    expiresAt: timestamp.nullable().describe('From when it is refused; null if it does not expire.'),
    revokedAt: timestamp.nullable().describe('When it was revoked; null if it was not.'),
  },
  { about: 'A key that calls the API for one tenant. Its secret is not kept.' },
);

export const listApiKeys = query({
  name: 'apiKeys',
  about: 'The tenant’s keys, the newest first, revoked ones too; never their secrets. The newest 500.',
  scope: 'admin',
  cost: { weight: 10 },
  input: z.strictObject({}),
  output: z.array(apiKey),
  failures: [],
});

export const createApiKey = command({
  name: 'createApiKey',
  about: 'Makes a key of this tenant, whose Tenant document must exist. Its secret is in this response and nowhere else.',
  scope: 'admin',
  cost: { weight: 10 },
  input: z.strictObject({
    name: z
      .string()
      .refine((name) => name.trim().length >= 1 && name.trim().length <= 100, { error: 'must have 1 to 100 characters' })
      .describe('1 to 100 characters that tell people what it is for.'),
    scopes: z
      .array(scope)
      .min(1, { error: 'must name at least one scope' })
      .max(20, { error: 'may have at most 20 entries' })
      .describe('What the key may do: 1 to 20 scopes; repeats are dropped.'),
    expiresAt: timestamp
      .refine((at) => at.getTime() > wallTimeMs(), { error: 'must be in the future' })
      .nullish()
      .describe('Default: never.'),
  }),
  result: { apiKey: apiKey.describe('The new key, without its secret.'), key: z.string().describe('The whole key, `mr_…`. Shown once.') },
  failures: ['tenant.unknown'],
});
export type CreateApiKeyInput = InputOf<typeof createApiKey>;

export const revokeApiKey = command({
  name: 'revokeApiKey',
  about:
    'Ends a key: every process refuses it as soon as it has heard, at once as a rule and within 30 seconds at most. Revoking it again changes nothing.',
  scope: 'admin',
  cost: { weight: 10 },
  input: z.strictObject({ id: id.describe('The id of the key, from `apiKeys`.') }),
  result: { apiKey: apiKey.describe('The key as it is now, with `revokedAt`.') },
  failures: ['apiKey.unknown'],
});
