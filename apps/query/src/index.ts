export { querySettings } from './config.js';
export type { QuerySettings } from './config.js';
export { QueryModule } from './query.module.js';
