import { OpenAI } from 'openai';
import type { ClientOptions } from 'openai';
import { LruMap } from '#libs/lru';
import type { PreparedHead } from './exchange.js';
import type { Transport } from './transport.js';

type Arguments = Parameters<OpenAI['buildRequest']>;
type BuiltRequest = Awaited<ReturnType<OpenAI['buildRequest']>>;

/**
 * The SDK's client for requests that are answered whole. The SDK makes the address and the headers anew for every request, and gives each a timer and a
 * signal; that takes more than half of a call's CPU. Here they are made once for each method, path and timeout, by the SDK, and only the caller's signal ends a
 * request. All requests have the key of the client, and no header or query of their own.
 * It overrides the two methods with which the SDK lets a subclass build and send requests.
 */
export class PreparedClient extends OpenAI {
  private readonly built = new LruMap<string, BuiltRequest>(100);
  /** By the headers that the SDK hands on from `buildRequest` to `fetchWithTimeout`. */
  private readonly heads = new WeakMap<Headers, PreparedHead>();

  /** @param plain a client with the same options, which builds what is prepared: a subclass would put its own name into `User-Agent` */
  constructor(
    options: ClientOptions,
    private readonly plain: OpenAI,
    private readonly transport: Transport,
  ) {
    super(options);
  }

  override async buildRequest(...[options, retry]: Arguments): Promise<BuiltRequest> {
    const key = `${options.method} ${options.timeout} ${options.path}`;
    let built = this.built.get(key);
    if (built === undefined) {
      built = await this.plain.buildRequest(options.body === undefined ? options : { ...options, body: {} }, retry);
      this.built.set(key, built);
      this.heads.set(built.req.headers, this.transport.headOf(options.method.toUpperCase(), built.url, built.req.headers));
    }
    const { method, headers } = built.req;
    const body = options.body === undefined ? null : JSON.stringify(options.body);
    const req = { method, headers, body, signal: options.signal ?? null };
    return { req, url: built.url, timeout: built.timeout };
  }

  override async fetchWithTimeout(...[, init]: Parameters<OpenAI['fetchWithTimeout']>): Promise<Response> {
    const { headers, body, signal } = init as BuiltRequest['req'];
    return this.transport.send(this.heads.get(headers)!, (body as string | null) ?? undefined, signal!);
  }
}
