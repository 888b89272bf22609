import { hostname } from 'node:os';
import type { RedisLink } from '#libs/redis';
import type { LimitStore } from './limit-store.js';
import { MemoryLimitStore } from './memory-limit.store.js';
import { RedisLimitStore } from './redis-limit.store.js';
import { SharedLimitStore } from './shared-limit.store.js';

/** The limits of all processes that use the same Redis; without one, those of this process. */
export function limitStoreFor(redis: RedisLink | undefined): LimitStore {
  if (redis === undefined) return new MemoryLimitStore();
  return new SharedLimitStore(new RedisLimitStore(redis, `${hostname()}/${process.pid}`));
}
