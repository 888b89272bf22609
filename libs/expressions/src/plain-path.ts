import type { Json } from '#libs/json';
import type { SyntaxNode } from './syntax-node.js';

/** The names of a path that is nothing but names; null for every other expression. */
export function plainPath(ast: SyntaxNode): readonly string[] | null {
  if (ast.type !== 'path' || !hasOnly(ast, 'type', 'steps')) return null;
  const names: string[] = [];
  for (const step of ast.steps ?? []) {
    if (step.type !== 'name' || !hasOnly(step, 'type', 'value', 'position')) return null;
    names.push(step.value as string);
  }
  return names;
}

function hasOnly(node: object, ...keys: string[]): boolean {
  return Object.keys(node).every((key) => keys.includes(key));
}

export const ambiguous = Symbol('an array stands on the path: JSONata maps over it');

export function follow(path: readonly string[], input: unknown): Json | undefined | typeof ambiguous {
  let value = input;
  for (const name of path) {
    if (Array.isArray(value)) return ambiguous;
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return Array.isArray(value) ? ambiguous : (value as Json | undefined);
}
