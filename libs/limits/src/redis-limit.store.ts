import { redisScript } from '#libs/redis';
import type { RedisLink, RedisScript } from '#libs/redis';
import { paceOf, roundingMs } from './limit-store.js';
import type { Demand, LimitStore } from './limit-store.js';

/** Keys of one scope stand in one slot of a cluster. */
const keyOf = (scope: string, key: string): string => `millrace:limit:{${scope}}:${key}`;
const blockKeyOf = (scope: string): string => keyOf(scope, 'blocked');

/**
 * Takes from all keys or from none, by the clock of Redis.
 * KEYS: the block, then one key for each demand. ARGV: for each demand the cost in ms, and the ms that may be taken ahead.
 */
const take = redisScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local wait = redis.call('PTTL', KEYS[1])
if wait > 0 then return wait end
local due = {}
wait = 0
for at = 2, #KEYS do
  due[at] = math.max(now, tonumber(redis.call('GET', KEYS[at]) or '0')) + ARGV[2 * at - 3]
  wait = math.max(wait, due[at] - now - ARGV[2 * at - 2] - ${roundingMs})
end
if wait > 0 then return math.ceil(wait) end
for at = 2, #KEYS do
  redis.call('SET', KEYS[at], string.format('%.3f', due[at]), 'PX', math.ceil(due[at] - now) + 1000)
end
return 0`);

/** KEYS: one demand. ARGV: the cost in ms, negative to give back. */
const settle = redisScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local due = math.max(now, tonumber(redis.call('GET', KEYS[1]) or '0')) + ARGV[1]
if due <= now then return redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[1], string.format('%.3f', due), 'PX', math.ceil(due - now) + 1000)
return 0`);

/** KEYS: the block. ARGV: its ms. */
const block = redisScript(`
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], '1', 'PX', ARGV[1]) end
return 0`);

/** KEYS: the processes. ARGV: the name of this one, and the ms after which it counts as gone. */
const present = redisScript(`
local time = redis.call('TIME')
local now = math.floor(time[1] * 1000 + time[2] / 1000)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])`);

const commandTimeoutMs = 250;
const presentForMs = 30_000;

/** The limits of all processes that use one Redis. Every method throws RedisUnavailable within 250 ms if it cannot be asked. */
export class RedisLimitStore implements LimitStore {
  /**
   * @param redis closed with the store
   * @param process names this process among those that share the limits
   */
  constructor(
    private readonly redis: RedisLink,
    private readonly process: string,
  ) {}

  take(scope: string, demands: readonly Demand[]): Promise<number> {
    const keys = [blockKeyOf(scope), ...demands.map(({ key }) => keyOf(scope, key))];
    const paces = demands.flatMap((demand) => {
      const { unitMs, aheadMs } = paceOf(demand);
      return [textOf(demand.cost * unitMs), textOf(aheadMs)];
    });
    return this.run(take, keys, paces);
  }

  async settle(scope: string, { key, perMinute, cost }: Omit<Demand, 'spare'>): Promise<void> {
    const { unitMs } = paceOf({ key, perMinute, cost, spare: 0 });
    await this.run(settle, [keyOf(scope, key)], [textOf(cost * unitMs)]);
  }

  async block(scope: string, forMs: number): Promise<void> {
    await this.run(block, [blockKeyOf(scope)], [String(Math.max(1, Math.ceil(forMs)))]);
  }

  /** Says that this process is there, for half a minute. @returns how many are */
  countProcesses(): Promise<number> {
    return this.run(present, ['millrace:limit:processes'], [this.process, String(presentForMs)]);
  }

  async close(): Promise<void> {
    await this.redis.close();
  }

  private async run(script: RedisScript, keys: readonly string[], values: readonly string[]): Promise<number> {
    return Number(await this.redis.run(script, keys, values, commandTimeoutMs));
  }
}

/** Lua reads no number with an exponent of JavaScript's that is too small to matter. */
function textOf(ms: number): string {
  return ms.toFixed(3);
}
