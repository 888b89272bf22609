/** Limits of one evaluation; a program may have more of them. */
export interface ProcessorLimits {
  /** Longest evaluation, in ms of processor time. */
  readonly timeoutMs: number;
}

/** A text that a process evaluates, such as an expression, with its input as JSON text. */
export interface EvaluationRequest<L extends ProcessorLimits = ProcessorLimits> {
  readonly text: string;
  readonly limits: L;
  readonly input: string;
}

/** Why an evaluation failed. */
export interface EvaluationFailure {
  readonly reason: string;
  /** The limit that was reached: of a process, or one of the program's own; undefined if it failed for another reason. */
  readonly limit: string | undefined;
  /** The offset in the text at which it failed, if it is known. */
  readonly position?: number | undefined;
  readonly cause?: unknown;
}

/** The answer of the process: the value as JSON text, undefined for no value; or why there is none. */
export type EvaluationAnswer =
  | { readonly value: string | undefined }
  | { readonly failure: EvaluationFailure }
  | { readonly defect: string };

/** The message of the process about one request. */
export interface EvaluationReport {
  readonly answer: EvaluationAnswer;
  /** Processor time that it took, ms. */
  readonly usedMs: number;
}

/** The process ends itself by this signal when an evaluation has used up its processor time. */
export const timeUsedUp = 'SIGVTALRM';
