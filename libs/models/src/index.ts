export { ModelGateway } from './model-gateway.js';
export type { Inference, InferenceRequest, ModelAttempt } from './model-gateway.js';
export { isListed, nearestNames } from './model-names.js';
export type { Usage } from './model-provider.js';
export {
  ModelCredentialRefused,
  ModelLimited,
  ModelMisconfigured,
  ModelOutputInvalid,
  ModelRefused,
  ModelUnavailable,
} from './model.errors.js';
export { framedData } from './prompt.js';
export { OpenAiProvider } from './providers/openai/openai.provider.js';
