import { isIP } from 'node:net';
import { Agent } from 'undici';
import type { Dispatcher } from 'undici';
import { publicLookup, requirePublic } from './address.guard.js';
import type { Resolve } from './address.guard.js';
import { DestinationAddressForbidden, DestinationTimedOut, DestinationUnreachable } from './http.errors.js';

export interface HttpClientOptions {
  /** True lets requests reach loopback, private and other inner addresses. Only where every document is trusted. */
  allowPrivateAddresses: boolean;
  /** Connections per origin at most; further requests wait, inside their deadline. Default 32. */
  connectionsPerOrigin?: number;
  /** How names are resolved. Default: `dns.lookup`. */
  resolve?: Resolve;
}

export interface HttpRequest {
  url: string;
  headers: Readonly<Record<string, string>>;
  body: string | Buffer;
  /** Deadline of the whole exchange: name, connection, request, complete answer. */
  timeoutMs: number;
  signal?: AbortSignal;
}

export interface HttpAnswer {
  status: number;
  /** By lower-case name; of a header that came more than once, the first. */
  headers: Readonly<Record<string, string>>;
  /** The start of the body as text. */
  bodyExcerpt: string;
}

/** How much of an answer's body is kept. */
const excerptBytes = 16 * 1024;
/** How much more is read so that the connection can be used again; a longer answer costs its connection instead. */
const drainBytes = 256 * 1024;

/** Outbound requests to systems of others: pooled, with one deadline, no redirects, and only to public addresses unless told otherwise. */
export class HttpClient {
  private readonly agent: Agent;
  private readonly allowPrivateAddresses: boolean;

  constructor(options: HttpClientOptions) {
    this.allowPrivateAddresses = options.allowPrivateAddresses;
    this.agent = new Agent({
      connections: options.connectionsPerOrigin ?? 32,
      allowH2: false, // one exchange per connection: a stuck one holds up no other
      headersTimeout: 0, // the deadline below covers these two
      bodyTimeout: 0,
      connect: options.allowPrivateAddresses ? {} : { lookup: publicLookup(options.resolve) },
    });
  }

  /**
   * @throws DestinationAddressForbidden, DestinationUnreachable, DestinationTimedOut; the reason of `signal` where that ended it
   */
  async post(request: HttpRequest): Promise<HttpAnswer> {
    const url = new URL(request.url);
    this.requireReachable(url.hostname);
    request.signal?.throwIfAborted();
    const deadline = AbortSignal.timeout(request.timeoutMs);
    const signal = request.signal === undefined ? deadline : AbortSignal.any([request.signal, deadline]);
    try {
      // Raced, because undici looks at the signal only once the connection stands.
      return await Promise.race([this.exchange(url, request, signal), rejectionOn(signal)]);
    } catch (error) {
      request.signal?.throwIfAborted();
      if (deadline.aborted) throw new DestinationTimedOut(url.host, request.timeoutMs);
      if (error instanceof DestinationAddressForbidden) throw error;
      throw new DestinationUnreachable(url.host, error);
    }
  }

  private async exchange(url: URL, { headers, body }: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
    const path = url.pathname + url.search;
    const answer = await this.agent.request({ origin: url.origin, path, method: 'POST', headers: { ...headers }, body, signal });
    return { status: answer.statusCode, headers: firstValues(answer.headers), bodyExcerpt: await excerptOf(answer.body) };
  }

  /** Breaks off what is under way and closes every connection. */
  async close(): Promise<void> {
    await this.agent.destroy();
  }

  /** A literal address is connected to without a lookup, so it is checked here. */
  private requireReachable(hostname: string): void {
    const address = hostname.replace(/^\[|\]$/g, '');
    if (!this.allowPrivateAddresses && isIP(address) !== 0) requirePublic(address, address);
  }
}

function rejectionOn(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  return promise;
}

function firstValues(headers: Dispatcher.ResponseData['headers']): Record<string, string> {
  const values = Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value[0] : value] as const);
  return Object.fromEntries(values.filter((entry): entry is readonly [string, string] => entry[1] !== undefined));
}

async function excerptOf(body: Dispatcher.ResponseData['body']): Promise<string> {
  const kept: Buffer[] = [];
  let keptBytes = 0;
  let readBytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    const wanted = chunk.subarray(0, excerptBytes - keptBytes);
    if (wanted.length > 0) kept.push(wanted);
    keptBytes += wanted.length;
    readBytes += chunk.length;
    if (readBytes > drainBytes) break; // leaving the loop destroys the body and its connection
  }
  return Buffer.concat(kept).toString('utf8');
}
