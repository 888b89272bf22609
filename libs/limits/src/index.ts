export type { Demand, LimitStore, Rest } from './limit-store.js';
export { limitStoreFor } from './limit-store-for.js';
export { MemoryLimitStore } from './memory-limit.store.js';
export { RedisLimitStore } from './redis-limit.store.js';
export { SharedLimitStore } from './shared-limit.store.js';
