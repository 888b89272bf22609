export { LocalModelModule } from './local-model.module.js';
export { localModelSettings } from './config.js';
export type { LocalModelOptions } from './config.js';
export { localModelBasePath } from './openai/completions.controller.js';
