import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { Operations, OperationsAnswer } from './operations.js';
import { problemOf } from './problem.js';
import { MethodNotAllowed, RequestMalformed, RequestTooLarge, ServiceStarting } from './request.errors.js';
import { observeRequest } from './request-duration.js';

/** Where partners push events in: it takes POST only, with the body as bytes, so that a signature is judged before anything is parsed. */
export interface Door {
  /** Its path; one that ends with a slash is the door of every address below it. */
  readonly path: `/${string}`;
  /** Its name in the metrics. */
  readonly route: string;
  /** What it throws is answered as problem+json. */
  receive(request: DoorRequest): Promise<DoorAnswer>;
}

export interface DoorRequest {
  /** What follows the door's path, percent-decoded, without the query. */
  readonly address: string;
  readonly headers: IncomingHttpHeaders;
  /** Names and values by turns, as they came in. */
  readonly rawHeaders: readonly string[];
  readonly rawBody: Buffer;
  readonly receivedAtMs: number;
}

export interface DoorAnswer {
  readonly status: number;
  /** An object goes out as JSON, text as it is. */
  readonly body: object | string;
}

/** Longer than the 60 s after which common load balancers let go of an idle connection: the side that closes first must not be ours. */
const keepAliveTimeoutMs = 72_000;

/**
 * The doors of a process, answered by node:http: Nest on Fastify takes twice as long over a request as verifying and appending an event does
 * (docs/decisions/2026-11-21-doors-before-nest.md). Every other address is Nest's, but for those of operations, which are answered before there
 * is a Nest.
 */
export class Doors {
  private readonly doors: Door[] = [];
  private isLocked = true;

  constructor(
    private readonly service: string,
    private readonly bodyLimitBytes: number,
    private readonly operations: Operations,
  ) {}

  open(door: Door): void {
    this.doors.push(door);
  }

  /** Until then everybody but operations is told to come back. */
  unlock(): void {
    this.isLocked = false;
  }

  /** @param others answers what is at no door */
  server(others: RequestListener): Server {
    const server = createServer({ keepAliveTimeout: keepAliveTimeoutMs }, (request, response) => {
      const startedAt = performance.now();
      const found = this.find(pathOf(request.url!), request);
      if (found === undefined) return others(request, response);
      const { route } = found;
      void this.answer(request, route, found.reply).then((reply) => {
        if (reply === undefined) return;
        if (!server.listening) reply.headers['connection'] = 'close'; // a client that keeps its connection would hold the stop up
        send(response, reply);
        observeRequest(this.service, request.method!, route, reply.status, performance.now() - startedAt);
      });
    });
    return server;
  }

  /** Undefined where it is Nest's. */
  private find(path: string, request: IncomingMessage): Found | undefined {
    const operation = this.operations.at(path);
    if (operation !== undefined) return { route: path, reply: () => this.operate(operation, request) };
    if (this.isLocked) return { route: 'none', reply: () => Promise.reject(new ServiceStarting()) };
    const door = this.doors.find((one) => path === one.path || (one.path.endsWith('/') && path.startsWith(one.path)));
    return door && { route: door.route, reply: () => this.receive(door, path.slice(door.path.length), request) };
  }

  private async operate(answer: () => Promise<OperationsAnswer>, { method }: IncomingMessage): Promise<Reply> {
    if (method !== 'GET' && method !== 'HEAD') throw new MethodNotAllowed(method!, 'GET');
    const { status, contentType, text } = await answer();
    return { status, headers: { 'content-type': contentType }, text };
  }

  /** Undefined where the caller has gone away. */
  private async receive(door: Door, address: string, request: IncomingMessage): Promise<Reply | undefined> {
    if (request.method !== 'POST') throw new MethodNotAllowed(request.method!, 'POST');
    const rawBody = await readBody(request, this.bodyLimitBytes);
    if (rawBody === undefined) return undefined;
    const { headers, rawHeaders } = request;
    const { status, body } = await door.receive({ address: decoded(address), headers, rawHeaders, rawBody, receivedAtMs: Date.now() });
    return typeof body === 'string'
      ? { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, text: body }
      : { status, headers: { 'content-type': 'application/json; charset=utf-8' }, text: JSON.stringify(body) };
  }

  /** What is thrown is answered as problem+json. */
  private async answer({ method }: IncomingMessage, route: string, reply: Found['reply']): Promise<Reply | undefined> {
    try {
      return await reply();
    } catch (error) {
      const { problem, headers } = problemOf(error, { method: method!, route });
      if (error instanceof RequestTooLarge) headers['connection'] = 'close'; // or the rest of the body would have to be read
      headers['content-type'] = 'application/problem+json';
      return { status: problem.status, headers, text: JSON.stringify(problem) };
    }
  }
}

interface Found {
  /** Its name in the metrics. */
  readonly route: string;
  readonly reply: () => Promise<Reply | undefined>;
}

interface Reply {
  readonly status: number;
  readonly headers: Record<string, string | number>;
  readonly text: string;
}

function send(response: ServerResponse, { status, headers, text }: Reply): void {
  headers['content-length'] = Buffer.byteLength(text);
  response.writeHead(status, headers);
  response.end(text);
}

/** Of a request target in origin or absolute form (RFC 9112 §3.2). */
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

/** Undefined where the caller went away before its end. @throws RequestTooLarge */
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
