export { ConfigurationCopy, ConfigurationCopyUnusable } from './configuration-copy.js';
export { ConfigurationPublisher } from './configuration-publisher.js';
