import jsonata from 'jsonata';
import type { Json } from '#libs/json';
import { syntaxOf } from './syntax-node.js';
import type { SyntaxNode } from './syntax-node.js';

/** The value that stands in the text of an expression, such as `{ "amount": 0 }`; undefined if it depends on anything else. */
export function writtenValue(expression: string): { readonly value: Json } | undefined {
  return valueOf(bodyOf(expression));
}

/** The fields that an expression gives its value, or leaves out where theirs is missing, if it is an object in braces; undefined if its text does not tell. */
export function writtenFields(expression: string): readonly string[] | undefined {
  const node = bodyOf(expression);
  if (!isMade(node, '{')) return undefined;
  const keys = entriesOf(node).map(([key]) => key);
  return keys.every(({ type }) => type === 'string') ? keys.map(({ value }) => value as string) : undefined;
}

/** The root, without parentheses around it. */
function bodyOf(expression: string): SyntaxNode {
  let node = syntaxOf(jsonata(expression));
  for (;;) {
    const within = node.type === 'block' && isPlain(node) ? (node['expressions'] as SyntaxNode[]) : [];
    if (within.length !== 1) return node;
    [node] = within as [SyntaxNode];
  }
}

function valueOf(node: SyntaxNode): { readonly value: Json } | undefined {
  if (!isPlain(node)) return undefined;
  if (node.type === 'string' || node.type === 'number' || node.type === 'value') return { value: node.value as Json };
  if (isMade(node, '[')) {
    const items = (node['expressions'] as SyntaxNode[]).map(valueOf);
    return items.every((item) => item !== undefined) ? { value: items.map(({ value }) => value) } : undefined;
  }
  if (!isMade(node, '{')) return undefined;
  const entries = entriesOf(node).map(([key, value]) => [key, valueOf(value)] as const);
  if (!entries.every(([key, value]) => key.type === 'string' && value !== undefined)) return undefined;
  return { value: Object.fromEntries(entries.map(([key, value]) => [key.value as string, value!.value])) };
}

function isMade(node: SyntaxNode, bracket: '{' | '['): boolean {
  return node.type === 'unary' && node.value === bracket && isPlain(node);
}

/** False if something is done with what the node yields: a filter, a grouping, a binding of its place. */
function isPlain(node: SyntaxNode): boolean {
  return ['predicate', 'group', 'stages', 'focus', 'index'].every((field) => node[field] === undefined);
}

function entriesOf(node: SyntaxNode): readonly (readonly [SyntaxNode, SyntaxNode])[] {
  return node['lhs'] as [SyntaxNode, SyntaxNode][];
}
