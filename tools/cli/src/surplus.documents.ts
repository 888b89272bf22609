import { document as documentSchema, referencesOf } from '#libs/contracts';
import type { DocumentKind, Reference } from '#libs/contracts';
import type { FileDocument } from './document.files.js';
import { CliFailure } from './failure.js';

/** The current version of a document of the tenant. */
export interface CurrentDocument {
  kind: DocumentKind;
  name: string;
  version: number;
  content: unknown;
}

const idOf = ({ kind, name }: { kind: string; name: string }): string => `${kind}/${name}`;
/** The documents that a reference may mean: a name stands for at most one of them. */
const idsOf = ({ kinds, name }: Reference): string[] => kinds.map((kind) => idOf({ kind, name }));

/**
 * The documents of the tenant that the files do not have, in an order in which each can be removed: first what no other one names. The Tenant
 * document is never among them.
 * @throws CliFailure if a document of the files names one of them
 */
export function surplusOf(current: readonly CurrentDocument[], files: readonly FileDocument[]): CurrentDocument[] {
  const kept = new Set(files.map(({ value }) => idOf(headOf(value))));
  const surplus = current.filter((document) => document.kind !== 'Tenant' && !kept.has(idOf(document)));
  refuseIfNamed(new Set(surplus.map(idOf)), files);
  return inOrderOfRemoval(surplus);
}

function headOf(value: unknown): { kind: string; name: string } {
  const { kind, metadata } = value as { kind: string; metadata: { name: string } };
  return { kind, name: metadata.name };
}

function refuseIfNamed(surplus: ReadonlySet<string>, files: readonly FileDocument[]): void {
  const named = files.flatMap((file) =>
    referencesIn(file.value).flatMap((reference) => {
      const removed = idsOf(reference).find((id) => surplus.has(id));
      const { path } = reference;
      return removed === undefined ? [] : [`${file.positionOf(path)} ${path.join('.')}: names ${removed}, which --prune would remove`];
    }),
  );
  if (named.length > 0) throw new CliFailure(`${named.join('\n')}\nAdd what is named to the files, or apply without --prune.`, 'refused');
}

/** None for a document of an earlier release that this schema does not fit; Millrace itself removes nothing that is in use. */
function referencesIn(content: unknown): ReturnType<typeof referencesOf> {
  const { data } = documentSchema.safeParse(content);
  return data === undefined ? [] : referencesOf(data);
}

function inOrderOfRemoval(documents: readonly CurrentDocument[]): CurrentDocument[] {
  const ordered: CurrentDocument[] = [];
  let left = documents.map((document) => ({ document, names: referencesIn(document.content).flatMap(idsOf) }));
  while (left.length > 0) {
    const isNamed = (id: string): boolean => left.some(({ names }) => names.includes(id));
    const free = left.filter(({ document }) => !isNamed(idOf(document)));
    const next = free.length > 0 ? free : left; // documents that name each other: Millrace says what is in use
    ordered.push(...next.map(({ document }) => document));
    left = left.filter((one) => !next.includes(one));
  }
  return ordered;
}
