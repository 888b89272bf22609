export { resolveScheme } from './scheme.js';
export type { ResolvedScheme } from './scheme.js';
export { verify } from './verify.js';
export type { SignedRequest } from './verify.js';
export { presetOf } from './registry.js';
export type { Extraction, Preset } from './preset.js';
export { SecretInvalid, SignatureExpired, SignatureMalformed, SignatureMismatch, SignatureMissing } from './signature.errors.js';
export { signStandardWebhook, verifyStandardWebhook } from './standard-webhook.js';
export type { OutboundMessage, StandardWebhookHeaders } from './standard-webhook.js';
