import { z } from 'zod';
import { scopes } from '#libs/contracts';
import { command, query } from '../operations/operation.js';
import type { InputOf } from '../operations/operation.js';
import { entity, enumeration, id, timestamp, valuesOf } from '../operations/shape.js';

export const scope = enumeration('Scope', valuesOf(scopes));

export const apiKey = entity('ApiKey', {
  id,
  name: z.string(),
  scopes: z.array(scope).readonly(),
  createdAt: timestamp,
  createdBy: z.string(),
  expiresAt: timestamp.nullable(),
  revokedAt: timestamp.nullable(),
});

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
    scopes: z.array(scope).min(1, { error: 'must name at least one scope' }).max(20, { error: 'may have at most 20 entries' }),
    expiresAt: timestamp
      .refine((at) => at.getTime() > Date.now(), { error: 'must be in the future' })
      .nullish()
      .describe('Default: never.'),
  }),
  result: { apiKey, key: z.string().describe('The whole key, `mr_…`. Shown once.') },
  failures: ['tenant.unknown'],
});
export type CreateApiKeyInput = InputOf<typeof createApiKey>;

export const revokeApiKey = command({
  name: 'revokeApiKey',
  about:
    'Ends a key: every process refuses it as soon as it has heard, at once as a rule and within 30 seconds at most. Revoking it again changes nothing.',
  scope: 'admin',
  cost: { weight: 10 },
  input: z.strictObject({ id }),
  result: { apiKey },
  failures: ['apiKey.unknown'],
});
