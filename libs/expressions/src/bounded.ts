import type { SyntaxNode } from './syntax-node.js';

/**
 * The place that the value of a node goes to. A `result` may hold the same part of the input many times over: it is copied under a limit. An `operand` must
 * not, because functions and comparisons read it whole, in one step.
 */
type Use = 'result' | 'operand';

/** Without `..`, which makes a sequence out of two numbers. */
const operators = new Set(['+', '-', '*', '/', '%', '&', '=', '!=', '<', '<=', '>', '>=', 'and', 'or', 'in']);

/** More `&` than this could make a text out of one event that is as large as the memory. */
const maxConcatenations = 16;

/** Functions of JSONata that take one pass over their arguments, and call no function of the expression; with the most arguments they may have. */
const functions: Readonly<Record<string, number>> = {
  abs: 1,
  average: 1,
  boolean: 1,
  ceil: 1,
  contains: 2,
  count: 1,
  exists: 1,
  floor: 1,
  join: 2, // its separator stands in the expression
  length: 1,
  lookup: 2,
  lowercase: 1,
  max: 1,
  millis: 0,
  min: 1,
  not: 1,
  now: 0, // without a picture
  number: 1,
  power: 2,
  round: 2,
  sqrt: 1,
  string: 1,
  substring: 3,
  substringAfter: 2,
  substringBefore: 2,
  sum: 1,
  toMillis: 1, // without a picture
  trim: 1,
  type: 1,
  uppercase: 1,
};

/** Fields of every node that hold no syntax, or nothing that changes what it costs. */
const plainFields = new Set(['type', 'value', 'position', 'keepArray', 'keepSingletonArray', 'consarray']);

/** Fields that the types of bounded nodes have. A node with another one, such as `group` or `focus`, is not bounded. */
const fieldsOf: Readonly<Record<string, readonly string[]>> = {
  path: ['steps'],
  name: ['stages'],
  string: [],
  number: [],
  value: [],
  variable: ['stages', 'predicate'],
  condition: ['condition', 'then', 'else'],
  block: ['expressions', 'stages', 'predicate'],
  binary: ['lhs', 'rhs'],
  unary: ['lhs', 'expression', 'expressions', 'stages', 'predicate'],
  function: ['procedure', 'arguments', 'stages', 'predicate'],
  filter: ['expr'],
};

/**
 * True if the limits of time and size hold for the expression in the thread that serves everybody: each of its steps takes a time in proportion
 * to its input, and the clock is looked at between steps. False for everything with a loop or function of its own, variables, ranges, sorts,
 * groups, wildcards, transforms or regular expressions, of which a single step can take minutes.
 */
export function isBounded(ast: SyntaxNode): boolean {
  return isBoundedAs('result', ast) && concatenations(ast) <= maxConcatenations;
}

function isBoundedAs(use: Use, node: SyntaxNode): boolean {
  const fields = fieldsOf[node.type];
  if (fields === undefined) return false;
  const isKnown = (field: string): boolean => plainFields.has(field) || fields.includes(field) || node[field] === undefined;
  return (
    Object.keys(node).every(isKnown) && all('operand', node['stages']) && all('operand', node['predicate']) && isBoundedNode(use, node)
  );
}

function isBoundedNode(use: Use, node: SyntaxNode): boolean {
  switch (node.type) {
    case 'path':
      return (node['steps'] as SyntaxNode[]).every((step, at) => (use === 'result' || !isWholeInput(step, at)) && isBoundedAs(use, step));
    case 'variable':
      return node.value === '' || node.value === '$'; // the context and the input
    case 'value':
      return !(node.value instanceof RegExp);
    case 'condition':
      return all('operand', [node['condition']]) && all(use, [node['then'], node['else']]);
    case 'block':
      return all(use, node['expressions']);
    case 'binary':
      return operators.has(node.value as string) && all('operand', [node['lhs'], node['rhs']]);
    case 'unary':
      return isBoundedUnary(use, node);
    case 'function':
      return isBoundedCall(node['procedure'] as SyntaxNode, node['arguments'] as readonly SyntaxNode[]);
    case 'filter':
      return all('operand', [node['expr']]);
    default: // name, string, number
      return true;
  }
}

/** `a.$$` is the whole input as many times as `a` has items. */
function isWholeInput({ type, value }: SyntaxNode, at: number): boolean {
  return at > 0 && type === 'variable' && value === '$';
}

function isBoundedUnary(use: Use, { value, ...node }: SyntaxNode): boolean {
  if (value === '-') return all('operand', [node['expression']]);
  if (use === 'operand') return value === '[' && isShortList(node['expressions'] as SyntaxNode[]);
  return value === '['
    ? all('result', node['expressions'])
    : value === '{' && (node['lhs'] as unknown[]).every((pair) => all('result', pair));
}

/** A list of a few paths or literals, which holds no part of the input many times over. */
function isShortList(items: readonly SyntaxNode[]): boolean {
  return items.length <= maxConcatenations && items.every(({ type }) => type !== 'unary') && all('operand', items);
}

function isBoundedCall({ type, value }: SyntaxNode, args: readonly SyntaxNode[]): boolean {
  const name = value as string;
  if (type !== 'variable' || !Object.hasOwn(functions, name) || args.length > functions[name]!) return false;
  if (name === 'join' && args.length > 1 && args[1]!.type !== 'string') return false;
  return all('operand', args);
}

function all(use: Use, nodes: unknown): boolean {
  return (nodes as (SyntaxNode | undefined)[] | undefined)?.every((node) => node === undefined || isBoundedAs(use, node)) ?? true;
}

function concatenations(node: unknown): number {
  if (node === null || typeof node !== 'object') return 0;
  const own = 'type' in node && node.type === 'binary' && 'value' in node && node.value === '&' ? 1 : 0;
  return Object.values(node).reduce((sum: number, part) => sum + concatenations(part), own);
}
