export { readTlsFiles } from './tls-files.js';
export type { TlsFiles } from './tls-files.js';
