import { hash } from 'node:crypto';
import { connect as connectSocket, isIP } from 'node:net';
import type { LookupFunction, Socket } from 'node:net';
import { Agent, buildConnector } from 'undici';
import type { Dispatcher } from 'undici';
import { LruMap } from '#libs/lru';
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

/** A certificate with which this side identifies itself (mutual TLS), each in PEM. */
export interface ClientCertificate {
  cert: string;
  key: string;
  /** The authorities that the other side's certificate must come from. Default: those of Node. */
  ca?: string;
}

/** The authorities that the other side's certificate must come from, in PEM. */
export type TrustedAuthorities = Required<Pick<ClientCertificate, 'ca'>>;

interface Exchange {
  url: string;
  headers: Readonly<Record<string, string>>;
  /** Deadline of the exchange: name, connection, request, head of the response. Each method says what holds for the body. */
  timeoutMs: number;
  signal?: AbortSignal;
  /** Default: no certificate, and the authorities of Node. Each identity has connections of its own. */
  tls?: ClientCertificate | TrustedAuthorities | undefined;
}

export interface HttpPost extends Exchange {
  body: string | Buffer;
}

export const httpMethods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;
export type HttpMethod = (typeof httpMethods)[number];

export interface HttpRequest extends Exchange {
  method: HttpMethod;
  body?: string | Buffer | undefined;
  /** The longest body of a response that is read to its end. Default 1 MiB. */
  maxBodyBytes?: number | undefined;
}

/** A response whose body is part of what was asked for. */
export interface HttpAnswer {
  status: number;
  /** Keyed by lower-case name; a header that came more than once, as a list of its values with commas (RFC 9110 §5.3). */
  headers: Readonly<Record<string, string>>;
  /** All of the body, or what came of it. */
  body: Buffer;
  /** How the body ended: as it should, broken off, at the deadline, or at the length that was allowed. */
  ending: 'complete' | 'cut' | 'late' | 'tooLarge';
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

/** The longest body that `request` reads unless it is told otherwise. */
const standardBodyBytes = 1024 * 1024;
/** Certificates whose connections are kept. Those of further ones end when they have been idle for a while. */
const mostCertificates = 100;

/** The connections of one identity. */
interface Agents {
  /** Connects to public addresses only. */
  readonly guarded: Dispatcher;
  /** Connects to every address. */
  readonly open: Dispatcher;
}

/** Outbound requests to systems of others: pooled, with one deadline, no redirects, and only to public addresses unless told otherwise. */
export class HttpClient {
  private readonly anonymous: Agents;
  /** By certificate. */
  private readonly identified = new LruMap<string, Agents>(mostCertificates);
  /** The open sockets of other protocols. */
  private readonly sockets = new Set<Socket>();
  private readonly allowPrivateAddresses: boolean;
  private readonly allowedUrls: readonly URL[];

  constructor(private readonly options: HttpClientOptions) {
    this.allowPrivateAddresses = options.allowPrivateAddresses;
    this.allowedUrls = (options.allowedUrls ?? []).map((url) => new URL(url));
    this.anonymous = this.agentsFor({});
  }

  /**
   * Posts a message whose response only has to be understood by its status: whatever becomes of the body, the status line settles the exchange. The
   * body has at most 2 s, and no more than the deadline.
   * @throws HostAddressForbidden, HostUnreachable, HostTimedOut; the reason of `signal` if that ended the request
   */
  async post(request: HttpPost): Promise<HttpResponse> {
    return this.exchange({ ...request, method: 'POST' }, async ({ statusCode, headers, body }) => ({
      status: statusCode,
      headers: firstValues(headers),
      bodyExcerpt: await excerptOf(body),
    }));
  }

  /**
   * Makes a request whose response is read whole, within the deadline and up to a length. A body that does not arrive whole is no error, because the
   * status has been said: `ending` tells.
   * @throws HostAddressForbidden, HostUnreachable, HostTimedOut; the reason of `signal` if that ended the request
   */
  async request(request: HttpRequest): Promise<HttpAnswer> {
    return this.exchange(request, async ({ statusCode, headers, body }, deadline) => {
      const read = await bodyOf(body, request.maxBodyBytes ?? standardBodyBytes, deadline);
      request.signal?.throwIfAborted();
      return { status: statusCode, headers: joinedValues(headers), ...read };
    });
  }

  private async exchange<T>(
    request: HttpRequest,
    read: (response: Dispatcher.ResponseData, deadline: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const url = URL.parse(request.url);
    if (url === null) throw new Error('The address of the request is not a URL'); // Node's own error would carry the address
    const agent = this.pooledAgentFor(url, request.tls);
    request.signal?.throwIfAborted();
    const deadline = timeoutSignal(request.timeoutMs);
    const signal = request.signal === undefined ? deadline : AbortSignal.any([request.signal, deadline]);
    let wasSent = false;
    try {
      // Raced, because undici looks at the signal only once it is connected.
      const response = await Promise.race([send(agent, url, request, signal, () => (wasSent = true)), rejectionOn(signal)]);
      return await read(response, deadline);
    } catch (error) {
      request.signal?.throwIfAborted();
      if (deadline.aborted) throw new HostTimedOut(url.host, request.timeoutMs, wasSent);
      if (error instanceof HostAddressForbidden) throw error;
      throw new HostUnreachable(url.host, error, wasSent);
    }
  }

  /** True if the address is one of those that may be reached although they are not public. */
  isAllowed(url: URL): boolean {
    return this.allowedUrls.some((allowed) => isAllowedBy(allowed, url));
  }

  /**
   * Begins to connect to a system that does not speak HTTP. The socket reaches what requests may reach: addresses are checked when the name is
   * resolved, and it connects to those that were checked. The end of this client ends it, too.
   * @param url names the protocol, the host and the port
   * @throws HostAddressForbidden; the socket fails with one if the name resolves to such an address
   */
  connect(url: URL): Socket {
    const host = hostOf(url);
    const isOpen = this.mayBeInner(url);
    if (!isOpen) requireLiteralPublic(url);
    const socket = connectSocket({ host, port: Number(url.port), ...(isOpen ? {} : { lookup: publicLookup(this.options.resolve) }) });
    this.sockets.add(socket);
    socket.once('close', () => this.sockets.delete(socket));
    return socket;
  }

  /**
   * Makes connections of their own to one system, which reach what requests may reach. The caller closes them. A request to an address that is forbidden
   * fails with a HostAddressForbidden.
   */
  agentFor(url: URL, options: Omit<Agent.Options, 'connect'> & { connect?: { timeout?: number } }): Agent {
    const isOpen = this.mayBeInner(url);
    const forbidden = isOpen ? undefined : forbiddenLiteral(url);
    if (forbidden !== undefined) return new Agent({ ...options, connect: (_, connected) => connected(forbidden, null) });
    return new Agent({ ...options, connect: { ...options.connect, ...(isOpen ? {} : { lookup: publicLookup(this.options.resolve) }) } });
  }

  /** Aborts requests under way and closes every connection. */
  async close(): Promise<void> {
    const agents = [this.anonymous, ...this.identified.values()];
    for (const socket of this.sockets) socket.destroy();
    await Promise.all(agents.flatMap(({ open, guarded }) => [open.destroy(), guarded.destroy()]));
  }

  /** True if requests may reach the address although it is not public. */
  private mayBeInner(url: URL): boolean {
    return this.allowPrivateAddresses || this.isAllowed(url);
  }

  /** @throws HostAddressForbidden */
  private pooledAgentFor(url: URL, tls: Partial<ClientCertificate> | undefined): Dispatcher {
    const { open, guarded } = this.agentsOf(tls);
    if (this.mayBeInner(url)) return open;
    requireLiteralPublic(url);
    return guarded;
  }

  private agentsOf(tls: Partial<ClientCertificate> | undefined): Agents {
    if (tls === undefined) return this.anonymous;
    const identity = hash('sha256', JSON.stringify([tls.cert, tls.key, tls.ca]));
    return this.identified.getOrMake(identity, () => this.agentsFor(tls));
  }

  private agentsFor(tls: Partial<ClientCertificate>): Agents {
    const agent = (connect: ConnectOptions): Dispatcher =>
      new Agent({
        connections: this.options.connectionsPerOrigin ?? 32,
        allowH2: false, // one exchange per connection: a stuck one holds up no other
        headersTimeout: 0, // the deadline of a request covers these two
        bodyTimeout: 0,
        connect: connectorOf(connect),
      }).compose(tellsOfSending);
    return { open: agent(tls), guarded: agent({ ...tls, lookup: publicLookup(this.options.resolve) }) };
  }
}

function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

/** An address that is no name is connected to without a lookup, so it is checked here. @throws HostAddressForbidden */
function requireLiteralPublic(url: URL): void {
  const host = hostOf(url);
  if (isIP(host) !== 0) requirePublic(host, host);
}

/** The refusal of an address that is no name; undefined if there is none. */
function forbiddenLiteral(url: URL): HostAddressForbidden | undefined {
  try {
    requireLiteralPublic(url);
    return undefined;
  } catch (error) {
    if (error instanceof HostAddressForbidden) return error;
    throw error;
  }
}

function isAllowedBy(allowed: URL, url: URL): boolean {
  // The origin of an address that is not http or https is no use: it is `null` for each.
  const isSameHost = url.protocol === allowed.protocol && url.host === allowed.host;
  return isSameHost && (allowed.pathname === '/' || url.pathname === allowed.pathname);
}

interface ConnectOptions extends Partial<ClientCertificate> {
  readonly lookup?: LookupFunction;
}

/** undici's own connector, of which every socket passes over `100 Continue`. */
function connectorOf(options: ConnectOptions): buildConnector.connector {
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

function joinedValues(headers: Dispatcher.ResponseData['headers']): Record<string, string> {
  const values = Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value] as const);
  return Object.fromEntries(values.filter((entry): entry is readonly [string, string] => entry[1] !== undefined));
}

/** Options of undici, with what is to be called before the first byte of the request is written. */
interface RequestOptions extends Dispatcher.RequestOptions {
  readonly onSend: () => void;
}

function send(
  agent: Dispatcher,
  url: URL,
  { method, headers, body }: HttpRequest,
  signal: AbortSignal,
  onSend: () => void,
): Promise<Dispatcher.ResponseData> {
  const path = url.pathname + url.search;
  const options: RequestOptions = { origin: url.origin, path, method, headers: { ...headers }, body: body ?? null, signal, onSend };
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

/** The whole body, or what came of it before it broke, was late or became too long. */
async function bodyOf(
  body: Dispatcher.ResponseData['body'],
  maxBytes: number,
  deadline: AbortSignal,
): Promise<Pick<HttpAnswer, 'body' | 'ending'>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  body.on('error', () => undefined);
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk.subarray(0, maxBytes - bytes));
      bytes += chunk.length;
      if (bytes > maxBytes) return { body: Buffer.concat(chunks), ending: 'tooLarge' }; // which destroys the body and its connection
    }
    return { body: Buffer.concat(chunks), ending: 'complete' };
  } catch {
    return { body: Buffer.concat(chunks), ending: deadline.aborted ? 'late' : 'cut' };
  }
}
