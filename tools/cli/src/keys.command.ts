import type { Connection } from './connection.js';
import { ask } from './graphql.client.js';
import type { Output } from './output.js';
import { accepted, refusals } from './refusal.js';
import type { Refusal } from './refusal.js';

interface KeyOfTenant {
  id: string;
  name: string;
  scopes: string[];
  createdAt: string;
  createdBy: string;
  expiresAt: string | null;
  revokedAt: string | null;
}

const keyFields = 'id name scopes createdAt createdBy expiresAt revokedAt';
const createApiKey = `mutation Create($input: CreateApiKeyInput!) {
  created: createApiKey(input: $input) { __typename ... on CreateApiKeySuccess { key apiKey { ${keyFields} } } ${refusals} }
}`;
const revokeApiKey = `mutation Revoke($input: RevokeApiKeyInput!) {
  revoked: revokeApiKey(input: $input) { __typename ... on RevokeApiKeySuccess { apiKey { ${keyFields} } } ${refusals} }
}`;

/** `millrace keys`: lists the tenant's keys, revoked ones too. */
export async function keys(connection: Connection, output: Output): Promise<void> {
  const { apiKeys } = await ask<{ apiKeys: KeyOfTenant[] }>(connection, `{ apiKeys { ${keyFields} } }`);
  for (const key of apiKeys) output.result(key, lineOf(key));
}

/** `millrace keys create`: prints the key alone, so that a shell can take it. */
export async function createKey(
  connection: Connection,
  { name, scopes, expiresAt }: { name: string; scopes: string[]; expiresAt: string | undefined },
  output: Output,
): Promise<void> {
  type Created = { __typename: 'CreateApiKeySuccess'; key: string; apiKey: KeyOfTenant };
  const { created } = await ask<{ created: Created | Refusal }>(connection, createApiKey, { input: { name, scopes, expiresAt } });
  const { key, apiKey } = accepted(connection, created);
  output.result({ ...apiKey, key }, key);
  output.note(`${apiKey.id} may ${apiKey.scopes.join(', ')}. The key is shown only now; millrace keys revoke ${apiKey.id} ends it.`);
}

/** `millrace keys revoke`: ends a key. */
export async function revokeKey(connection: Connection, id: string, output: Output): Promise<void> {
  type Revoked = { __typename: 'RevokeApiKeySuccess'; apiKey: KeyOfTenant };
  const { revoked } = await ask<{ revoked: Revoked | Refusal }>(connection, revokeApiKey, { input: { id } });
  const { apiKey } = accepted(connection, revoked);
  output.result(apiKey, `${apiKey.id} is revoked. Every process refuses it within 30 seconds.`);
}

function lineOf({ id, name, scopes, createdAt, createdBy, expiresAt, revokedAt }: KeyOfTenant): string {
  return [
    createdAt,
    id,
    scopes.join(','),
    ...(revokedAt === null ? [] : [`revoked ${revokedAt}`]),
    ...(expiresAt === null ? [] : [`expires ${expiresAt}`]),
    `by ${createdBy}`,
    name,
  ].join('  ');
}
