import jsonata from 'jsonata';
import { LosslessNumber, numberOf } from '#libs/json';
import { replaceSlowFunctions } from './linear-functions.js';
import { syntaxOf } from './syntax-node.js';
import type { SyntaxNode } from './syntax-node.js';

/** Names that no author can write. */
const doubles = 'lossless numbers as doubles';
const comparables = 'lossless numbers as comparable values';

/** Operators that compute with their operands. `&` writes them, and so keeps their digits. */
const computing = new Set(['+', '-', '*', '/', '%', '<', '<=', '>', '>=', '..', 'and', 'or']);
const comparing = new Set(['=', '!=', 'in']);

/** JSONata's functions that compute with numbers or look at the type of a value. All others pass values on, or write them. */
const computingFunctions =
  'abs assert average boolean ceil floor formatBase formatInteger formatNumber fromMillis match max min not number pad power replace round split sqrt substring sum type'.split(
    ' ',
  );

/**
 * Changes a compiled expression so that it can be evaluated on lossless numbers, which JSONata takes for objects. Values that are passed on keep their
 * digits; `$string` and `&` write the digits; two numbers are equal if they are the same number; everything else computes with the nearest double. It
 * costs some calls more for each operator, so it is for inputs that hold such numbers.
 */
export async function admitLosslessNumbers(expression: jsonata.Expression, text: string): Promise<jsonata.Expression> {
  admit(syntaxOf(expression), text);
  expression.registerFunction(doubles, (value: unknown) => mapped(value, Number));
  expression.registerFunction(comparables, (value: unknown) => mapped(value, comparable));
  for (const [name, computes] of await (computingBuiltins ??= buildComputing())) expression.assign(name, computes);
  return expression;
}

/** True if the text may have a number with more digits than a double keeps. */
export function hasLosslessLiteral(text: string): boolean {
  return /\d{16}|\d\.\d{15}/.test(text);
}

/** Converts the operands of what computes, and the literals with more digits than a double has. */
function admit(node: unknown, text: string): void {
  if (typeof node !== 'object' || node === null) return;
  for (const part of Object.values(node)) admit(part, text);
  if (Array.isArray(node)) return;
  const found = node as SyntaxNode;
  if (found.type === 'number') found.value = literal(found, text);
  if (found.type === 'number' && found.value instanceof LosslessNumber) found.type = 'value';
  if (found.type === 'binary') {
    const via = computing.has(found.value as string) ? doubles : comparing.has(found.value as string) ? comparables : undefined;
    if (via !== undefined) convert(found, via, 'lhs', 'rhs');
  }
  if (found.type === 'unary' && found.value === '-') convert(found, doubles, 'expression');
  if (found.type === 'condition') convert(found, doubles, 'condition');
  if (found.type === 'filter' && (found['expr'] as SyntaxNode).type !== 'number') convert(found, doubles, 'expr');
  if (found.type === 'sort') for (const term of found['terms'] as SyntaxNode[]) convert(term, doubles, 'expression');
}

function convert(node: SyntaxNode, via: string, ...parts: string[]): void {
  for (const part of parts) {
    const operand = node[part] as SyntaxNode;
    if (yieldsNone(operand)) continue;
    const procedure = { type: 'variable', value: via, position: operand.position };
    node[part] = { type: 'function', value: '(', position: operand.position, arguments: [operand], procedure };
  }
}

/** True if the value of the node is surely no lossless number: a literal of another kind, or the result of an operator. */
function yieldsNone(node: SyntaxNode): boolean {
  if (node['predicate'] !== undefined || node['group'] !== undefined) return false;
  return node.type === 'number' || node.type === 'string' || (node.type === 'binary' && node.value !== '..');
}

/** JSONata keeps only the double of a literal. Its digits stand in the text, before the position at which reading it ended. */
function literal({ value, position }: SyntaxNode, text: string): unknown {
  const [digits] = /(?:0|[1-9]\d*)(?:\.\d+)?(?:e[+-]?\d+)?$/i.exec(text.slice(0, position)) ?? [];
  if (digits === undefined || Number(digits) !== Math.abs(value as number)) return value;
  const number = numberOf(digits);
  return number instanceof LosslessNumber && !number.isDouble() && (value as number) >= 0 ? number : value;
}

/** A value that is equal to another one exactly if the numbers are equal. It begins with half of a surrogate pair, as no text of an event does. */
function comparable(number: LosslessNumber): unknown {
  return number.isDouble() ? Number(number) : `\ud800number ${number.canonical()}`;
}

/**
 * The value with another one in the place of each lossless number; the value itself if it holds none. Functions stay as they are, also where they stand
 * in an object: theirs hold the whole environment of the evaluation.
 */
function mapped(value: unknown, map: (number: LosslessNumber) => unknown): unknown {
  if (typeof value !== 'object' || value === null || '_jsonata_function' in value || '_jsonata_lambda' in value) return value;
  if (value instanceof LosslessNumber) return map(value);
  if (Array.isArray(value)) {
    const items = value.map((item) => mapped(item, map));
    return items.some((item, at) => item !== value[at]) ? Object.defineProperties(items, marksOf(value)) : value;
  }
  const entries = Object.entries(value);
  const changed = entries.map(([key, item]) => [key, mapped(item, map)] as const);
  return changed.some(([, item], at) => item !== entries[at]![1]) ? Object.fromEntries(changed) : value;
}

/** The properties that JSONata marks its lists with; not the items, of which there can be many. */
function marksOf(list: object): PropertyDescriptorMap {
  const marks: PropertyDescriptorMap = {};
  for (const name of ['sequence', 'keepSingleton', 'outerWrapper', 'cons', 'tupleStream']) {
    const mark = Object.getOwnPropertyDescriptor(list, name);
    if (mark !== undefined) marks[name] = mark;
  }
  return marks;
}

/** A function of JSONata, as its evaluator has it. */
interface BuiltinFunction {
  readonly signature: { validate: (given: unknown[], context: unknown) => unknown[] };
}

/** Made when the first lossless number comes: it takes some milliseconds, and most processes never meet one. */
let computingBuiltins: Promise<ReadonlyMap<string, object>> | undefined;

/** JSONata checks the arguments of its functions by their signatures. These see doubles. */
async function buildComputing(): Promise<ReadonlyMap<string, object>> {
  const built = computingFunctions.map(async (name) => {
    const probe = jsonata(`$${name}`);
    replaceSlowFunctions(probe);
    const builtin = (await probe.evaluate({})) as BuiltinFunction;
    const { signature } = builtin;
    const validate = (given: unknown[], context: unknown): unknown[] =>
      signature.validate(
        given.map((value) => mapped(value, Number)),
        mapped(context, Number),
      );
    return [name, { ...builtin, signature: { ...signature, validate } }] as const;
  });
  return new Map(await Promise.all(built));
}
