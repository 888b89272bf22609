import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { optionalFile, optionalUrl } from '#libs/config';
import type { Settings } from '#libs/config';
import type { LimitStore } from './limit-store.js';
import { MemoryLimitStore } from './memory-limit.store.js';
import { RedisLimitStore } from './redis-limit.store.js';
import { SharedLimitStore } from './shared-limit.store.js';

/** The settings of services that keep limits. */
export const limitSettings = {
  redisUrl: optionalUrl('REDIS_URL', ['redis', 'rediss'], {
    help: 'The Redis or Valkey over which processes share limits: ai-processing those of models, ingestion those of requests. Nothing in it has to be kept. Empty: each process keeps the limits by itself.',
    secret: true,
  }),
  redisCaFile: optionalFile('REDIS_CA_FILE', {
    help: 'PEM file of the authorities that the certificate of Redis comes from. Empty: those that Node trusts.',
  }),
};

/** The limits of all processes that use the same Redis; without one, those of this process. */
export function limitStoreFor({ redisUrl, redisCaFile }: Settings<typeof limitSettings>): LimitStore {
  if (redisUrl === undefined) return new MemoryLimitStore();
  const ca = redisCaFile === undefined ? undefined : readFileSync(redisCaFile, 'utf8');
  return new SharedLimitStore(new RedisLimitStore({ url: redisUrl, process: `${hostname()}/${process.pid}`, ca }));
}
