import { hash } from 'node:crypto';
import { startTimer } from '#libs/time';

/** A program of Lua that Redis runs as one step. */
export interface RedisScript {
  readonly source: string;
  /** The name by which Redis knows it once it has run. */
  readonly digest: string;
}

export function redisScript(source: string): RedisScript {
  return { source, digest: hash('sha1', source) };
}

/** Redis did not do it: it is away, too slow, or refused. */
export class RedisUnavailable extends Error {
  constructor(cause: unknown) {
    super(`Redis did not answer: ${cause instanceof Error ? cause.message || cause.name : String(cause)}`, { cause });
  }
}

export interface RedisLinkOptions {
  /** `redis[s]://[[username][:password]@]host[:port][/database]`. */
  url: string;
  /** The authorities that a server with TLS must come from, in PEM. Default: those of Node. */
  ca?: string | undefined;
}

/** The connection of a process to one Redis, 6.2 or newer, or Valkey. It is made with the first use, and again for as long as it is not closed. */
export class RedisLink {
  /** Resolves when its first try to connect has ended. */
  private client: Promise<Client> | undefined;

  constructor(private readonly options: RedisLinkOptions) {}

  /**
   * Runs a script. The first calls wait for the first try to connect.
   * @param keys of one slot, if Redis is a cluster
   * @throws RedisUnavailable within `timeoutMs` if Redis cannot be asked
   */
  async run(script: RedisScript, keys: readonly string[], values: readonly string[], timeoutMs: number): Promise<unknown> {
    this.client ??= connected(this.options);
    const client = await this.client;
    if (!client.isReady) throw new RedisUnavailable(new Error('there is no connection'));
    const late = Promise.withResolvers<never>();
    const timer = startTimer(() => late.reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    try {
      return await Promise.race([evaluated(client, script, [String(keys.length), ...keys, ...values]), late.promise]);
    } catch (error) {
      throw new RedisUnavailable(error);
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    (await this.client)?.destroy();
  }
}

type Client = Awaited<ReturnType<typeof clientFor>>;

async function evaluated(client: Client, { source, digest }: RedisScript, rest: readonly string[]): Promise<unknown> {
  try {
    return await client.sendCommand(['EVALSHA', digest, ...rest]);
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
    return await client.sendCommand(['EVAL', source, ...rest]);
  }
}

async function connected(options: RedisLinkOptions): Promise<Client> {
  const client = await clientFor(options);
  const { promise, resolve } = Promise.withResolvers<void>();
  client.on('ready', resolve).on('error', () => resolve()); // each command that fails says why
  void client.connect().catch(() => undefined);
  await promise;
  return client;
}

/** The package is loaded here, because only a process that shares something needs its memory. */
async function clientFor({ url, ca }: RedisLinkOptions) {
  const { createClient } = await import('@redis/client');
  return createClient({
    url,
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
