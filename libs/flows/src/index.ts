export { viewOf } from './event.view.js';
export type { EventView } from './event.view.js';
export { FlowCompiler } from './flow.compiler.js';
export type { CompiledFlow, CompiledStep } from './flow.compiler.js';
export { ValidationFailed } from './flow.errors.js';
export { FlowRunner } from './flow.runner.js';
export type { FinishedStep, FlowResult, StepJournal } from './flow.runner.js';
export type { CallRecord, StepWork } from './step.js';
