import type { CommandParser } from '@redis/client';
import { startTimer } from '#libs/time';
import { paceOf, roundingMs } from './limit-store.js';
import type { Demand, LimitStore } from './limit-store.js';

/** Keys of one scope stand in one slot of a cluster. */
const keyOf = (scope: string, key: string): string => `millrace:limit:{${scope}}:${key}`;
const blockKeyOf = (scope: string): string => keyOf(scope, 'blocked');

/**
 * Takes from all keys or from none, by the clock of Redis.
 * KEYS: the block, then one key for each demand. ARGV: for each demand the cost in ms, and the ms that may be taken ahead.
 */
const take = `
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
return 0`;

/** KEYS: one demand. ARGV: the cost in ms, negative to give back. */
const settle = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local due = math.max(now, tonumber(redis.call('GET', KEYS[1]) or '0')) + ARGV[1]
if due <= now then return redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[1], string.format('%.3f', due), 'PX', math.ceil(due - now) + 1000)
return 0`;

/** KEYS: the block. ARGV: its ms. */
const block = `
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], '1', 'PX', ARGV[1]) end
return 0`;

/** KEYS: the processes. ARGV: the name of this one, and the ms after which it counts as gone. */
const present = `
local time = redis.call('TIME')
local now = math.floor(time[1] * 1000 + time[2] / 1000)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])`;

const parseCommand = (parser: CommandParser, keys: readonly string[], values: readonly string[]): void => {
  parser.pushKeysLength([...keys]);
  parser.push(...values);
};
const transformReply = (reply: unknown): number => Number(reply);

const commandTimeoutMs = 250;
const presentForMs = 30_000;

/** Redis did not do it: it is away, too slow, or refused. */
export class RedisUnavailable extends Error {
  constructor(cause: unknown) {
    super(`Redis did not answer: ${cause instanceof Error ? cause.message || cause.name : String(cause)}`, { cause });
  }
}

export interface RedisLimitStoreOptions {
  /** `redis[s]://[[username][:password]@]host[:port][/database]`. */
  url: string;
  /** Names this process among those that share the limits. */
  process: string;
  /** The authorities that a server with TLS must come from, in PEM. Default: those of Node. */
  ca?: string | undefined;
}

/** The limits of all processes that use one Redis, 6.2 or newer, or Valkey. Every method throws
 * {@link RedisUnavailable} within 250 ms if it cannot be asked; those called at the start wait for the first try to connect. */
export class RedisLimitStore implements LimitStore {
  /** Resolves when its first try to connect has ended. */
  private readonly client: Promise<Client>;

  constructor(private readonly options: RedisLimitStoreOptions) {
    this.client = connected(options);
  }

  take(scope: string, demands: readonly Demand[]): Promise<number> {
    const keys = [blockKeyOf(scope), ...demands.map(({ key }) => keyOf(scope, key))];
    const paces = demands.flatMap((demand) => {
      const { unitMs, aheadMs } = paceOf(demand);
      return [textOf(demand.cost * unitMs), textOf(aheadMs)];
    });
    return this.ask((client) => client.take(keys, paces));
  }

  async settle(scope: string, { key, perMinute, cost }: Omit<Demand, 'spare'>): Promise<void> {
    const { unitMs } = paceOf({ key, perMinute, cost, spare: 0 });
    await this.ask((client) => client.settle([keyOf(scope, key)], [textOf(cost * unitMs)]));
  }

  async block(scope: string, forMs: number): Promise<void> {
    await this.ask((client) => client.block([blockKeyOf(scope)], [String(Math.max(1, Math.ceil(forMs)))]));
  }

  /** Says that this process is there, for half a minute. @returns how many are */
  countProcesses(): Promise<number> {
    return this.ask((client) => client.present(['millrace:limit:processes'], [this.options.process, String(presentForMs)]));
  }

  async close(): Promise<void> {
    (await this.client).destroy();
  }

  private async ask<T>(command: (client: Client) => Promise<T>): Promise<T> {
    const client = await this.client;
    if (!client.isReady) throw new RedisUnavailable(new Error('there is no connection'));
    const late = Promise.withResolvers<never>();
    const timer = startTimer(() => late.reject(new Error(`no answer within ${commandTimeoutMs} ms`)), commandTimeoutMs);
    try {
      return await Promise.race([command(client), late.promise]);
    } catch (error) {
      throw new RedisUnavailable(error);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Lua reads no number with an exponent of JavaScript's that is too small to matter. */
function textOf(ms: number): string {
  return ms.toFixed(3);
}

type Client = Awaited<ReturnType<typeof clientFor>>;

async function connected(options: RedisLimitStoreOptions): Promise<Client> {
  const client = await clientFor(options);
  const { promise, resolve } = Promise.withResolvers<void>();
  client.on('ready', resolve).on('error', () => resolve()); // each command that fails says why
  void client.connect().catch(() => undefined);
  await promise;
  return client;
}

/** The package is loaded here, because only a process that shares limits needs its memory. */
async function clientFor({ url, ca }: RedisLimitStoreOptions) {
  const { createClient, defineScript } = await import('@redis/client');
  const script = (SCRIPT: string) => defineScript({ SCRIPT, NUMBER_OF_KEYS: undefined, parseCommand, transformReply });
  return createClient({
    url,
    scripts: { take: script(take), settle: script(settle), block: script(block), present: script(present) },
    disableOfflineQueue: true,
    commandsQueueMaxLength: 10_000,
    pingInterval: 5_000,
    maintNotifications: 'disabled',
    socket: {
      connectTimeout: 2_000,
      socketTimeout: 15_000,
      reconnectStrategy: (retries) => Math.min(100 * 2 ** Math.min(retries, 5), 2_000) * (0.5 + Math.random()),
      ...(url.startsWith('rediss:') ? { tls: true as const, ...(ca === undefined ? {} : { ca }) } : {}),
    },
  });
}
