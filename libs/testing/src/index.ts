export { freshDatabase } from './fresh-database.js';
export type { FreshDatabase } from './fresh-database.js';
export { uniqueName } from './unique-name.js';
export { waitFor } from './wait-for.js';
export type { Wait } from './wait-for.js';
