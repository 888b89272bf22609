import type { Document } from '#libs/contracts';
import type { FieldDifference } from '../generated/schema.js';
import { mapSecrets } from './document.secrets.js';

/** What is different between two versions, field by field; secrets are compared, and shown, by their fingerprints. Documents are stored ones. */
export function differencesOf(before: Document | null, after: Document | null): FieldDifference[] {
  return compare(shown(before), shown(after), []);
}

function shown(document: Document | null): unknown {
  return document === null ? undefined : mapSecrets(document, (secret) => ('fingerprint' in secret ? secret.fingerprint : undefined));
}

function compare(before: unknown, after: unknown, path: readonly string[]): FieldDifference[] {
  if (isTree(before) && isTree(after) && Array.isArray(before) === Array.isArray(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...keys].flatMap((key) => compare(before[key], after[key], [...path, key]));
  }
  if (path.length === 0) return compare(before ?? {}, after ?? {}, path);
  if (Object.is(before, after)) return [];
  return [{ path: path.join('.'), before: before ?? null, after: after ?? null }];
}

function isTree(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
