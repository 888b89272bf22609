import { SecretUnreadable } from '#libs/auth';
import type { SecretBox, SecretPlace } from '#libs/auth';
import { parseStoredJson } from '#libs/json';
import type { Json } from '#libs/json';
import { counter, logger } from '#libs/tracing';
import { RedisUnavailable, redisScript } from './redis-link.js';
import type { RedisLink, RedisScript } from './redis-link.js';

/** The longest that a caller waits for Redis. */
const commandTimeoutMs = 50;
/** After a failure Redis is not asked for so long. */
const askAgainAfterMs = 1_000;
/** A longer output stays with the process that has it. In characters of its sealed form. */
const longestOutput = 131_072;
/** The size of all outputs of one tenant, in bytes. The ones that end first go first. */
const bytesOfTenant = 16 * 1_048_576;
/** The least retention of events is 8 days, so no output outlives the event that it was made of. */
const longestMs = 7 * 24 * 3_600_000;

const outcomes = ['found', 'missed', 'stored', 'too_large', 'unreadable', 'away'] as const;
const uses = counter(
  'millrace_shared_outputs_total',
  'Uses of the outputs that processes share over Redis: reads that `found` or `missed` one, outputs that were `stored` or were `too_large`, those that were `unreadable` with the keys of this process, and uses while Redis was `away`.',
  { outcome: outcomes },
);
const log = logger('redis');

/** KEYS: the output. @returns its text and the ms that are left of it */
const read = redisScript(`
local text = redis.call('GET', KEYS[1])
if not text then return false end
return {text, redis.call('PTTL', KEYS[1])}`);

/**
 * Stores an output, and removes others of its tenant until all together keep their limit.
 * KEYS: the output, the ends of the tenant's outputs, and their sizes with the sum as ''. ARGV: the text, its ms, the limit in bytes.
 */
const write = redisScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ms = tonumber(ARGV[2])
local function forget(name)
  local size = redis.call('HGET', KEYS[3], name)
  redis.call('ZREM', KEYS[2], name)
  if not size then return end
  redis.call('HDEL', KEYS[3], name)
  redis.call('HINCRBY', KEYS[3], '', '-' .. size)
end
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 1000)) do forget(name) end
forget(KEYS[1])
local size = #ARGV[1] + 200
while tonumber(redis.call('HGET', KEYS[3], '') or '0') + size > tonumber(ARGV[3]) do
  local first = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
  if not first then break end
  forget(first)
  redis.call('UNLINK', first)
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ms)
redis.call('ZADD', KEYS[2], now + ms, KEYS[1])
redis.call('HSET', KEYS[3], KEYS[1], size)
redis.call('HINCRBY', KEYS[3], '', size)
for at = 2, 3 do
  if redis.call('PTTL', KEYS[at]) < ms then redis.call('PEXPIRE', KEYS[at], ms) end
end
return 1`);

/** An output that another process stored. */
export interface SharedOutput {
  readonly output: Json;
  /** How long ago it was stored, by the clock of Redis. */
  readonly ageMs: number;
}

/**
 * Outputs that can be used again by all processes, in Redis. Each is sealed and bound to its tenant and its key, so Redis shows none, and one that was moved
 * or altered is no output. Redis may be away or too slow: then nothing is found and nothing is stored. No use fails.
 */
export class SharedOutputs {
  private askAgainAtMs = 0;
  private isAway = false;

  /**
   * @param kind names the use, such as `inference`: what the keys are keys of
   * @param limits for tests
   */
  constructor(
    private readonly redis: RedisLink,
    private readonly box: SecretBox,
    private readonly kind: string,
    private readonly limits = { longestOutput, bytesOfTenant },
  ) {}

  /** Answers within 50 ms. */
  async get(tenant: string, key: string): Promise<SharedOutput | undefined> {
    const place = this.placeOf(tenant, key);
    const reply = await this.ask(read, [this.nameOf(place)], []);
    if (reply === undefined) return undefined;
    if (!Array.isArray(reply)) return noted('missed', undefined);
    const [sealed, leftMs] = reply as [string, number];
    try {
      const [ttlMs, output] = parseStoredJson(this.box.open(sealed, place)) as [number, Json];
      return noted('found', { output, ageMs: Math.max(0, ttlMs - leftMs) });
    } catch (error) {
      if (!(error instanceof SecretUnreadable)) throw error;
      return noted('unreadable', undefined);
    }
  }

  /** Stores an output for so long, 7 days at most. */
  async put(tenant: string, key: string, output: Json, forMs: number): Promise<void> {
    const place = this.placeOf(tenant, key);
    const ttlMs = Math.min(forMs, longestMs);
    const text = JSON.stringify([ttlMs, output]);
    if (text.length > this.limits.longestOutput) return noted('too_large', undefined);
    const { sealed } = this.box.seal(text, place);
    if (sealed.length > this.limits.longestOutput) return noted('too_large', undefined);
    const keys = [this.nameOf(place), ...['ends', 'sizes'].map((part) => `millrace:outputs:{${tenant}}:${this.kind}:${part}`)];
    const reply = await this.ask(write, keys, [sealed, String(ttlMs), String(this.limits.bytesOfTenant)]);
    if (reply !== undefined) noted('stored', undefined);
  }

  private placeOf(tenant: string, key: string): SecretPlace {
    return { tenant, kind: 'shared output', name: this.kind, field: key };
  }

  /** Made with the secret of this installation, so a name tells nothing about the request; outputs of one tenant stand in one slot of a cluster. */
  private nameOf(place: SecretPlace): string {
    return `millrace:output:{${place.tenant}}:${this.kind}:${this.box.fingerprint('name', place)}`;
  }

  /** Undefined if Redis is away. */
  private async ask(script: RedisScript, keys: readonly string[], values: readonly string[]): Promise<unknown> {
    if (performance.now() < this.askAgainAtMs) return noted('away', undefined);
    try {
      const reply = await this.redis.run(script, keys, values, commandTimeoutMs);
      if (this.isAway) log.info('outputs are shared with other processes again');
      this.isAway = false;
      return reply;
    } catch (error) {
      if (!(error instanceof RedisUnavailable)) throw error;
      if (!this.isAway) log.warn({ reason: error.message }, 'outputs are not shared with other processes while Redis is away');
      this.isAway = true;
      this.askAgainAtMs = performance.now() + askAgainAfterMs;
      return noted('away', undefined);
    }
  }
}

function noted<T>(outcome: (typeof outcomes)[number], result: T): T {
  uses.inc({ outcome });
  return result;
}
