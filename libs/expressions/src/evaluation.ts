import jsonata from 'jsonata';
import { holdsLosslessNumber } from '#libs/json';
import type { Json } from '#libs/json';
import { isBounded } from './bounded.js';
import { ExpressionFailed, ExpressionInvalid } from './expression.errors.js';
import type { ExpressionLimit } from './expression.errors.js';
import { ResultTooLarge, toJson } from './json.js';
import { plainPath } from './plain-path.js';
import { replaceSlowFunctions } from './linear-functions.js';
import { admitLosslessNumbers, hasLosslessLiteral } from './lossless-numbers.js';
import { LinearRegExp, linear } from './linear-regexp.js';

/** The limits of one evaluation. */
export interface EvaluationLimits {
  /** Longest evaluation, in ms. */
  readonly timeoutMs: number;
  /** Deepest nesting of calls and sub-expressions. */
  readonly depth: number;
  /** Most items in one sequence, such as `[1..n]`. */
  readonly items: number;
  /** Most values in the result. */
  readonly values: number;
}

/** An expression that is evaluated in the thread of the caller. */
export interface Evaluation {
  /** True if its limits hold between any two steps, so that it may run in the thread that serves everybody. */
  readonly isBounded: boolean;
  /** The names of a plain path; null for every other expression. */
  readonly path: readonly string[] | null;
  /** @throws ExpressionFailed */
  evaluate(input: unknown): Promise<Json | undefined>;
}

/** @throws ExpressionInvalid */
export function compileEvaluation(text: string, { timeoutMs, depth, items, values }: EvaluationLimits): Evaluation {
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
  let bounded: boolean;
  try {
    compiled = compile(depth);
    bounded = isBounded(compiled.ast());
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
      return toJson(await suited.evaluate(input), values);
    } catch (failure) {
      throw new ExpressionFailed(text, reasonOf(failure), limitOf(failure), failure);
    }
  };

  return { isBounded: bounded, path: plainPath(compiled.ast()), evaluate };
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

/** The codes of JSONata's own limits. */
const limitCodes: Readonly<Record<string, ExpressionLimit>> = { D1011: 'depth', D1012: 'time', D2014: 'items', D2015: 'items' };

function limitOf(failure: unknown): ExpressionLimit | undefined {
  if (failure instanceof ResultTooLarge) return 'size';
  if (failure instanceof RangeError) return 'memory'; // of the engine: the stack, or the length of a text or an array
  return typeof failure === 'object' && failure !== null && 'code' in failure ? limitCodes[String(failure.code)] : undefined;
}

function positionOf(failure: unknown): number | undefined {
  const found = typeof failure === 'object' && failure !== null && 'position' in failure ? failure.position : undefined;
  return typeof found === 'number' ? found : undefined;
}
