import jsonata from 'jsonata';
import type { EvaluationFailure, ProcessorLimits } from '#libs/evaluation';
import { holdsLosslessNumber } from '#libs/json';
import type { Json } from '#libs/json';
import { isBounded } from './bounded.js';
import { ResultTooLarge, toJson } from './json.js';
import { directEvaluation, uncertain } from './direct-evaluation.js';
import { replaceSlowFunctions } from './linear-functions.js';
import { admitLosslessNumbers, hasLosslessLiteral } from './lossless-numbers.js';
import { LinearRegExp, linear } from './linear-regexp.js';
import { syntaxOf } from './syntax-node.js';
import type { SyntaxNode } from './syntax-node.js';

// The processes that evaluate load this, too (expression.program.ts), so it imports nothing that takes long to load.

/** A limit that an evaluation can reach. `size`: of the result. */
export type ExpressionLimit = 'time' | 'memory' | 'depth' | 'items' | 'size';

/** The limits of one evaluation. */
export interface EvaluationLimits extends ProcessorLimits {
  /** Deepest nesting of calls and sub-expressions. */
  readonly depth: number;
  /** Most items in one sequence, such as `[1..n]`. */
  readonly items: number;
  /** Most values in the result. */
  readonly values: number;
}

/** Why an evaluation failed: a type did not fit, a limit was reached, or the result is not JSON. */
export interface ExpressionFailure extends EvaluationFailure {
  readonly limit: ExpressionLimit | undefined;
}

/** The value, undefined if the expression yields nothing; or why there is none. */
type ExpressionResult = { readonly value: Json | undefined } | { readonly failure: ExpressionFailure };

/** An expression that is evaluated in the thread of the caller. */
export interface Evaluation {
  /** True if its limits hold between any two steps, so that it may run in the thread that serves everybody. */
  readonly isBounded: boolean;
  /** Evaluates at once, or says that {@link uncertain} only `evaluate` can; null if that holds for every input. It throws nothing. */
  readonly direct: ((input: unknown) => Json | undefined | typeof uncertain) | null;
  /** Never rejects. */
  evaluate(input: unknown): Promise<ExpressionResult>;
}

/**
 * @param allowedMs the time since the start of the evaluation at which it is ended, read between any two of its steps; by default it does not change
 * @throws whatever says what is wrong with the text: {@link reasonOf}, {@link positionOf}
 */
export function compileEvaluation(
  text: string,
  { timeoutMs, depth, items, values }: EvaluationLimits,
  allowedMs = (): number => timeoutMs,
): Evaluation {
  const compile = (stack: number): jsonata.Expression => {
    const compiled = jsonata(text, {
      get timeout() {
        return allowedMs();
      },
      stack,
      sequence: items,
      RegexEngine: LinearRegExp as unknown as RegExpConstructor,
    });
    refuseUnbounded(syntaxOf(compiled));
    replaceSlowFunctions(compiled);
    return compiled;
  };
  const compiled = compile(depth);
  const syntax = syntaxOf(compiled);
  // Made on first use. Conversions stand between the levels of the expression, so it has twice as many.
  let lossless: Promise<jsonata.Expression> | undefined;
  const admitting = (): Promise<jsonata.Expression> => (lossless ??= admitLosslessNumbers(compile(2 * depth), text));
  const literals = hasLosslessLiteral(text);
  /** JSONata names the size that it was asked for, and the time that its process had. */
  const reached: Partial<Record<ExpressionLimit, string>> = {
    time: `It took longer than ${timeoutMs} ms`,
    items: `It had more than ${items} items in a sequence`,
  };

  const evaluate = async (input: unknown): Promise<ExpressionResult> => {
    try {
      const suited = literals || holdsLosslessNumber(input) ? await admitting() : compiled;
      return { value: toJson(await suited.evaluate(input), values) };
    } catch (cause) {
      const position = positionOf(cause);
      const limit = limitOf(cause);
      const reason = (limit && reached[limit]) ?? reasonOf(cause);
      return { failure: { reason, limit, ...(position !== undefined && { position }), cause } };
    }
  };

  return { isBounded: isBounded(syntax), direct: directly(syntax, literals, values), evaluate };
}

/** The value of a plain path is part of the input; all others are copied under the limits of a result. */
function directly(syntax: SyntaxNode, hasLosslessLiterals: boolean, values: number): Evaluation['direct'] {
  if (syntax.type === 'path') return directEvaluation(syntax) as Evaluation['direct'];
  const compute = hasLosslessLiterals || !isBounded(syntax) ? null : directEvaluation(syntax);
  if (compute === null) return null;
  return (input) => {
    const found = compute(input);
    if (found === uncertain) return uncertain;
    try {
      return toJson(found, values);
    } catch {
      return uncertain; // beyond a limit, which `evaluate` reports
    }
  };
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
export function reasonOf(failure: unknown): string {
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

/** The offset in the text at which compiling or evaluating it failed, if it is known. */
export function positionOf(failure: unknown): number | undefined {
  const found = typeof failure === 'object' && failure !== null && 'position' in failure ? failure.position : undefined;
  return typeof found === 'number' ? found : undefined;
}
