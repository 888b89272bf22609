export { ModelGateway } from './model-gateway.js';
export type { Inference, InferenceRequest, ModelAttempt } from './model-gateway.js';
export type { ModelProvider, ModelRequest, ModelResponse, Usage } from './model-provider.js';
export {
  ModelCredentialRefused,
  ModelLimited,
  ModelMisconfigured,
  ModelOutputInvalid,
  ModelRefused,
  ModelUnavailable,
} from './model.errors.js';
export { OpenAiProvider } from './providers/openai/openai.provider.js';
