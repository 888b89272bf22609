export { EvaluationProcesses } from './evaluation-processes.js';
export type { EvaluationFailure, ProcessorLimits } from './evaluation-messages.js';
export type { EvaluationResult, Evaluator } from './evaluation-program.js';
