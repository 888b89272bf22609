export { RedisLink, RedisUnavailable, redisScript } from './redis-link.js';
export type { RedisLinkOptions, RedisScript } from './redis-link.js';
export { redisFor, redisSettings } from './redis.settings.js';
export { SharedOutputs } from './shared-outputs.js';
export type { SharedOutput } from './shared-outputs.js';
