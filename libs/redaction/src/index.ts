export { Redaction } from './redaction.js';
