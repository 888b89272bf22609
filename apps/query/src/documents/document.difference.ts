import type { FieldDifference } from './document.operations.js';

/** The differences between two documents, field by field, in the order of their fields; undefined stands for no document. */
export function differencesOf(before: unknown, after: unknown): FieldDifference[] {
  return compare(before ?? {}, after ?? {}, []);
}

function compare(before: unknown, after: unknown, path: readonly string[]): FieldDifference[] {
  if (isTree(before) && isTree(after) && Array.isArray(before) === Array.isArray(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...keys].flatMap((key) => compare(own(before, key), own(after, key), [...path, key]));
  }
  if (Object.is(before, after)) return [];
  return [{ path: path.join('.'), before: before ?? null, after: after ?? null }];
}

/** A document may name its fields as JavaScript names those that every object inherits. */
function own(tree: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(tree, key) ? tree[key] : undefined;
}

function isTree(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
