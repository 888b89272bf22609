import jsonata from 'jsonata';
import { syntaxOf } from './syntax-node.js';
import type { SyntaxNode } from './syntax-node.js';

/** Functions that JSONata offers, without `$`. `$eval` is refused when an expression is compiled. */
const functions = new Set(
  [
    ['sum', 'count', 'max', 'min', 'average', 'string', 'substring', 'substringBefore', 'substringAfter', 'lowercase', 'uppercase'],
    ['length', 'trim', 'pad', 'match', 'contains', 'replace', 'split', 'join', 'formatNumber', 'formatBase', 'formatInteger'],
    ['parseInteger', 'number', 'floor', 'ceil', 'round', 'abs', 'sqrt', 'power', 'random', 'boolean', 'not', 'map', 'zip', 'filter'],
    ['single', 'reduce', 'sift', 'keys', 'lookup', 'append', 'exists', 'spread', 'merge', 'reverse', 'each', 'error', 'assert', 'type'],
    ['sort', 'shuffle', 'distinct', 'base64encode', 'base64decode', 'encodeUrlComponent', 'encodeUrl', 'decodeUrlComponent'],
    ['decodeUrl', 'eval', 'toMillis', 'fromMillis', 'clone', 'now', 'millis'],
  ].flat(),
);

/** The names of {@link functions}, for suggestions. */
export const functionNames: ReadonlySet<string> = functions;

/** The names that an expression uses, as far as its text tells. */
export interface ExpressionNames {
  /** Variables and functions, without `$`, that neither JSONata nor the expression itself defines: they never have a value. */
  readonly undefinedVariables: readonly string[];
  /** Paths that are read from the input itself, such as `["steps", "assess", "topic"]` of `steps.assess.topic`. Paths within other values are not listed. */
  readonly inputPaths: readonly (readonly string[])[];
}

/** Reads the names off the syntax tree of an expression that compiles. */
export function namesIn(expression: string): ExpressionNames {
  const found = new NameFinder();
  found.visit(syntaxOf(jsonata(expression)), true);
  return {
    undefinedVariables: [...found.used].filter((name) => !found.defined.has(name) && !functions.has(name)),
    inputPaths: found.paths,
  };
}

/** The paths that a part of an expression reads from the input, and an empty one if it may read the input as a whole. */
export function inputPathsOf(node: SyntaxNode): readonly (readonly string[])[] {
  const found = new NameFinder();
  found.visit(node, true);
  return found.used.has('$') ? [...found.paths, []] : found.paths;
}

class NameFinder {
  readonly used = new Set<string>();
  /** Variables of all scopes: a variable that is used outside of its own is not found, and none is found by mistake. */
  readonly defined = new Set(['', '$']);
  readonly paths: string[][] = [];

  /** @param atInput true if the context of the node is the input itself */
  visit(part: unknown, atInput: boolean): void {
    if (typeof part !== 'object' || part === null || part instanceof RegExp) return;
    if (Array.isArray(part)) {
      for (const item of part) this.visit(item, atInput);
      return;
    }
    const node = part as SyntaxNode;
    if (node.type === 'variable') this.used.add(node.value as string);
    if (typeof node['focus'] === 'string') this.defined.add(node['focus']);
    if (typeof node['index'] === 'string') this.defined.add(node['index']);
    if (node.type === 'bind') this.defined.add((node['lhs'] as SyntaxNode).value as string);
    if (node.type === 'lambda') for (const argument of node['arguments'] as SyntaxNode[]) this.defined.add(argument.value as string);
    if (node.type === 'path') this.path(node, atInput);
    else this.parts(node, atInput);
  }

  private path(node: SyntaxNode, atInput: boolean): void {
    const steps = node.steps ?? [];
    const [first, ...others] = steps;
    const isRoot = first?.type === 'variable' && first.value === '$';
    const isContext = first?.type === 'variable' && first.value === '' && atInput;
    const names = isRoot || isContext ? others : atInput ? steps : [];
    const end = names.findIndex(({ type }) => type !== 'name');
    const read = (end === -1 ? names : names.slice(0, end)).map(({ value }) => value as string);
    if (read.length > 0) this.paths.push(read);
    if (first !== undefined) this.visitStep(first, atInput);
    for (const step of others) this.visitStep(step, false);
    for (const [key, part] of Object.entries(node)) if (key !== 'steps') this.visit(part, false);
  }

  private visitStep(step: SyntaxNode, atInput: boolean): void {
    const { stages, predicate, group, ...own } = step;
    this.visit(own, atInput);
    this.visit([stages, predicate, group], false);
  }

  private parts(node: SyntaxNode, atInput: boolean): void {
    const { predicate, stages, group, ...own } = node;
    // The patterns and updates of a transformation apply to what it is given.
    const isElsewhere = node.type === 'transform' || node.type === 'sort' || node.type === 'filter';
    for (const part of Object.values(own)) this.visit(part, atInput && !isElsewhere);
    this.visit([predicate, stages, group], false);
  }
}
