import jsonata from 'jsonata';
import { functionNames, inputPathsOf } from './expression-names.js';
import { syntaxOf } from './syntax-node.js';
import type { SyntaxNode } from './syntax-node.js';

/** Functions whose result holds nothing of their arguments: a number of things, true or false, a time. */
const opaque = new Set(['count', 'length', 'exists', 'boolean', 'not', 'contains', 'type', 'now', 'millis', 'random']);
/** Operators whose result is true or false. */
const judging = new Set(['=', '!=', '<', '<=', '>', '>=', 'and', 'or', 'in']);

type Paths = readonly (readonly string[])[];

/**
 * Finds the paths of the input out of which an expression makes its value, or one field of its value. A path that only decides which value it is, such as
 * the condition in `steps.a.kind = "x" ? "one" : "two"`, is none of them. An empty path stands for the whole input. Where the text does not tell, all
 * paths that the expression reads are returned.
 * @returns a function of a field, by the names of properties within the value; an empty one stands for the value as a whole
 */
export function valueSources(expression: string): (field: readonly string[]) => Paths {
  const finder = new SourceFinder(syntaxOf(jsonata(expression)));
  return (field) => distinct(finder.sourcesOf(field));
}

function distinct(paths: Paths): Paths {
  return [...new Map(paths.map((path) => [JSON.stringify(path), path])).values()];
}

class SourceFinder {
  /** The values of variables of all scopes, each with those that it may have. */
  private readonly values = new Map<string, SyntaxNode[]>();
  private readonly known = new Map<string, Paths>();

  constructor(private readonly root: SyntaxNode) {
    this.collect(root);
  }

  sourcesOf(field: readonly string[]): Paths {
    return this.from(this.root, field);
  }

  private collect(part: unknown): void {
    if (typeof part !== 'object' || part === null || part instanceof RegExp) return;
    const node = part as SyntaxNode;
    if (node.type === 'bind') {
      const name = (node['lhs'] as SyntaxNode).value as string;
      this.values.set(name, [...(this.values.get(name) ?? []), node['rhs'] as SyntaxNode]);
    }
    for (const inner of Object.values(part)) this.collect(inner);
  }

  private from(node: SyntaxNode | undefined, field: readonly string[]): Paths {
    if (node === undefined) return [];
    if (node['group'] !== undefined) return inputPathsOf(node);
    switch (node.type) {
      case 'string':
      case 'number':
      case 'value':
        return [];
      case 'path':
        return this.fromPath(node, field);
      case 'variable':
        return this.fromVariable(node, field);
      case 'condition':
        return this.fromAll([node['then'], node['else']], field);
      case 'binary':
        return judging.has(node.value as string) ? [] : this.fromAll([node['lhs'], node['rhs']], []);
      case 'unary':
        return this.fromUnary(node, field);
      case 'block':
        return this.from((node['expressions'] as SyntaxNode[]).at(-1), field);
      case 'bind':
        return this.from(node['rhs'] as SyntaxNode, field);
      case 'function':
        return this.fromCall(node, field);
      default: // loops, sorts, functions, transforms
        return inputPathsOf(node);
    }
  }

  private fromAll(nodes: readonly unknown[], field: readonly string[]): Paths {
    return nodes.flatMap((node) => this.from(node as SyntaxNode | undefined, field));
  }

  private fromPath(node: SyntaxNode, field: readonly string[]): Paths {
    const [first, ...others] = node.steps ?? [];
    if (first === undefined || others.some(({ type, group }) => type !== 'name' || group !== undefined)) return inputPathsOf(node);
    const names = [...others.map(({ value }) => value as string), ...field];
    return first.type === 'name' && first['group'] === undefined ? [[first.value as string, ...names]] : this.from(first, names);
  }

  private fromVariable(node: SyntaxNode, field: readonly string[]): Paths {
    const { value } = node;
    if (value === '' || value === '$') return [field];
    const key = JSON.stringify([value, field]);
    const known = this.known.get(key);
    if (known !== undefined) return known;
    this.known.set(key, []); // while it is looked for: a variable can be made of itself
    const found = distinct(this.fromAll(this.values.get(value as string) ?? [], field));
    this.known.set(key, found);
    return found;
  }

  private fromUnary(node: SyntaxNode, field: readonly string[]): Paths {
    if (node.value === '[') return this.fromAll(node['expressions'] as SyntaxNode[], field);
    if (node.value !== '{') return this.from(node['expression'] as SyntaxNode, []);
    const [name, ...within] = field;
    return (node['lhs'] as [SyntaxNode, SyntaxNode][]).flatMap(([key, value]) => {
      if (name === undefined) return [...this.from(key, []), ...this.from(value, [])];
      if (key.type !== 'string') return [...this.from(key, []), ...this.from(value, within)];
      return key.value === name || name === '*' ? this.from(value, within) : [];
    });
  }

  private fromCall(node: SyntaxNode, field: readonly string[]): Paths {
    const { type, value } = node['procedure'] as SyntaxNode;
    const given = node['arguments'] as SyntaxNode[];
    if (type === 'variable' && !functionNames.has(value as string)) return inputPathsOf(this.root); // a function of the expression's own
    if (type !== 'variable' || given.some((one) => one.type === 'lambda' || isFunction(one))) return inputPathsOf(node);
    if (opaque.has(value as string)) return [];
    if (value === 'lookup') return this.from(given[0], []);
    if (given.length === 0) return [[]]; // most functions take the context then
    return this.fromAll(given, value === 'merge' || value === 'append' ? field : []);
  }
}

/** True for the name of a function that is handed over, such as `$map(items, $string)`. */
function isFunction({ type, value }: SyntaxNode): boolean {
  return type === 'partial' || (type === 'variable' && value !== '' && value !== '$' && functionNames.has(value as string));
}
