import type { Evaluator } from '#libs/evaluation';
import { compileEvaluation } from './evaluation.js';
import type { EvaluationLimits } from './evaluation.js';

/** The program of the processes that evaluate expressions. */
export function compile(text: string, limits: EvaluationLimits, allowedMs: () => number): Evaluator {
  const compiled = compileEvaluation(text, limits, allowedMs);
  return (input) => compiled.evaluate(input);
}
