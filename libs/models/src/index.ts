export { ModelGateway } from './model-gateway.js';
export type { Clock, Inference, InferenceRequest, ModelAttempt, ModelGatewayOptions } from './model-gateway.js';
export type { Usage } from './model-api.js';
export { ModelCredentialRefused, ModelLimited, ModelOutputInvalid, ModelRefused, ModelUnavailable } from './model.errors.js';
export { CompiledSchemas, compileSchema } from './output-schema.js';
export type { OutputSchema } from './output-schema.js';
export { framedData } from './prompt.js';
