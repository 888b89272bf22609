import type { Connection } from './connection.js';
import { readDocuments } from './document.files.js';
import type { FileDocument } from './document.files.js';
import { CliFailure } from './failure.js';
import { ask } from './graphql.client.js';

interface Change {
  kind: string;
  name: string;
  change: 'CREATED' | 'CHANGED' | 'UNCHANGED';
  version: number;
  differences: { path: string; before: unknown; after: unknown }[];
}

type Result =
  | { __typename: 'ApplyDocumentsSuccess'; changes: Change[] }
  | { __typename: 'ValidationError'; violations: { path: string[]; message: string }[] }
  | { __typename: 'ForbiddenError'; message: string };

const applyDocuments = `mutation Apply($input: ApplyDocumentsInput!) {
  applyDocuments(input: $input) {
    __typename
    ... on ApplyDocumentsSuccess { changes { kind name change version differences { path before after } } }
    ... on ValidationError { violations { path message } }
    ... on ForbiddenError { message }
  }
}`;

/** `millrace apply`: prints what will change, then changes it; all documents or none. */
export async function apply(
  connection: Connection,
  { files, dryRun }: { files: readonly string[]; dryRun: boolean },
  print: (line: string) => void,
): Promise<void> {
  const documents = readDocuments(files);
  const planned = await send(connection, documents, true);
  for (const line of planned.flatMap(describe)) print(line);
  const changing = planned.filter(({ change }) => change !== 'UNCHANGED').length;
  if (changing === 0) return print('Nothing to change.');
  if (dryRun) return print(`${count(changing)} would change.`);
  const applied = await send(connection, documents, false);
  print(`${count(applied.filter(({ change }) => change !== 'UNCHANGED').length)} changed.`);
}

async function send(connection: Connection, documents: readonly FileDocument[], dryRun: boolean): Promise<Change[]> {
  const input = { documents: documents.map(({ value }) => value), dryRun };
  const { applyDocuments: result } = await ask<{ applyDocuments: Result }>(connection, applyDocuments, { input });
  if (result.__typename === 'ApplyDocumentsSuccess') return result.changes;
  if (result.__typename === 'ForbiddenError') throw new CliFailure(result.message, 'refused');
  throw new CliFailure(result.violations.map((violation) => located(violation, documents)).join('\n'), 'refused');
}

/** `file:line:column field: message`, for a path such as `input.documents.0.spec.url`. */
function located({ path, message }: { path: string[]; message: string }, documents: readonly FileDocument[]): string {
  const [, list, at, ...field] = path;
  const document = list === 'documents' ? documents[Number(at)] : undefined;
  if (document === undefined) return `${path.join('.')}: ${message}`;
  return field.length === 0 ? `${document.positionOf(field)} ${message}` : `${document.positionOf(field)} ${field.join('.')}: ${message}`;
}

const signs = { CREATED: '+', CHANGED: '~', UNCHANGED: '=' } as const;

/** A line for the document and, where it changes, one for each field that does. */
function describe({ kind, name, change, version, differences }: Change): string[] {
  const head = `${signs[change]} ${kind}/${name} (version ${change === 'CHANGED' ? `${version - 1} → ${version}` : version})`;
  if (change !== 'CHANGED') return [head];
  return [
    head,
    ...differences.map(({ path, before, after }) => {
      if (before === null) return `    + ${path}: ${JSON.stringify(after)}`;
      if (after === null) return `    - ${path}: ${JSON.stringify(before)}`;
      return `    ~ ${path}: ${JSON.stringify(before)} → ${JSON.stringify(after)}`;
    }),
  ];
}

function count(documents: number): string {
  return documents === 1 ? '1 document' : `${documents} documents`;
}
