import { readFileSync } from 'node:fs';
import { optionalFile, optionalUrl } from '#libs/config';
import type { Settings } from '#libs/config';
import { RedisLink } from './redis-link.js';

/** The settings of services that share something over Redis. */
export const redisSettings = {
  redisUrl: optionalUrl('REDIS_URL', ['redis', 'rediss'], {
    help: 'The Redis or Valkey over which processes share limits and cached outputs: ai-processing those of models, ingestion the limits of requests. Nothing in it has to be kept. Empty: each process keeps them by itself.',
    secret: true,
  }),
  redisCaFile: optionalFile('REDIS_CA_FILE', {
    help: 'PEM file of the authorities that the certificate of Redis comes from. Empty: those that Node trusts.',
  }),
};

/** The connection of this process; undefined if it shares nothing. */
export function redisFor({ redisUrl, redisCaFile }: Settings<typeof redisSettings>): RedisLink | undefined {
  if (redisUrl === undefined) return undefined;
  return new RedisLink({ url: redisUrl, ca: redisCaFile === undefined ? undefined : readFileSync(redisCaFile, 'utf8') });
}
