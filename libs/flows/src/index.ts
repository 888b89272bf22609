export { FlowCompiler } from './flow.compiler.js';
export type { CompiledFlow, FlowServices } from './flow.compiler.js';
export { actionAfter, isWaitedOut } from './failure-action.js';
export type { FailureAction } from './failure-action.js';
export { FlowFailed, RunTooLarge, RunWaits, ValidationFailed } from './flow.errors.js';
export type { FailedStep } from './flow.errors.js';
export { FlowRunner } from './flow.runner.js';
export type { CalledFlows, FinishedStep, FlowResult, FlowRunOptions, StepJournal, StoredStep } from './flow.runner.js';
export type {
  BegunOperation,
  OperationAttempt,
  ReadCaching,
  RecordOperation,
  SendOperation,
  StepCall,
  StepOperation,
  TenantOperations,
} from './operations.js';
export type { CallRecord, CompiledStep, ReviewEnd, ReviewRequest, StepFailure, StepWork, WaitEnd, WaitRequest } from './step.js';
export { onlyStep, tryFlow } from './flow.trial.js';
export type { KnownDecisions, Trial, TrialDecision, TrialOptions, TrialReview } from './flow.trial.js';
export { excludedBy, meetsCondition } from './flow.trigger.js';
