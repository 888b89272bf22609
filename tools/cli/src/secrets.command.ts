import type { Connection } from './connection.js';
import { counted } from './counted.js';
import { CliFailure } from './failure.js';
import { ask } from './graphql.client.js';
import type { Output } from './output.js';
import { accepted, refusals } from './refusal.js';
import type { Refusal } from './refusal.js';

interface StoredSecret {
  kind: string;
  name: string;
  field: string;
  path: string;
  key: string;
  readAt: string;
  problem: string | null;
  warning: string | null;
}

const fields = 'kind name field path key readAt problem warning';
const refreshAll = `mutation Refresh($input: RefreshSecretsInput!) {
  refreshed: refreshSecrets(input: $input) { __typename ... on RefreshSecretsSuccess { changed secrets { ${fields} } } ${refusals} }
}`;

/** `millrace secrets`: the secrets of documents that the secret store has, each with what is wrong with it. */
export async function storedSecrets(connection: Connection, output: Output): Promise<void> {
  const { storedSecrets: all } = await ask<{ storedSecrets: StoredSecret[] }>(connection, `{ storedSecrets { ${fields} } }`);
  if (all.length === 0) return output.note('No document names a secret of the secret store.');
  print(all, output);
}

/**
 * `millrace secrets refresh [KIND NAME]`: prints the documents that changed. With a document, only its secrets are looked for.
 * @throws CliFailure if a secret that was looked for cannot be had or used
 */
export async function refreshStoredSecrets(
  connection: Connection,
  output: Output,
  document?: { kind: string; name: string },
): Promise<void> {
  type Refreshed = { __typename: 'RefreshSecretsSuccess'; changed: string[]; secrets: StoredSecret[] };
  const { refreshed } = await ask<{ refreshed: Refreshed | Refusal }>(connection, refreshAll, {
    input: document === undefined ? {} : { documents: [document] },
  });
  const { changed, secrets: all } = accepted(connection, refreshed);
  const secrets = document === undefined ? all : all.filter(({ kind, name }) => kind === document.kind && name === document.name);
  for (const one of changed) output.result({ document: one }, `${one}  changed`);
  for (const { kind, name, field, warning } of secrets) if (warning !== null) output.note(`warning: ${kind}/${name} ${field}: ${warning}`);
  const amiss = secrets.filter(({ problem }) => problem !== null);
  if (changed.length === 0 && amiss.length === 0)
    output.note(`Nothing changed: ${secrets.length === 1 ? '1 secret is as it was' : `${secrets.length} secrets are as they were`}.`);
  if (amiss.length === 0) return;
  print(amiss, output);
  throw new CliFailure(
    `${amiss.length} of ${counted(secrets.length, 'secret')} cannot be had or used; their documents go on with those before`,
    'refused',
  );
}

function print(secrets: readonly StoredSecret[], output: Output): void {
  for (const secret of secrets) {
    const { kind, name, field, path, key, readAt, problem, warning } = secret;
    const state = [problem ?? `read ${readAt}`, ...(warning === null ? [] : [`warning: ${warning}`])];
    output.result(secret, [`${kind}/${name}`, field, `${path} ${key}`, ...state].join('  '));
  }
}
