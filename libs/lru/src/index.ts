export { LruMap } from './lru-map.js';
export { TenantCache } from './tenant-cache.js';
