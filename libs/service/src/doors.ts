import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { logger } from '#libs/tracing';
import type { Operate, Operations } from './operations.js';
import { problemOf } from './problem.js';
import { MethodNotAllowed, RequestMalformed, RequestTooLarge, ServiceStarting } from './request.errors.js';
import { observeRequest } from './request-duration.js';

/** An address to which partners push events. The body is passed on as bytes, so that a signature is verified before anything is parsed. */
export interface Door {
  /** The path. One that ends with a slash matches every address below it. */
  readonly path: `/${string}`;
  /** The label `route` in the metrics. */
  readonly route: string;
  /** The methods that an address takes besides POST, such as GET for the handshake of a provider; default: none. */
  otherMethods?(address: string): readonly string[];
  /** Errors are answered as problem+json. */
  receive(request: DoorRequest): Promise<DoorResponse>;
}

export interface DoorRequest {
  readonly method: string;
  /** The request target as received: path and query, or an absolute URL. */
  readonly target: string;
  /** The part of the path after the door's own, percent-decoded, without the query. */
  readonly address: string;
  readonly headers: IncomingHttpHeaders;
  /** Alternating names and values, as received. */
  readonly rawHeaders: readonly string[];
  readonly rawBody: Buffer;
  readonly receivedAtMs: number;
}

export interface DoorResponse {
  readonly status: number;
  /** An object is sent as JSON, text as it is. A response with status 204 has no body. */
  readonly body: object | string;
}

/** An address that takes WebSocket connections (RFC 6455). */
export interface SocketDoor {
  readonly path: `/${string}`;
  /** Answers the opening handshake. The socket has an error listener already. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

const log = logger('http');

/** Longer than the 60 s after which common load balancers close an idle connection: a request on a connection that we close would be lost. */
const keepAliveTimeoutMs = 72_000;

/**
 * The doors of a process. They are answered by node:http, because Nest on Fastify takes twice as long for a request as verifying and appending
 * an event does (docs/decisions/2026-11-21-doors-before-nest.md). The addresses of operations are answered here, too, since they must work
 * before Nest has started. All other requests go to Nest.
 */
export class Doors {
  private readonly doors: Door[] = [];
  private readonly socketDoors = new Map<string, SocketDoor>();
  private isLocked = true;

  constructor(
    private readonly service: string,
    private readonly bodyLimitBytes: number,
    private readonly operations: Operations,
  ) {}

  open(door: Door): void {
    this.doors.push(door);
  }

  /** The routes of the doors that are open, such as `/webhooks/:address`. */
  routes(): readonly string[] {
    return this.doors.map(({ route }) => route);
  }

  openSocket(door: SocketDoor): void {
    this.socketDoors.set(door.path, door);
  }

  /** Starts to admit requests. Before this call, every request except those of operations gets 503 with `Retry-After`. */
  unlock(): void {
    this.isLocked = false;
  }

  /** @param others answers requests that are neither for a door nor for operations */
  server(others: RequestListener): Server {
    const shouldUpgradeCallback = (request: IncomingMessage): boolean => this.socketDoorFor(request) !== undefined;
    const server = createServer({ keepAliveTimeout: keepAliveTimeoutMs, shouldUpgradeCallback }, (request, response) => {
      const startedAt = performance.now();
      const found = this.find(pathOf(request.url!), request);
      if (found === undefined) return others(request, response);
      const { route } = found;
      void this.answer(request, route, found.reply).then((reply) => {
        if (reply === undefined) return;
        if (!server.listening) reply.headers['connection'] = 'close'; // a connection that is kept alive would delay the stop
        send(response, reply);
        observeRequest(this.service, request.method!, route, reply.status, performance.now() - startedAt);
      });
    });
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on('error', () => socket.destroy()); // node:http removes its own listener before this event
      this.socketDoorFor(request)?.accept(request, socket, head);
    });
    // A server that listens reports connections that it could not take, such as for want of a file descriptor.
    server.on('listening', () => server.on('error', (error) => log.error({ err: error }, 'a connection could not be accepted')));
    return server;
  }

  /** Undefined if the request is to be answered over HTTP: a server may ignore `Upgrade`, and clients offer `h2c` unasked (RFC 9110 §7.8). */
  private socketDoorFor({ method, url, headers }: IncomingMessage): SocketDoor | undefined {
    if (this.isLocked || method !== 'GET' || headers.upgrade?.toLowerCase() !== 'websocket') return undefined;
    return this.socketDoors.get(pathOf(url!));
  }

  /** Undefined if the request is for Nest. */
  private find(path: string, request: IncomingMessage): Route | undefined {
    const operation = this.operations.at(path);
    if (operation !== undefined) return { route: path, reply: () => this.operate(operation, request) };
    if (this.isLocked) return { route: 'none', reply: () => Promise.reject(new ServiceStarting()) };
    const door = this.doors.find((one) => path === one.path || (one.path.endsWith('/') && path.startsWith(one.path)));
    return door && { route: door.route, reply: () => this.receive(door, path.slice(door.path.length), request) };
  }

  private async operate(respond: Operate, { method, headers }: IncomingMessage): Promise<Reply> {
    if (method !== 'GET' && method !== 'HEAD') throw new MethodNotAllowed(method!, 'GET');
    const { status, contentType, text } = await respond(headers.authorization);
    return { status, headers: { 'content-type': contentType }, text };
  }

  /** Undefined if the caller has closed the connection. */
  private async receive(door: Door, address: string, request: IncomingMessage): Promise<Reply | undefined> {
    if (request.method !== 'POST') refuseOtherMethod(door, address, request.method!);
    const rawBody = await readBody(request, this.bodyLimitBytes);
    if (rawBody === undefined) return undefined;
    const { headers, rawHeaders } = request;
    const { status, body } = await door.receive({
      method: request.method!,
      target: request.url!,
      address: decoded(address),
      headers,
      rawHeaders,
      rawBody,
      receivedAtMs: Date.now(),
    });
    return typeof body === 'string'
      ? { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, text: body }
      : { status, headers: { 'content-type': 'application/json; charset=utf-8' }, text: JSON.stringify(body) };
  }

  /** Turns an error into a problem+json response. */
  private async answer({ method }: IncomingMessage, route: string, reply: Route['reply']): Promise<Reply | undefined> {
    try {
      return await reply();
    } catch (error) {
      const { problem, headers } = problemOf(error, { method: method!, route });
      if (error instanceof RequestTooLarge) headers['connection'] = 'close'; // otherwise the rest of the body would have to be read
      headers['content-type'] = 'application/problem+json';
      return { status: problem.status, headers, text: JSON.stringify(problem) };
    }
  }
}

interface Route {
  /** The label `route` in the metrics. */
  readonly route: string;
  readonly reply: () => Promise<Reply | undefined>;
}

interface Reply {
  readonly status: number;
  readonly headers: Record<string, string | number>;
  readonly text: string;
}

function send(response: ServerResponse, { status, headers, text }: Reply): void {
  if (status === 204) delete headers['content-type'];
  else headers['content-length'] = Buffer.byteLength(text);
  response.writeHead(status, headers);
  response.end(text);
}

/** @throws MethodNotAllowed */
function refuseOtherMethod(door: Door, address: string, method: string): void {
  const others = door.otherMethods?.(decoded(address)) ?? [];
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

/** Undefined if the caller closes the connection before the end of the body. @throws RequestTooLarge */
function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const tooLarge = (): void => reject(new RequestTooLarge(limitBytes));
    if (Number(request.headers['content-length']) > limitBytes) return tooLarge();
    const chunks: Buffer[] = [];
    let bytes = 0;
    const take = (chunk: Buffer): void => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes <= limitBytes) return;
      request.off('data', take);
      tooLarge();
    };
    request.on('data', take);
    request.on('end', () => resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)));
    request.on('error', () => resolve(undefined));
  });
}
