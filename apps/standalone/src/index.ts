export { standaloneSettings } from './config.js';
export type { Credentials } from './data-directory.js';
