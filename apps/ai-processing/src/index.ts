export { AiProcessingModule } from './ai-processing.module.js';
export { aiProcessingSettings } from './config.js';
export type { AiProcessingOptions } from './config.js';
