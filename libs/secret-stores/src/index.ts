export { FolderStore } from './folder.store.js';
export { SecretEntryMissing, SecretStoreUnavailable } from './secret-store.js';
export type { SecretEntry, SecretStore } from './secret-store.js';
export { secretStoreOf, secretStoreSettings } from './secret-store.settings.js';
export type { SecretStoreSettings } from './secret-store.settings.js';
export { VaultStore } from './vault.store.js';
export type { VaultLogin, VaultOptions } from './vault.store.js';
