import { DomainError, holdsLosslessNumber } from '#libs/contracts';
import jsonata from 'jsonata';
import { toJson } from './json.js';
import type { Json } from '#libs/contracts';
import { replaceSlowFunctions } from './linear-functions.js';
import { admitLosslessNumbers, hasLosslessLiteral } from './lossless-numbers.js';
import { LinearRegExp, linear } from './linear-regexp.js';

export interface ExpressionLimits {
  /** Longest evaluation, in ms. Default 1000. */
  timeoutMs: number;
  /** Deepest nesting of calls and sub-expressions. Default 200. */
  depth: number;
  /** Most items in one sequence, such as `[1..n]`. Default 100 000. */
  items: number;
}

const standardLimits: ExpressionLimits = { timeoutMs: 1_000, depth: 200, items: 100_000 };

/** The text is not a JSONata expression, or uses a construct without limits: `$eval`, a regular expression that needs backtracking. */
export class ExpressionInvalid extends DomainError {
  readonly code = 'document.invalid';

  constructor(
    readonly expression: string,
    reason: string,
    /** The offset in the text at which reading stopped, if it is known. */
    readonly position: number | undefined,
    cause: unknown,
  ) {
    super(`${reason}${position === undefined ? '' : ` (at character ${position})`}, in the expression ${quoted(expression)}`, { cause });
  }
}

/** The expression could not be evaluated on this input: a type did not fit, a limit was reached, or the result is not JSON. */
export class ExpressionFailed extends DomainError {
  readonly code = 'flow.expressionFailed';

  constructor(
    readonly expression: string,
    reason: string,
    cause: unknown,
  ) {
    super(`${reason}, in the expression ${quoted(expression)}`, { cause });
  }
}

/** A compiled expression; it keeps no state between evaluations, so one serves any number at once. */
export interface Expression {
  readonly text: string;
  /**
   * Evaluates the expression on `input`, which must be plain JSON. The value is undefined if the expression yields nothing. A plain path returns
   * the object of the input itself, without a promise: treat it as read-only.
   * @throws ExpressionFailed by rejection only
   */
  evaluate(input: unknown): Promise<Json | undefined> | Json | undefined;
}

/**
 * Compiles a JSONata expression. Do it once per document version: it takes about 50 µs. A plain path such as `body.data."x-id"` is then
 * read directly, about a hundred times faster than JSONata would.
 * @throws ExpressionInvalid
 */
export function compileExpression(text: string, limits: Partial<ExpressionLimits> = {}): Expression {
  const { timeoutMs, depth, items } = { ...standardLimits, ...limits };
  const compile = (stack: number): jsonata.Expression => {
    const compiled = jsonata(text, {
      timeout: timeoutMs,
      stack,
      sequence: items,
      RegexEngine: LinearRegExp as unknown as RegExpConstructor,
    });
    refuseUnbounded(compiled.ast());
    replaceSlowFunctions(compiled);
    return compiled;
  };
  let compiled: jsonata.Expression;
  try {
    compiled = compile(depth);
  } catch (failure) {
    throw new ExpressionInvalid(text, reasonOf(failure), positionOf(failure), failure);
  }
  // Made on first use. Conversions stand between the levels of the expression, so it has twice as many.
  let lossless: jsonata.Expression | undefined;
  const admitting = (): jsonata.Expression => (lossless ??= admitLosslessNumbers(compile(2 * depth), text));
  const literals = hasLosslessLiteral(text);

  const evaluate = async (input: unknown): Promise<Json | undefined> => {
    try {
      const suited = literals || holdsLosslessNumber(input) ? admitting() : compiled;
      return toJson(await suited.evaluate(input));
    } catch (failure) {
      throw new ExpressionFailed(text, reasonOf(failure), failure);
    }
  };

  const path = plainPath(compiled.ast());
  if (path === null) return { text, evaluate };
  return {
    text,
    evaluate: (input) => {
      const found = follow(path, input);
      return found === ambiguous ? evaluate(input) : found;
    },
  };
}

/** A node of JSONata's syntax tree; its own type declaration leaves out `path`. */
interface SyntaxNode {
  readonly type: string;
  readonly value?: unknown;
  readonly steps?: readonly SyntaxNode[];
}

/** The names of a path that is nothing but names; null for every other expression. */
function plainPath(ast: SyntaxNode): readonly string[] | null {
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

const ambiguous = Symbol('an array stands on the path: JSONata maps over it');

function follow(path: readonly string[], input: unknown): Json | undefined | typeof ambiguous {
  let value = input;
  for (const name of path) {
    if (Array.isArray(value)) return ambiguous;
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return Array.isArray(value) ? ambiguous : (value as Json | undefined);
}

/**
 * Refuses constructs that no limit can interrupt: a regular expression that needs backtracking, and `$eval`, which parses text of the event as
 * an expression (one megabyte takes half a minute).
 */
function refuseUnbounded(node: unknown): void {
  if (node === null || typeof node !== 'object') return;
  if ('type' in node && 'value' in node) {
    if (node.type === 'regex' && node.value instanceof RegExp) linear(node.value);
    if (node.type === 'variable' && node.value === 'eval') throw new Error('$eval is not available');
  }
  for (const part of Object.values(node)) refuseUnbounded(part);
}

/** JSONata throws plain objects with a message; anything else (a RangeError of the engine, our own reasons) is an Error. */
function reasonOf(failure: unknown): string {
  const hasMessage = typeof failure === 'object' && failure !== null && 'message' in failure;
  return hasMessage ? String(failure.message).replace(/\.$/, '') : 'it failed without a reason';
}

function positionOf(failure: unknown): number | undefined {
  const found = typeof failure === 'object' && failure !== null && 'position' in failure ? failure.position : undefined;
  return typeof found === 'number' ? found : undefined;
}

/** Expressions can be long; the start is enough to find one. */
function quoted(text: string): string {
  return `'${text.length > 80 ? `${text.slice(0, 80)}…` : text}'`;
}
