export { EmbeddedPostgres } from './embedded-postgres.js';
export type { EmbeddedPostgresOptions } from './embedded-postgres.js';
