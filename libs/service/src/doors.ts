import { STATUS_CODES, createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex, Writable } from 'node:stream';
import type { DomainError } from '#libs/contracts';
import { startTimer, wallTimeMs } from '#libs/time';
import { counter, logger } from '#libs/tracing';
import type { BodyReader } from './body-reader.js';
import type { Operate, Operations } from './operations.js';
import { ClientAddresses } from './client-address.js';
import { ConnectionLimit } from './connection-limit.js';
import { problemOf } from './problem.js';
import {
  HeadTooLarge,
  HeadTooSlow,
  HeadersTooMany,
  MethodNotAllowed,
  PipelineTooLong,
  RequestMalformed,
  RequestsExhausted,
  ServiceStarting,
  TransferCodingUnsupported,
} from './request.errors.js';
import { observeRequest } from './request-duration.js';

/**
 * An address to which partners push events. The head of a request is checked before its body is read, and the body is passed on as bytes, so that a
 * signature is verified before anything is parsed.
 */
export interface Door {
  /** The path. One that ends with a slash matches every address below it. */
  readonly path: `/${string}`;
  /** The label `route` in the metrics. */
  readonly route: string;
  /** The methods that an address takes besides POST, such as GET for the handshake of a provider; default: none. */
  otherMethods?(address: string): readonly string[] | Promise<readonly string[]>;
  /**
   * Checks what the head of a request tells, such as its address and key. The body is read only if this resolves, with what then receives the
   * request. Errors of both are answered as problem+json.
   */
  admit(head: RequestHead): Promise<Receive>;
}

/** @param onClose calls the listener when the connection closes before the response was sent, at once if it is closed already */
export type Receive = (request: DoorRequest, onClose: OnClose) => Promise<DoorResponse | DoorStream>;

export type OnClose = (listener: () => void) => void;

export interface RequestHead {
  readonly method: string;
  /** The request target as received: path and query, or an absolute URL. */
  readonly target: string;
  /** The part of the path after the door's own, percent-decoded, without the query. */
  readonly address: string;
  readonly headers: IncomingHttpHeaders;
  /** Alternating names and values, as received. */
  readonly rawHeaders: readonly string[];
  /** The address of the caller; empty if the connection is closed already. */
  readonly clientAddress: string;
  /** True if the request came through a trusted proxy. */
  readonly isProxied: boolean;
}

export interface DoorRequest extends RequestHead {
  readonly rawBody: Buffer;
  /** When the last byte of the body had arrived. */
  readonly receivedAtMs: number;
}

export interface DoorResponse {
  readonly status: number;
  /** An object is sent as JSON, text as it is. A response with status 204 has no body. */
  readonly body: object | string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A response that begins before all of it is known. */
export interface DoorStream {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Writes the body and ends it. It is called once, also if the connection is closed by then. What it throws closes the connection. */
  readonly write: (body: Writable) => Promise<void>;
}

/** Looks at the requests for an address of Nest before their bodies are read. */
export interface Guard {
  /** A path that ends with a slash matches every address below it. */
  readonly path: `/${string}`;
  /** Undefined lets a request pass to Nest. Errors are answered as problem+json. Headers that it sets on the response are kept. */
  refusal(request: IncomingMessage, response: ServerResponse): Promise<DoorResponse | undefined>;
}

/** An address that takes WebSocket connections (RFC 6455). */
export interface SocketDoor {
  readonly path: `/${string}`;
  /** Answers the opening handshake. The socket has an error listener already. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

const log = logger('http');

const unreadable = counter(
  'millrace_http_unreadable_total',
  'Connections that were ended because what came was no request, or none in time, by the code of the response.',
  { code: ['request.malformed', 'request.headTooLarge', 'request.slow'] },
);

/** The most that the doors of a process take at once. */
export interface DoorLimits {
  readonly connections: number;
  readonly requests: number;
}

export const defaultDoorLimits: DoorLimits = { connections: 10_000, requests: 4_000 };

/** How many requests of one connection may wait for their answers behind another (pipelining, RFC 9112 §9.3.2). */
const mostPipelined = 64;

/** More than any sender has. Node reads 2 000, and leaves further ones out without a word. */
const mostHeaders = 200;

/** Longer than the 60 s after which common load balancers close an idle connection: a request on a connection that we close would be lost. */
const keepAliveTimeoutMs = 72_000;

/** `headersTimeout` bounds a head. `requestTimeout` bounds a request whose body nobody reads; bodies that are read have a deadline of their own. */
const serverTimeouts = {
  keepAliveTimeout: keepAliveTimeoutMs,
  headersTimeout: 15_000,
  requestTimeout: 300_000,
  connectionsCheckingInterval: 5_000,
};

/** How long, and for how much, a connection stays open after a response that came before the end of the body. */
const lingerMs = 1_000;
const lingerBytes = 4 * 1_048_576;

/**
 * The doors of a process. They are answered by node:http, because Nest on Fastify takes twice as long for a request as verifying and appending
 * an event does (docs/decisions/2026-11-21-doors-before-nest.md). The addresses of operations are answered here, too, unless they have a port of
 * their own, since they must work before Nest has started. All other requests go to Nest.
 */
export class Doors {
  private readonly doors: Door[] = [];
  private readonly guards: Guard[] = [];
  private readonly socketDoors = new Map<string, SocketDoor>();
  private isLocked = true;
  private isStopping = false;
  private underWay = 0;
  private readonly pipelined = new WeakMap<Socket, number>();
  private readonly unlocked = Promise.withResolvers<void>();

  /**
   * @param operations undefined: they are on a port of their own
   * @param addresses default: no proxy is trusted
   * @param limits default: those of the settings
   */
  constructor(
    private readonly service: string,
    private readonly bodies: BodyReader,
    private readonly operations: Operations | undefined,
    private readonly addresses = new ClientAddresses([]),
    private readonly limits = defaultDoorLimits,
  ) {}

  open(door: Door): void {
    this.doors.push(door);
  }

  /** The routes of the doors that are open, such as `/webhooks/:address`. */
  routes(): readonly string[] {
    return this.doors.map(({ route }) => route);
  }

  /** The addresses of operations that are answered here, such as `/healthz`. */
  operationPaths(): readonly string[] {
    return this.operations?.paths() ?? [];
  }

  guard(guard: Guard): void {
    this.guards.push(guard);
  }

  openSocket(door: SocketDoor): void {
    this.socketDoors.set(door.path, door);
  }

  /** Resolves when requests are admitted. Work that may send one to its own process, as in standalone, waits for it. */
  get opened(): Promise<void> {
    return this.unlocked.promise;
  }

  /** Starts to admit requests. Before this call, every request except those of operations gets 503 with `Retry-After`. */
  unlock(): void {
    this.isLocked = false;
    this.unlocked.resolve();
  }

  /** From now on, each response ends its connection, so that its caller opens the next one, which a load balancer sends to another process. */
  beginStop(): void {
    this.isStopping = true;
  }

  /** @param others answers requests that are neither for a door nor for operations */
  server(others: RequestListener): Server {
    const shouldUpgradeCallback = (request: IncomingMessage): boolean => this.socketDoorFor(request) !== undefined;
    const server = createServer({ ...serverTimeouts, requireHostHeader: false, shouldUpgradeCallback }); // `headProblem` requires it
    void new ConnectionLimit(server, this.limits.connections);
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      const startedAt = performance.now();
      const isQueued = this.joinQueue(request.socket, response);
      if (this.isStopping || !isQueued) response.shouldKeepAlive = false; // node:http then sends `connection: close`
      const found = isQueued ? this.find(pathOf(request.url!), request, response, others) : tooLongQueue;
      if (found === undefined) return others(request, response);
      const { route } = found;
      void this.answer(request, route, found.reply).then((reply) => {
        if (reply === undefined) return;
        if (this.isStopping || !server.listening) reply.headers['connection'] = 'close'; // it would delay the stop
        const observe = (): void => observeRequest(this.service, request.method!, route, reply.status, performance.now() - startedAt);
        if ('write' in reply) {
          void writeStream(response, reply).finally(observe);
          return;
        }
        send(request, response, reply);
        observe();
      });
    };
    server.on('request', answer);
    server.on('checkExpectation', answer); // any other expectation may be ignored (RFC 9110 §10.1.1)
    server.on('clientError', refuseUnparsed);
    server.on('checkContinue', answer); // `Expect: 100-continue` is answered when a body is wanted
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on('error', () => socket.destroy()); // node:http removes its own listener before this event
      this.socketDoorFor(request)?.accept(request, socket, head);
    });
    // A server that listens reports connections that it could not take, such as for want of a file descriptor.
    server.on('listening', () => server.on('error', (error) => log.error({ err: error }, 'a connection could not be accepted')));
    return server;
  }

  /** Undefined if the request is to be answered over HTTP: a server may ignore `Upgrade`, and clients offer `h2c` unasked (RFC 9110 §7.8). */
  private socketDoorFor(request: IncomingMessage): SocketDoor | undefined {
    const { method, url, headers } = request;
    if (this.isLocked || method !== 'GET' || headers.upgrade?.toLowerCase() !== 'websocket') return undefined;
    return headProblem(request) === undefined ? this.socketDoors.get(pathOf(url!)) : undefined;
  }

  /** Notes a request that came before those ahead of it on its connection were answered. False if too many of them wait already. */
  private joinQueue(socket: Socket, response: ServerResponse): boolean {
    if (response.socket !== null) return true; // none is ahead of it
    const waiting = this.pipelined.get(socket) ?? 0;
    if (waiting >= mostPipelined) return false;
    this.pipelined.set(socket, waiting + 1);
    response.once('close', () => this.pipelined.set(socket, this.pipelined.get(socket)! - 1));
    return true;
  }

  /** Undefined if the request is for Nest, and nothing looks at it before. */
  private find(path: string, request: IncomingMessage, response: ServerResponse, others: RequestListener): Route | undefined {
    const problem = headProblem(request);
    if (problem !== undefined) return { route: 'none', reply: () => Promise.reject(problem) };
    const operation = this.operations?.at(path);
    if (operation !== undefined) return { route: path, reply: () => this.operate(operation, request) };
    if (this.isLocked) return { route: 'none', reply: () => Promise.reject(new ServiceStarting()) };
    const door = this.doors.find((one) => isAt(one, path));
    if (door !== undefined) return { route: door.route, reply: () => this.receive(door, path.slice(door.path.length), request, response) };
    const guard = this.guards.find((one) => isAt(one, path));
    return guard && { route: guard.path, reply: () => refuseOrPass(guard, request, response, others) };
  }

  private async operate(respond: Operate, { method, headers }: IncomingMessage): Promise<Reply> {
    if (method !== 'GET' && method !== 'HEAD') throw new MethodNotAllowed(method!, 'GET');
    const { status, contentType, text } = await respond(headers);
    return { status, headers: { 'content-type': contentType }, text };
  }

  /** Undefined if the caller has closed the connection. @throws RequestsExhausted, and what the door throws */
  private async receive(
    door: Door,
    address: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<Reply | StreamReply | undefined> {
    this.requireRoom();
    if (request.method !== 'POST') await refuseOtherMethod(door, address, request.method!);
    const { headers, rawHeaders } = request;
    const head = {
      method: request.method!,
      target: request.url!,
      address: decoded(address),
      headers,
      rawHeaders,
      ...this.addresses.of(request),
    };
    const receive = await door.admit(head);
    const rawBody = await this.bodies.read(request, response);
    if (rawBody === undefined) return undefined;
    const onClose: OnClose = (listener) => {
      if (response.destroyed) listener();
      else response.once('close', () => !response.writableFinished && listener());
    };
    this.requireRoom(); // those whose bodies were read meanwhile may have taken it
    this.underWay += 1;
    const end = (): void => {
      this.underWay -= 1;
      this.bodies.release(response);
    };
    let isStream = false;
    try {
      const answer = await receive({ ...head, rawBody, receivedAtMs: wallTimeMs() }, onClose);
      if (!('write' in answer)) return replyOf(answer);
      isStream = true;
      return { status: answer.status, headers: { ...answer.headers }, write: (body) => answer.write(body).finally(end) };
    } finally {
      if (!isStream) end(); // a stream is under way until it is written
    }
  }

  /** Only requests that have come whole take room, so that slow ones take none from others. @throws RequestsExhausted */
  private requireRoom(): void {
    if (this.underWay >= this.limits.requests) throw new RequestsExhausted();
  }

  /** Turns an error into a problem+json response. */
  private async answer({ method }: IncomingMessage, route: string, reply: Route['reply']): ReturnType<Route['reply']> {
    try {
      return await reply();
    } catch (error) {
      const { problem, headers } = problemOf(error, { method: method!, route });
      headers['content-type'] = 'application/problem+json';
      return { status: problem.status, headers, text: JSON.stringify(problem) };
    }
  }
}

interface Route {
  /** The label `route` in the metrics. */
  readonly route: string;
  readonly reply: () => Promise<Reply | StreamReply | undefined>;
}

const tooLongQueue: Route = { route: 'none', reply: () => Promise.reject(new PipelineTooLong(mostPipelined)) };

interface Reply {
  readonly status: number;
  readonly headers: Record<string, string | number>;
  readonly text: string;
}

interface StreamReply extends Pick<Reply, 'status' | 'headers'>, Pick<DoorStream, 'write'> {}

async function writeStream(response: ServerResponse, { status, headers, write }: StreamReply): Promise<void> {
  response.on('error', () => undefined); // a caller who leaves while something is written to it; `close` follows
  response.writeHead(status, headers);
  response.flushHeaders();
  try {
    await write(response);
  } catch (error) {
    log.error({ err: error }, 'a response was broken off by a defect');
    response.destroy();
  }
}

function send(request: IncomingMessage, response: ServerResponse, { status, headers, text }: Reply): void {
  if (status === 204) delete headers['content-type'];
  else headers['content-length'] = Buffer.byteLength(text);
  if (!request.complete) return sendBeforeEnd(request, response, { status, headers, text });
  response.writeHead(status, headers);
  response.end(text);
}

/**
 * Answers a request whose body has not ended, and closes the connection. It goes on reading for a moment: a connection that is closed over unread
 * bytes is reset, and the caller would lose the response (RFC 9112 §9.6).
 */
function sendBeforeEnd(request: IncomingMessage, response: ServerResponse, { status, headers, text }: Reply): void {
  response.writeHead(status, { ...headers, connection: 'close' });
  response.write(text);
  let discarded = 0;
  const end = (): void => {
    clearTimeout(limit);
    response.end();
  };
  const limit = startTimer(end, lingerMs);
  request.on('data', (chunk: Buffer) => {
    discarded += chunk.length;
    if (discarded > lingerBytes) end();
  });
  request.on('error', end).on('end', end);
}

function replyOf({ status, body, headers }: DoorResponse): Reply {
  return typeof body === 'string'
    ? { status, headers: { 'content-type': 'text/plain; charset=utf-8', ...headers }, text: body }
    : { status, headers: { 'content-type': 'application/json; charset=utf-8', ...headers }, text: JSON.stringify(body) };
}

/** Undefined if the request went on to Nest. */
async function refuseOrPass(
  guard: Guard,
  request: IncomingMessage,
  response: ServerResponse,
  others: RequestListener,
): Promise<Reply | undefined> {
  const refusal = await guard.refusal(request, response);
  if (refusal !== undefined) return replyOf(refusal);
  others(request, response);
  return undefined;
}

/** The reason for which a request is refused wherever it goes: node:http reads heads that two servers could understand differently. */
function headProblem({ rawHeaders, httpVersion, headers }: IncomingMessage): DomainError | undefined {
  if (rawHeaders.length > 2 * mostHeaders) return new HeadersTooMany(mostHeaders);
  let hosts = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!;
    if (name.length === 4 && name.toLowerCase() === 'host') hosts += 1;
  }
  // RFC 9112 §3.2
  if (hosts > 1) return new RequestMalformed('The request has more than one Host header');
  if (hosts === 0 && httpVersion !== '1.0') return new RequestMalformed('The request has no Host header');
  const coding = headers['transfer-encoding'];
  // RFC 9112 §6.1
  return coding === undefined || coding.toLowerCase() === 'chunked' ? undefined : new TransferCodingUnsupported(coding);
}

/** Answers bytes that are no request, and closes the connection. */
function refuseUnparsed(error: NodeJS.ErrnoException, socket: Duplex): void {
  // The property that node:http's own listener looks at: a response that has begun cannot be followed by another.
  const { _httpMessage: under } = socket as { _httpMessage?: ServerResponse | null };
  if (error.code === 'ECONNRESET' || !socket.writable || under?.headersSent === true) return void socket.destroy();
  const failure = unparsed(error);
  unreadable.inc({ code: failure.code });
  const { problem, headers } = problemOf(failure, { method: 'none', route: 'none' });
  const text = JSON.stringify(problem);
  const fields = { ...headers, 'content-type': 'application/problem+json', 'content-length': Buffer.byteLength(text), connection: 'close' };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\n${lines.join('')}\r\n${text}`, () => socket.destroy());
}

function unparsed(error: NodeJS.ErrnoException): DomainError {
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return new HeadTooSlow();
  if (error.code === 'HPE_HEADER_OVERFLOW') return new HeadTooLarge();
  const { reason } = error as { reason?: unknown };
  return new RequestMalformed(`This is no HTTP/1.1 request${typeof reason === 'string' ? `: ${reason}` : ''}`);
}

function isAt({ path }: { path: string }, address: string): boolean {
  return address === path || (path.endsWith('/') && address.startsWith(path));
}

/** @throws MethodNotAllowed */
async function refuseOtherMethod(door: Door, address: string, method: string): Promise<void> {
  const others = (await door.otherMethods?.(decoded(address))) ?? [];
  if (!others.includes(method)) throw new MethodNotAllowed(method, ['POST', ...others].join(', '));
}

/** The path of a request target in origin or absolute form (RFC 9112 §3.2). */
function pathOf(target: string): string {
  const origin = target.startsWith('/') ? target : target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?]*/i, '');
  const end = origin.indexOf('?');
  return end < 0 ? origin : origin.slice(0, end);
}

function decoded(address: string): string {
  if (!address.includes('%')) return address;
  try {
    return decodeURIComponent(address);
  } catch {
    throw new RequestMalformed('The address has a percent sign that starts no UTF-8 character');
  }
}
