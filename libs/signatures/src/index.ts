export { createVerifier, describeScheme } from './create-verifier.js';
export type { VerifiableRequest } from './request.js';
export type { Verifier } from './scheme-verifier.js';
export { presetOf } from './registry.js';
export { providers } from './providers.generated.js';
export type { Extraction, Preset, ProviderPreset, Split } from './preset.js';
export { isChallenge, respondTo } from './handshake.js';
export type { HandshakeRequest, HandshakeResponse, UnsignedResponse } from './handshake.js';
export {
  HandshakeRefused,
  ParameterMissing,
  PublicUrlMissing,
  SecretInvalid,
  SignatureMismatch,
  SignatureMissing,
} from './signature.errors.js';
export { textAt } from './body-field.js';
export { HmacKey, hmacKeyBytes } from './hmac-key.js';
export { StandardWebhookSigner, requireStandardWebhookSecret, signStandardWebhook, verifyStandardWebhook } from './standard-webhook.js';
