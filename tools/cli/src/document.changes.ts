import type { DocumentKind } from '#libs/contracts';

/** One change of a document, as `applyDocuments` and `removeDocument` report it. */
export interface ReportedChange {
  kind: DocumentKind;
  name: string;
  change: 'CREATED' | 'CHANGED' | 'UNCHANGED' | 'REMOVED';
  version: number;
  /** For a Schedule: its next ticks. */
  nextFires: string[] | null;
  differences: { path: string; before: unknown; after: unknown }[];
}

/** The selection of a change in GraphQL. */
export const changeFields = 'kind name change version nextFires differences { path before after }';

const signs = { CREATED: '+', CHANGED: '~', UNCHANGED: '=', REMOVED: '-' } as const;

/** A line for the document and, where it changes, one for each field that does. */
export function textOf({ kind, name, change, version, differences, nextFires }: ReportedChange): string {
  const head = `${signs[change]} ${kind}/${name}`;
  if (change === 'REMOVED') return head;
  const fires = nextFires === null || change === 'UNCHANGED' ? [] : [firesText(nextFires)];
  if (change !== 'CHANGED') return [`${head} (version ${version})`, ...fires].join('\n');
  return [
    `${head} (version ${version - 1} → ${version})`,
    ...fires,
    ...differences.map(({ path, before, after }) => {
      if (before === null) return `    + ${path}: ${JSON.stringify(after)}`;
      if (after === null) return `    - ${path}: ${JSON.stringify(before)}`;
      return `    ~ ${path}: ${JSON.stringify(before)} → ${JSON.stringify(after)}`;
    }),
  ].join('\n');
}

function firesText(nextFires: readonly string[]): string {
  return nextFires.length === 0 ? '    never fires again' : `    fires next at ${nextFires.join(', ')}`;
}
