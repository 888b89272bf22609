export { IngestionModule } from './ingestion.module.js';
export { ingestionSettings } from './config.js';
export type { IngestionOptions } from './config.js';
