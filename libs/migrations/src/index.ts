export { migrate } from './migrate.js';
export { requireSchema } from './required-schema.js';
