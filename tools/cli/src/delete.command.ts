import type { DocumentKind } from '#libs/contracts';
import type { Connection } from './connection.js';
import { changeFields, textOf } from './document.changes.js';
import type { ReportedChange } from './document.changes.js';
import { ask } from './graphql.client.js';
import type { Output } from './output.js';
import { accepted, refusals } from './refusal.js';
import type { Refusal } from './refusal.js';

const removeDocument = `mutation Remove($input: RemoveDocumentInput!) {
  removed: removeDocument(input: $input) { __typename ... on RemoveDocumentSuccess { change { ${changeFields} } } ${refusals} }
}`;

/** `millrace delete`: takes a document out of use. */
export async function remove(connection: Connection, named: { kind: DocumentKind; name: string }, output: Output): Promise<void> {
  const change = await removed(connection, named);
  output.result(change, textOf(change));
}

/**
 * @param document.expectedVersion the version that is to be removed; default: whichever is current
 * @throws CliFailure if another version is current, or another document names it
 */
export async function removed(
  connection: Connection,
  document: { kind: DocumentKind; name: string; expectedVersion?: number },
): Promise<ReportedChange> {
  type Removed = { __typename: 'RemoveDocumentSuccess'; change: ReportedChange };
  const answer = await ask<{ removed: Removed | Refusal }>(connection, removeDocument, { input: document });
  return accepted(connection, answer.removed, ({ message }) => `${document.kind}/${document.name} ${message}`).change;
}
