export { migrate } from './migrate.js';
export { MigrationRefused } from './migration-rights.js';
export { requireSchema } from './required-schema.js';
