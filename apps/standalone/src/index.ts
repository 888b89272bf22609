export { standaloneSettings } from './config.js';
export type { SampleCredentials } from './data-directory.js';
export { startStandalone } from './standalone.js';
export type { Standalone } from './standalone.js';
