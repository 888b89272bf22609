export { ModelGateway, systemClock } from './model-gateway.js';
export { ModelEndpoint } from './model-endpoint.js';
export type { ModelCandidate, ModelDirectory, ModelPlan, ModelTarget } from './model-directory.js';
export type { Inference, InferenceObserver, InferenceRequest, ModelAttempt } from './inference.js';
export type { ModelSpending, SpendingOwner } from './model-spending.js';
export { outputGates } from './model.errors.js';
export type { OutputChecks, OutputRule } from './output-gate.js';
export type { GroundedField } from './gates/grounding.js';
export type { ModelProvider, ModelRequest, ModelResponse, Usage } from './model-provider.js';
export {
  ModelAnswerTooLarge,
  ModelBudgetSpent,
  ModelCredentialRefused,
  ModelLimited,
  ModelMisconfigured,
  ModelNotFree,
  ModelOutage,
  ModelOutputInvalid,
  ModelRefused,
  ModelUnavailable,
} from './model.errors.js';
export { OpenAiProvider } from './providers/openai/openai.provider.js';
export { modelConnections } from './providers/openai/transport.js';
