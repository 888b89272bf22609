import type { DocumentKind } from '#libs/contracts';
import type { Connection } from './connection.js';
import { changeFields, textOf } from './document.changes.js';
import type { ReportedChange } from './document.changes.js';
import { CliFailure } from './failure.js';
import { otherTenantHint } from './get.command.js';
import { ask } from './graphql.client.js';
import type { Output } from './output.js';
import { accepted, refusals } from './refusal.js';
import type { Refusal } from './refusal.js';

const removeDocument = `mutation Remove($input: RemoveDocumentInput!) {
  removed: removeDocument(input: $input) { __typename ... on RemoveDocumentSuccess { change { ${changeFields} } warnings { message } } ${refusals} }
}`;

/**
 * `millrace delete`: takes a document out of use.
 * @throws CliFailure if there is no such document, or another one names it
 */
export async function remove(connection: Connection, named: { kind: DocumentKind; name: string }, output: Output): Promise<void> {
  type Removed = { __typename: 'RemoveDocumentSuccess'; change: ReportedChange; warnings: { message: string }[] };
  const hint = otherTenantHint(connection, named.kind, named.name);
  if (hint !== '') throw new CliFailure(`There is no Tenant named ${named.name}${hint}`, 'refused', 'document.unknown');
  const answer = await ask<{ removed: Removed | Refusal }>(connection, removeDocument, { input: named });
  const { change, warnings } = accepted(connection, answer.removed, ({ message }) => `${named.kind}/${named.name} ${message}`);
  for (const { message } of warnings) output.note(`warning: ${named.kind}/${named.name} ${message}`);
  output.result(change, textOf(change));
}
