export { connectorsSettings } from './config.js';
export type { ConnectorsOptions } from './config.js';
export { ConnectorsModule } from './connectors.module.js';
