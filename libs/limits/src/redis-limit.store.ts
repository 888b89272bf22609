import { redisScript } from '#libs/redis';
import type { RedisLink, RedisScript } from '#libs/redis';
import { paceOf, roundingMs } from './limit-store.js';
import type { Demand, LimitStore, Rest } from './limit-store.js';

/** Keys of one scope stand in one slot of a cluster. */
const keyOf = (scope: string, key: string): string => `millrace:limit:{${scope}}:${key}`;
const blockKeyOf = (scope: string): string => keyOf(scope, 'blocked');

const restKeyOf = (scope: string, key: string): string => keyOf(scope, `rest:${key}`);

/**
 * Takes from all keys or from none, by the clock of Redis.
 * KEYS: the block, then two keys for each demand, of what is taken and of what is left. ARGV: for each demand the units, the ms of one, and the ms that may
 * be taken ahead.
 */
const take = redisScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local wait = redis.call('PTTL', KEYS[1])
if wait > 0 then return wait end
local due, rests = {}, {}
wait = 0
for at = 1, (#KEYS - 1) / 2 do
  local cost, unit, ahead = tonumber(ARGV[3 * at - 2]), tonumber(ARGV[3 * at - 1]), tonumber(ARGV[3 * at])
  due[at] = math.max(now, tonumber(redis.call('GET', KEYS[2 * at]) or '0')) + cost * unit
  wait = math.max(wait, due[at] - now - ahead - ${roundingMs})
  local rest = redis.call('HMGET', KEYS[2 * at + 1], 'left', 'until', 'cost', 'at', 'noted')
  local left, span = tonumber(rest[1] or '0'), tonumber(rest[2] or '0') - now
  if span > 0 then
    rests[at] = left - cost
    left = left - (now - tonumber(rest[5])) / unit
    if cost > left then
      wait = math.max(wait, span)
    elseif span / left > unit then
      wait = math.max(wait, tonumber(rest[4] or '0') + tonumber(rest[3] or '0') * span / left - now - ${roundingMs})
    end
  end
end
if wait > 0 then return math.ceil(wait) end
for at = 1, (#KEYS - 1) / 2 do
  redis.call('SET', KEYS[2 * at], string.format('%.3f', due[at]), 'PX', math.ceil(due[at] - now) + 1000)
  if rests[at] then
    redis.call('HSET', KEYS[2 * at + 1], 'left', string.format('%.3f', rests[at]), 'cost', ARGV[3 * at - 2], 'at', string.format('%.3f', now))
  end
end
return 0`);

/** KEYS: what is left. ARGV: the units, and the ms until it is whole again. */
const note = redisScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
redis.call('HSET', KEYS[1], 'left', ARGV[1], 'until', string.format('%.3f', now + ARGV[2]), 'noted', string.format('%.3f', now))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
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
    const keys = [blockKeyOf(scope), ...demands.flatMap(({ key }) => [keyOf(scope, key), restKeyOf(scope, key)])];
    const paces = demands.flatMap((demand) => {
      const { unitMs, aheadMs } = paceOf(demand);
      return [textOf(demand.cost), unitMs.toFixed(9), textOf(aheadMs)];
    });
    return this.run(take, keys, paces);
  }

  async settle(scope: string, { key, perMinute, cost }: Omit<Demand, 'spare'>): Promise<void> {
    const { unitMs } = paceOf({ key, perMinute, cost, spare: 0 });
    await this.run(settle, [keyOf(scope, key)], [textOf(cost * unitMs)]);
  }

  async note(scope: string, { key, left, forMs }: Rest): Promise<void> {
    await this.run(note, [restKeyOf(scope, key)], [textOf(left), String(Math.max(1, Math.ceil(forMs)))]);
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
