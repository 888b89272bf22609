export { standaloneSettings } from './config.js';
export type { SampleCredentials } from './data-directory.js';
