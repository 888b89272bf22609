import type { Json } from '#libs/json';
import type { EvaluationFailure, ProcessorLimits } from './evaluation-messages.js';

/** The value, undefined if there is none; or why there is none. */
export type EvaluationResult = { readonly value: Json | undefined } | { readonly failure: EvaluationFailure };

/** Evaluates one compiled text. A rejection is a defect. */
export type Evaluator = (input: Json) => Promise<EvaluationResult>;

/** A module that the processes load: it says what a text means. */
export interface EvaluationProgram {
  /**
   * @param limits those that the caller gave
   * @param allowedMs the time since the start of the evaluation at which it is ended, to be read between its steps
   */
  readonly compile: (text: string, limits: ProcessorLimits, allowedMs: () => number) => Evaluator;
}
