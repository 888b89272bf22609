export { localBrokerSettings } from './config.js';
export { startLocalBroker } from './local-broker.js';
export type { LocalBroker, LocalBrokerOptions } from './local-broker.js';
