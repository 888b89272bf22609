import type { EvaluationFailure, EvaluationLimits } from './evaluation.js';

/** The expression that a process evaluates, with its input as JSON text. */
export interface EvaluationRequest {
  readonly text: string;
  readonly limits: EvaluationLimits;
  readonly input: string;
}

/** The answer of the process: the value as JSON text, undefined for no value; or why there is none. */
export type EvaluationAnswer =
  | { readonly value: string | undefined }
  | { readonly failure: EvaluationFailure }
  | { readonly defect: string };

/** The process ends itself by this signal when an evaluation has used up its processor time. */
export const timeUsedUp = 'SIGVTALRM';
