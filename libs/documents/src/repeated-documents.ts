import type { DocumentProblem } from './document-problem.js';

/** `tenant/kind/name` of a document, also of one that has problems; undefined for one without a name. */
export function documentIdOf(value: unknown): string | undefined {
  const { kind, metadata } = (value ?? {}) as { kind?: unknown; metadata?: { tenant?: unknown; name?: unknown } | null };
  const { name, tenant = name } = metadata ?? {};
  const parts = [tenant, kind, name];
  return parts.every((part) => typeof part === 'string') ? parts.join('/') : undefined;
}

/** The problem of the document at this place if an earlier one has the same id. */
export function repeatedDocument(ids: readonly (string | undefined)[], at: number): DocumentProblem[] {
  const id = ids[at];
  return id === undefined || ids.indexOf(id) === at ? [] : [{ path: ['metadata', 'name'], message: `is given twice: ${id}` }];
}
