export { standaloneSettings } from './config.js';
