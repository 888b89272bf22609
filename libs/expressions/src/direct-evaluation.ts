import type { SyntaxNode } from './syntax-node.js';

/** The value is not certain without JSONata, such as that of a path through an array, or of a comparison of different types. */
export const uncertain = Symbol('only JSONata knows');

/** Computes what JSONata would return for this input: plain JSON, undefined if the expression yields nothing, or {@link uncertain}. */
export type DirectEvaluation = (input: unknown) => unknown;

/** JSONata's own limit of nesting is far above it. */
const deepest = 30;

/**
 * Compiles an expression of names, literals, objects, conditions and comparisons to functions, which take about a hundredth of JSONata's time. Null for
 * every other expression. Where JSONata converts, maps or fails, the functions leave the value to it.
 */
export function directEvaluation(node: SyntaxNode, depth = 0): DirectEvaluation | null {
  if (depth > deepest) return null;
  switch (node.type) {
    case 'path':
      return directPath(node);
    case 'string':
    case 'number':
    case 'value':
      return directLiteral(node);
    case 'condition':
      return directCondition(node, depth);
    case 'binary':
      return directOperator(node, depth);
    case 'unary':
      return node.value === '{' ? directObject(node, depth) : null;
    default:
      return null;
  }
}

function directLiteral(node: SyntaxNode): DirectEvaluation | null {
  const { value } = node;
  return hasOnly(node, 'value') && !(value instanceof RegExp) ? () => value : null;
}

function directPath(node: SyntaxNode): DirectEvaluation | null {
  if (!hasOnly(node, 'steps')) return null;
  const names: string[] = [];
  for (const step of node.steps ?? []) {
    if (step.type !== 'name' || !hasOnly(step, 'value')) return null;
    names.push(step.value as string);
  }
  return (input) => follow(names, input);
}

function follow(names: readonly string[], input: unknown): unknown {
  let value = input;
  for (const name of names) {
    if (Array.isArray(value)) return uncertain; // JSONata maps over it
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

function directCondition(node: SyntaxNode, depth: number): DirectEvaluation | null {
  const test = part(node['condition'], depth);
  if (!hasOnly(node, 'condition', 'then', 'else') || test === null) return null;
  const then = part(node['then'], depth) ?? unknown;
  const otherwise = node['else'] === undefined ? nothing : (part(node['else'], depth) ?? unknown);
  return (input) => {
    const found = test(input);
    return found === true ? then(input) : found === false ? otherwise(input) : uncertain;
  };
}

function directOperator(node: SyntaxNode, depth: number): DirectEvaluation | null {
  const left = part(node['lhs'], depth);
  const operator = node.value as string;
  if (!hasOnly(node, 'value', 'lhs', 'rhs') || left === null) return null;
  const right = part(node['rhs'], depth);
  if (operator === 'and' || operator === 'or') return directChoice(left, right ?? unknown, operator === 'or');
  const compute = operators[operator];
  return compute === undefined || right === null ? null : (input) => compute(left(input), right(input));
}

/** @param decides the value of the left side with which the right one does not count */
function directChoice(left: DirectEvaluation, right: DirectEvaluation, decides: boolean): DirectEvaluation {
  return (input) => {
    const first = left(input);
    if (first === decides) return decides;
    const second = first === !decides ? right(input) : uncertain;
    return typeof second === 'boolean' ? second : uncertain;
  };
}

type Operator = (left: unknown, right: unknown) => unknown;

const operators: Readonly<Record<string, Operator | undefined>> = {
  '=': (left, right) => (isScalar(left) && isScalar(right) ? left === right : uncertain),
  '!=': (left, right) => (isScalar(left) && isScalar(right) ? left !== right : uncertain),
  '<': ordering((left, right) => left < right),
  '<=': ordering((left, right) => left <= right),
  '>': ordering((left, right) => left > right),
  '>=': ordering((left, right) => left >= right),
  '&': (left, right) => (typeof left === 'string' && typeof right === 'string' ? left + right : uncertain),
};

function isScalar(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

function ordering(compare: (left: string, right: string) => boolean): Operator {
  return (left, right) => {
    const areNumbers = typeof left === 'number' && typeof right === 'number';
    const areTexts = typeof left === 'string' && typeof right === 'string';
    return areNumbers || areTexts ? compare(left as string, right as string) : uncertain;
  };
}

function directObject(node: SyntaxNode, depth: number): DirectEvaluation | null {
  if (!hasOnly(node, 'value', 'lhs')) return null;
  const members = new Map<string, DirectEvaluation>();
  for (const [key, value] of node['lhs'] as [SyntaxNode, SyntaxNode][]) {
    const name = key.type === 'string' && hasOnly(key, 'value') ? (key.value as string) : undefined;
    const compiled = part(value, depth);
    if (name === undefined || reserved.has(name) || members.has(name) || compiled === null) return null;
    members.set(name, compiled);
  }
  return (input) => {
    if (Array.isArray(input)) return uncertain;
    const object: Record<string, unknown> = {};
    for (const [name, value] of members) {
      const found = value(input);
      if (found === uncertain) return uncertain;
      if (found !== undefined) object[name] = found;
    }
    return object;
  };
}

/** Keys that JSONata refuses, or that an assignment would not set. */
const reserved = new Set(['_jsonata_lambda', '_jsonata_function', '__proto__']);

function part(node: unknown, depth: number): DirectEvaluation | null {
  return directEvaluation(node as SyntaxNode, depth + 1);
}

const unknown: DirectEvaluation = () => uncertain;
const nothing: DirectEvaluation = () => undefined;

/** True if the node has no fields that change its value, such as predicates, besides these. */
function hasOnly(node: object, ...fields: string[]): boolean {
  return Object.keys(node).every((field) => field === 'type' || field === 'position' || fields.includes(field));
}
