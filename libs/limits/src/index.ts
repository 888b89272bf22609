export type { Demand, LimitStore } from './limit-store.js';
export { limitSettings, limitStoreFor } from './limit.settings.js';
export { MemoryLimitStore } from './memory-limit.store.js';
export { RedisLimitStore } from './redis-limit.store.js';
export { SharedLimitStore } from './shared-limit.store.js';
