export { Redaction } from './redaction.js';
export { SecretFinder } from './secret-finder.js';
