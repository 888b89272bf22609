import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { Injectable } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { GraphQLError, OperationTypeNode, getOperationAST, parse } from 'graphql';
import type { ExecutionArgs, ExecutionResult, FormattedExecutionResult } from 'graphql';
import { DomainError } from '#libs/contracts';
import { parseJson } from '#libs/json';
import { RequestInvalid, RequestMalformed, RequestTooLarge, failureHeaders } from '#libs/service';
import { startInterval, startTimer } from '#libs/time';
import { OperationRunner } from '../../operations/operation-runner.js';
import type { RequestCredentials } from '../../operations/operation-runner.js';
import { formatted, statusOf } from './failures.js';
import { credentialsOf, graphqlPath } from './graphql.module.js';
import { standardLimits } from './limits.js';
import { subscribeInBatches } from './subscription.results.js';
import { Subscriptions, maxSubscriptionBytes, maxSubscriptions, refusal } from './subscriptions.js';
import type { SubscriptionRequest } from './subscriptions.js';

/** Proxies close a connection that is silent for longer; a minute is a common limit. */
const keepAliveMs = 12_000;
/** A caller that does not take the end of its stream is cut off after this when the server stops. */
const closeTimeoutMs = 2_000;

/** When a client opens its stream again after a stop: at a time of its own, so that the other processes do not get all of them at once. */
function reopenMs(): number {
  return 1_000 + Math.floor(Math.random() * 4_000);
}

interface OpenStream {
  readonly response: ServerResponse;
  readonly results: AsyncGenerator<ExecutionResult, undefined>;
}

/**
 * Subscriptions as server-sent events at the path of GraphQL, one request for each: the mode of distinct connections. Who may ask and what is
 * accepted is as over a socket; a request that is refused gets its status and `errors` as JSON.
 * @see https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md#distinct-connections-mode
 */
@Injectable()
export class EventStreamServer implements OnModuleInit, BeforeApplicationShutdown {
  private readonly open = new Set<OpenStream>();
  /** Streams by tenant and key. */
  private readonly counts = new Map<string, number>();
  private isStopping = false;

  constructor(
    private readonly http: HttpAdapterHost,
    private readonly runner: OperationRunner,
    private readonly subscriptions: Subscriptions,
  ) {}

  onModuleInit(): void {
    const fastify = this.http.httpAdapter.getInstance<FastifyInstance>();
    fastify.addHook('preHandler', async (request, reply) => {
      if (request.routeOptions.url === graphqlPath && isForStream(request)) await this.answer(request, reply);
    });
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.isStopping = true;
    const closing = startTimer(() => {
      for (const { response } of this.open) response.destroy();
    }, closeTimeoutMs);
    await Promise.all(
      [...this.open].map(async ({ response, results }) => {
        const closed = once(response, 'close');
        await results.return(undefined);
        await closed;
      }),
    );
    clearTimeout(closing);
  }

  private async answer(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    try {
      const credentials = credentialsOf(request);
      const context = await this.runner.contextFor(credentials);
      const prepared = this.subscriptions.prepare(requestOf(request), context);
      if (!isReady(prepared)) return refuse(reply, prepared);
      const key = `${context.principal.tenant}/${context.principal.keyId}`;
      if ((this.counts.get(key) ?? 0) >= maxSubscriptions) {
        return refuse(reply, [refusal('request.tooExpensive', `A key has at most ${maxSubscriptions} event streams at a time`)]);
      }
      const results = await subscribeInBatches(prepared);
      if (!(Symbol.asyncIterator in results)) return refuse(reply, results.errors ?? []);
      void reply.hijack();
      if (reply.raw.destroyed) return void results.return(undefined); // the caller left meanwhile, and no `close` will follow
      await this.stream(key, credentials, { response: begun(reply), results });
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      void reply.headers(failureHeaders(error));
      refuse(reply, [new GraphQLError(error.message, { originalError: error })]);
    }
  }

  /** Sends results until the subscription ends, the caller leaves, its key no longer counts, or the process stops. */
  private async stream(key: string, credentials: RequestCredentials, stream: OpenStream): Promise<void> {
    const { response, results } = stream;
    this.open.add(stream);
    this.count(key, 1);
    const leaving = new AbortController();
    let refused: DomainError | undefined;
    response.on('error', () => undefined); // the connection broke: `close` follows
    response.on('close', () => {
      this.open.delete(stream);
      leaving.abort();
      void results.return(undefined);
    });
    const timers = [
      startInterval(() => !response.writableNeedDrain && response.write(':\n\n'), keepAliveMs).unref(),
      this.subscriptions.recheck(credentials, (error) => {
        refused = error;
        void results.return(undefined);
      }),
    ];
    try {
      for await (const result of results) await send(response, 'next', answerOf(result), leaving.signal);
      if (refused !== undefined) await send(response, 'next', { errors: [formatted(asGraphQLError(refused))] }, leaving.signal);
      // A stream that ends without `complete` is opened again by its client, after the time that `retry` names.
      if (this.isStopping) response.write(`retry: ${reopenMs()}\n\n`);
      else await send(response, 'complete', undefined, leaving.signal);
    } catch (error) {
      if (!leaving.signal.aborted) throw error;
    } finally {
      timers.forEach((timer) => clearInterval(timer));
      this.count(key, -1);
      response.end();
    }
  }

  private count(key: string, change: 1 | -1): void {
    const count = (this.counts.get(key) ?? 0) + change;
    if (count === 0) this.counts.delete(key);
    else this.counts.set(key, count);
  }
}

/**
 * True if the caller accepts nothing but an event stream, or accepts one and asks for a subscription: clients that accept both send everything else
 * the same way.
 */
function isForStream(request: FastifyRequest): boolean {
  const accept = request.headers.accept?.toLowerCase() ?? '';
  if (!accept.includes('text/event-stream')) return false;
  if (!/json|\*\/\*/.test(accept)) return true;
  try {
    const { query, operationName } = requestOf(request);
    const document = parse(query, { maxTokens: standardLimits.maxTokens });
    return getOperationAST(document, operationName)?.operation === OperationTypeNode.SUBSCRIPTION;
  } catch (error) {
    if (error instanceof DomainError || error instanceof GraphQLError) return false; // refused as every other request is
    throw error;
  }
}

/** @throws RequestMalformed, RequestInvalid, RequestTooLarge */
function requestOf({ method, headers, query: parameters, body }: FastifyRequest): SubscriptionRequest {
  if (Number(headers['content-length']) > maxSubscriptionBytes) throw new RequestTooLarge(maxSubscriptionBytes);
  const given = (method === 'GET' ? parameters : body) as Record<string, unknown> | null | undefined;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw new RequestMalformed('The body is not a JSON object');
  const { query, operationName = null } = given;
  const variables = method === 'GET' ? parsed(given['variables']) : (given['variables'] ?? null);
  if (typeof query !== 'string') throw new RequestInvalid('query', 'must be a GraphQL document');
  if (typeof variables !== 'object' || Array.isArray(variables)) throw new RequestInvalid('variables', 'must be an object');
  if (operationName !== null && typeof operationName !== 'string') throw new RequestInvalid('operationName', 'must be text');
  return { query, operationName, variables: variables as Record<string, unknown> | null };
}

/** @throws RequestMalformed */
function parsed(variables: unknown): unknown {
  if (variables === undefined || variables === '') return null;
  if (typeof variables !== 'string') throw new RequestInvalid('variables', 'must be given once');
  try {
    return parseJson(variables);
  } catch (error) {
    throw new RequestMalformed(`variables: ${(error as Error).message}`, { cause: error });
  }
}

function isReady(prepared: ExecutionArgs | readonly GraphQLError[]): prepared is ExecutionArgs {
  return 'document' in prepared;
}

function refuse(reply: FastifyReply, errors: readonly GraphQLError[]): void {
  const answers = errors.map(formatted);
  void reply
    .status(statusOf(answers))
    .type('application/json; charset=utf-8')
    .send(JSON.stringify({ errors: answers }));
}

/** The response with its headers sent, so that the caller knows that the subscription is open. */
function begun(reply: FastifyReply): ServerResponse {
  const response = reply.raw;
  for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) response.setHeader(name, value);
  response.setHeader('content-type', 'text/event-stream; charset=utf-8');
  response.setHeader('cache-control', 'no-store');
  response.setHeader('x-accel-buffering', 'no'); // nginx would hold events back
  response.writeHead(200);
  response.write(':\n\n');
  return response;
}

function answerOf({ errors, ...result }: ExecutionResult): FormattedExecutionResult {
  return errors === undefined ? result : { ...result, errors: errors.map(formatted) };
}

function asGraphQLError(error: DomainError): GraphQLError {
  return new GraphQLError(error.message, { originalError: error });
}

/** Resolves when there is room for more. @throws AbortError if the caller leaves first */
async function send(response: ServerResponse, event: 'next' | 'complete', data: object | undefined, leaving: AbortSignal): Promise<void> {
  leaving.throwIfAborted();
  const text = `event: ${event}\ndata: ${data === undefined ? '' : JSON.stringify(data)}\n\n`;
  if (!response.write(text)) await once(response, 'drain', { signal: leaving });
}
