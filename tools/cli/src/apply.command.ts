import { mostDocumentsAtOnce } from '#libs/contracts';
import type { Connection } from './connection.js';
import { counted } from './counted.js';
import { changeFields, textOf } from './document.changes.js';
import type { ReportedChange } from './document.changes.js';
import { readDocuments } from './document.files.js';
import type { FileDocument } from './document.files.js';
import { CliFailure } from './failure.js';
import { ask } from './graphql.client.js';
import type { Output } from './output.js';
import { accepted, refusals } from './refusal.js';
import type { Refusal } from './refusal.js';
import { requireTenant } from './tenants.command.js';
import { surplusOf } from './surplus.documents.js';
import type { CurrentDocument } from './surplus.documents.js';

const applyDocuments = `mutation Apply($input: ApplyDocumentsInput!) {
  applied: applyDocuments(input: $input) { __typename ... on ApplyDocumentsSuccess { changes { ${changeFields} } warnings { path message } } ${refusals} }
}`;

/**
 * `millrace apply`: prints what will change, then changes exactly that; all documents or none. With `prune` the documents that the files
 * do not have are removed in the same transaction.
 */
export async function apply(
  connection: Connection,
  { files, dryRun, prune }: { files: readonly string[]; dryRun: boolean; prune: boolean },
  output: Output,
): Promise<void> {
  const documents = readDocuments(files);
  refuseMany(documents.length, '--file has', 'changes', 'Apply parts of the files one after the other, first what others name');
  const surplus = prune ? surplusOf(await currentDocuments(connection), documents) : [];
  refuseMany(surplus.length, '--prune would remove', 'removes', 'Delete some with millrace delete before');
  const removals = { remove: surplus.map(({ kind, name }) => ({ kind, name })) };
  const plan = { ...removals, expectedVersions: surplus.map(versionOf), dryRun: true };
  const { changes: planned, warnings } = await send(connection, documents, plan).catch(async (failure: unknown) => {
    const isRefused = failure instanceof CliFailure && failure.kind === 'refused';
    if (isRefused && !documents.some(({ value }) => createsTenant(value, connection.tenant))) await requireTenant(connection);
    throw failure;
  });
  for (const { path, message } of warnings)
    output.note(`warning: ${path[0] === 'remove' ? `--prune: ${message}` : located({ path: ['input', ...path], message }, documents)}`);
  for (const change of planned) output.result(change, textOf(change));
  const changing = planned.filter(({ change }) => change !== 'UNCHANGED' && change !== 'REMOVED').length;
  if (changing + surplus.length === 0) return output.note('Nothing to change.');
  if (dryRun) return output.note(`${sumOf([changing, 'would change'], [surplus.length, 'would be removed'])}.`);
  await send(connection, documents, { ...removals, expectedVersions: planned.map(versionBefore), dryRun: false });
  output.note(`${sumOf([changing, 'changed'], [surplus.length, 'removed'])}.`);
}

function createsTenant(value: unknown, tenant: string | undefined): boolean {
  const { kind, metadata } = (value ?? {}) as { kind?: unknown; metadata?: { name?: unknown } | null };
  return kind === 'Tenant' && metadata?.name === tenant;
}

/** One apply is one transaction. @throws CliFailure if that has too many documents */
function refuseMany(documents: number, what: string, does: string, remedy: string): void {
  if (documents <= mostDocumentsAtOnce) return;
  throw new CliFailure(
    `${what} ${counted(documents, 'document')}, and one apply ${does} at most ${mostDocumentsAtOnce}. ${remedy}`,
    'unusable',
  );
}

async function send(
  connection: Connection,
  documents: readonly FileDocument[],
  options: { dryRun: boolean; remove: { kind: string; name: string }[]; expectedVersions: ExpectedVersion[] },
): Promise<Applied> {
  const input = { documents: documents.map(({ value }) => value), ...options };
  const { applied } = await ask<{ applied: Applied | Refusal }>(connection, applyDocuments, { input });
  return accepted(connection, applied, (violation) => located(violation, documents));
}

interface Applied {
  __typename: 'ApplyDocumentsSuccess';
  changes: ReportedChange[];
  warnings: { path: string[]; message: string }[];
}

interface ExpectedVersion {
  kind: string;
  name: string;
  version: number;
}

/** The version that the dry run compared with: what was printed is done, or nothing. */
function versionBefore({ kind, name, change, version }: ReportedChange): ExpectedVersion {
  if (change === 'CREATED') return { kind, name, version: 0 };
  return { kind, name, version: change === 'UNCHANGED' ? version : version - 1 };
}

function versionOf({ kind, name, version }: CurrentDocument): ExpectedVersion {
  return { kind, name, version };
}

async function currentDocuments(connection: Connection): Promise<CurrentDocument[]> {
  const { documents } = await ask<{ documents: CurrentDocument[] }>(connection, '{ documents { kind name version content } }');
  return documents;
}

/** `file:line:column field: message`, for a path such as `input.documents.0.spec.url`. */
function located({ path, message }: { path: string[]; message: string }, documents: readonly FileDocument[]): string {
  const [, list, at, ...field] = path;
  if (list === 'expectedVersions') return `${message}: somebody changed it meanwhile. Nothing was changed; apply again`;
  if (list === 'remove') return `--prune: ${message}. Nothing was changed`;
  const document = list === 'documents' ? documents[Number(at)] : undefined;
  if (document === undefined) return `${path.join('.')}: ${message}`;
  return field.length === 0 ? `${document.positionOf(field)} ${message}` : `${document.positionOf(field)} ${field.join('.')}: ${message}`;
}

function sumOf([changing, changed]: [number, string], [removing, gone]: [number, string]): string {
  if (removing === 0) return `${counted(changing, 'document')} ${changed}`;
  return changing === 0 ? `${counted(removing, 'document')} ${gone}` : `${counted(changing, 'document')} ${changed}, ${removing} ${gone}`;
}
