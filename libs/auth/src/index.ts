export { issueApiKey, parseApiKey } from './api-key.js';
export type { CheckableApiKey, IssuedApiKey, StoredApiKey } from './api-key.js';
export { KeyRing, isBearer } from './key-ring.js';
export type { FindApiKey, KeyRingOptions } from './key-ring.js';
export { requireScope } from './principal.js';
export type { Principal } from './principal.js';
export { CredentialInvalid, CredentialMissing, ScopeMissing, TenantForbidden, TenantNotNamed } from './credential.errors.js';
export { SecretBox, SecretUnbound, SecretUnreadable } from './secret-box.js';
export type { SealedSecret, SecretPlace } from './secret-box.js';
