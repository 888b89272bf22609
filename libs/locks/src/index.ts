export { FolderInUse, lockFolder } from './folder-lock.js';
export type { FolderLock } from './folder-lock.js';
export { identityOf, isAlive } from './process-identity.js';
export type { ProcessIdentity } from './process-identity.js';
