import { isIP } from 'node:net';
import type { LookupFunction } from 'node:net';
import { Agent, buildConnector } from 'undici';
import type { Dispatcher } from 'undici';
import { startTimer, timeoutSignal } from '#libs/time';
import { publicLookup, requirePublic } from './address.guard.js';
import type { Resolve } from './address.guard.js';
import { HostAddressForbidden, HostTimedOut, HostUnreachable } from './http.errors.js';
import { passOverContinue } from './interim-responses.js';

export interface HttpClientOptions {
  /** True lets requests reach loopback, private and other inner addresses. Only if every document is trusted. */
  allowPrivateAddresses: boolean;
  /** Addresses that requests may reach although they are not public. One without a path stands for its origin; one with a path only for itself. */
  allowedUrls?: readonly string[];
  /** Connections per origin at most; further requests wait, inside their deadline. Default 32. */
  connectionsPerOrigin?: number;
  /** Resolves names. Default: `dns.lookup`. */
  resolve?: Resolve;
}

export interface HttpRequest {
  url: string;
  headers: Readonly<Record<string, string>>;
  body: string | Buffer;
  /** Deadline of the exchange: name, connection, request, head of the response. The body then has at most 2 s more, and no more than this. */
  timeoutMs: number;
  signal?: AbortSignal;
}

export interface HttpResponse {
  status: number;
  /** Keyed by lower-case name; the first value of a header that came more than once. */
  headers: Readonly<Record<string, string>>;
  /** The start of the body as text, at most 16 KiB. */
  bodyExcerpt: string;
}

/** How much of a response's body is kept. */
const excerptBytes = 16 * 1024;
/** How much is read at most so that the connection can be used again; the connection of a longer response is closed. */
const drainBytes = 256 * 1024;
/** How long the body of a response is read at most. */
const excerptMs = 2_000;

/** Outbound requests to systems of others: pooled, with one deadline, no redirects, and only to public addresses unless told otherwise. */
export class HttpClient {
  /** Connects to public addresses only. */
  private readonly guarded: Dispatcher;
  /** Connects to every address. */
  private readonly open: Dispatcher;
  private readonly allowPrivateAddresses: boolean;
  private readonly allowedUrls: readonly URL[];

  constructor(options: HttpClientOptions) {
    this.allowPrivateAddresses = options.allowPrivateAddresses;
    this.allowedUrls = (options.allowedUrls ?? []).map((url) => new URL(url));
    const agent = (connect: { lookup?: LookupFunction }): Dispatcher =>
      new Agent({
        connections: options.connectionsPerOrigin ?? 32,
        allowH2: false, // one exchange per connection: a stuck one holds up no other
        headersTimeout: 0, // the deadline of a request covers these two
        bodyTimeout: 0,
        connect: connectorOf(connect),
      }).compose(tellsOfSending);
    this.open = agent({});
    this.guarded = agent({ lookup: publicLookup(options.resolve) });
  }

  /**
   * @throws HostAddressForbidden, HostUnreachable, HostTimedOut; the reason of `signal` if that ended the request
   */
  async post(request: HttpRequest): Promise<HttpResponse> {
    const url = URL.parse(request.url);
    if (url === null) throw new Error('The address of the request is not a URL'); // Node's own error would carry the address
    const agent = this.agentFor(url);
    request.signal?.throwIfAborted();
    const deadline = timeoutSignal(request.timeoutMs);
    const signal = request.signal === undefined ? deadline : AbortSignal.any([request.signal, deadline]);
    let wasSent = false;
    try {
      // Raced, because undici looks at the signal only once it is connected.
      const response = await Promise.race([send(agent, url, request, signal, () => (wasSent = true)), rejectionOn(signal)]);
      return { status: response.statusCode, headers: firstValues(response.headers), bodyExcerpt: await excerptOf(response.body) };
    } catch (error) {
      request.signal?.throwIfAborted();
      if (deadline.aborted) throw new HostTimedOut(url.host, request.timeoutMs, wasSent);
      if (error instanceof HostAddressForbidden) throw error;
      throw new HostUnreachable(url.host, error, wasSent);
    }
  }

  /** Aborts requests under way and closes every connection. */
  async close(): Promise<void> {
    await Promise.all([this.open.destroy(), this.guarded.destroy()]);
  }

  /** @throws HostAddressForbidden */
  private agentFor(url: URL): Dispatcher {
    if (this.allowPrivateAddresses || this.allowedUrls.some((allowed) => isAllowedBy(allowed, url))) return this.open;
    const address = url.hostname.replace(/^\[|\]$/g, '');
    if (isIP(address) !== 0) requirePublic(address, address); // a literal address is connected to without a lookup
    return this.guarded;
  }
}

function isAllowedBy(allowed: URL, url: URL): boolean {
  return url.origin === allowed.origin && (allowed.pathname === '/' || url.pathname === allowed.pathname);
}

/** undici's own connector, of which every socket passes over `100 Continue`. */
function connectorOf(options: { lookup?: LookupFunction }): buildConnector.connector {
  const connect = buildConnector({ ...options, allowH2: false });
  return (target, connected) =>
    connect(target, (...[error, socket]) => {
      if (error === null) connected(null, passOverContinue(socket));
      else connected(error, null);
    });
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

/** Options of undici, with what is to be called before the first byte of the request is written. */
interface RequestOptions extends Dispatcher.RequestOptions {
  readonly onSend: () => void;
}

function send(
  agent: Dispatcher,
  url: URL,
  { headers, body }: HttpRequest,
  signal: AbortSignal,
  onSend: () => void,
): Promise<Dispatcher.ResponseData> {
  const path = url.pathname + url.search;
  const options: RequestOptions = { origin: url.origin, path, method: 'POST', headers: { ...headers }, body, signal, onSend };
  return agent.request(options);
}

/** undici starts a request when it has a connection and is about to write to it. */
const tellsOfSending: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (options, handler) => {
  const start = handler.onRequestStart?.bind(handler);
  handler.onRequestStart = (controller, context) => {
    (options as unknown as RequestOptions).onSend();
    start?.(controller, context);
  };
  return dispatch(options, handler);
};

/**
 * The start of a body. It never fails: the status line has settled the exchange, and a body that breaks, does not end or passes the deadline is
 * only a shorter excerpt.
 */
async function excerptOf(body: Dispatcher.ResponseData['body']): Promise<string> {
  const kept: Buffer[] = [];
  let keptBytes = 0;
  let readBytes = 0;
  body.on('error', () => undefined);
  const end = startTimer(() => body.destroy(), excerptMs);
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      const wanted = chunk.subarray(0, excerptBytes - keptBytes);
      if (wanted.length > 0) kept.push(wanted);
      keptBytes += wanted.length;
      readBytes += chunk.length;
      if (readBytes > drainBytes) break; // leaving the loop destroys the body and its connection
    }
  } catch {
    // the excerpt is what has come
  } finally {
    clearTimeout(end);
  }
  return Buffer.concat(kept).toString('utf8');
}
