import { stringify } from 'yaml';
import { documentKinds } from '#libs/contracts';
import type { DocumentKind } from '#libs/contracts';
import { asDoubles } from '#libs/json';
import type { Connection } from './connection.js';
import { CliFailure } from './failure.js';
import { ask } from './graphql.client.js';
import type { Output } from './output.js';
import { requireTenant } from './tenants.command.js';

/** `Flow`, `flow` and `flows` are the same. */
export function kindNamed(text: string): DocumentKind {
  const kind = documentKinds.find((candidate) => [candidate, `${candidate}s`].some((name) => name.toLowerCase() === text.toLowerCase()));
  if (kind === undefined) throw new CliFailure(`There is no kind ${text}; the kinds are ${documentKinds.join(', ')}`, 'unusable');
  return kind;
}

/** A Tenant document belongs to the tenant of its name, so with the operator's key another tenant has to be named. */
/** One document, or all of them. @throws CliFailure for a kind without a name */
export function documentNamed(kind: string | undefined, name: string | undefined): { kind: DocumentKind; name: string } | undefined {
  if (kind === undefined) return undefined;
  if (name === undefined) throw new CliFailure(`Name the document, too: ${kind} NAME; without both, all are meant`, 'unusable');
  return { kind: kindNamed(kind), name };
}

export function otherTenantHint({ tenant }: Connection, kind: DocumentKind, name: string): string {
  return kind === 'Tenant' && tenant !== undefined && tenant !== name ? ` in ${tenant}: give --tenant ${name}` : '';
}

const documents = `query Documents($kind: DocumentKind!) { documents(kind: $kind) { name content } }`;

/** `millrace get`: documents that can be applied again; their secrets are encrypted. */
export async function get(
  connection: Connection,
  { kind, name, format }: { kind: DocumentKind; name: string | undefined; format: 'yaml' | 'json' },
  output: Output,
): Promise<void> {
  const answer = await ask<{ documents: { name: string; content: unknown }[] }>(connection, documents, { kind });
  const found = answer.documents.filter((document) => name === undefined || document.name === name).map(({ content }) => content);
  if (name !== undefined && found.length === 0) {
    throw new CliFailure(`There is no ${kind} named ${name}${otherTenantHint(connection, kind, name)}`, 'refused', 'document.unknown');
  }
  if (found.length === 0) await requireTenant(connection);
  if (format === 'json') {
    const value = name === undefined ? found : found[0];
    return output.result(value, JSON.stringify(value, null, 2));
  }
  for (const [at, content] of found.entries()) {
    const text = stringify(asDoubles(content), { lineWidth: 0 }).trimEnd();
    output.result(content, at === 0 ? text : `---\n${text}`);
  }
}
