import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { Injectable } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import { GraphQLSchemaHost } from '@nestjs/graphql';
import { GraphQLError, OperationTypeNode, getOperationAST, parse, validate } from 'graphql';
import type { ExecutionArgs } from 'graphql';
import { CloseCode } from 'graphql-ws';
import type { Context, SubscribePayload } from 'graphql-ws';
import { useServer } from 'graphql-ws/use/ws';
import type { Extra } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import type { VerifyClientCallbackAsync } from 'ws';
import { DomainError } from '#libs/contracts';
import { AllowedOrigins, Doors, OriginForbidden, problemOf } from '#libs/service';
import type { SocketDoor } from '#libs/service';
import { startInterval, startTimer } from '#libs/time';
import { logger } from '#libs/tracing';
import { OperationRunner } from '../../operations/operation-runner.js';
import type { RequestCredentials } from '../../operations/operation-runner.js';
import { Executor } from './executor.js';
import { formatted } from './failures.js';
import { graphqlPath } from './graphql.module.js';
import { standardLimits } from './limits.js';
import type { GraphQLContext } from './resolvers.js';
import { subscribeInBatches } from './subscription.results.js';

type Parameters = Record<string, unknown> | undefined;
type Admitted = { context?: GraphQLContext; recheck?: NodeJS.Timeout };
type Socket = Context<Parameters, Extra & Partial<Admitted>>;

const maxMessageBytes = 64 * 1_024;
const maxSubscriptionsPerSocket = 20;
/** A key that is revoked or expires ends its sockets within this. */
const recheckMs = 15_000;
/** A client that does not answer the closing handshake of a server that stops is cut off after this. */
const closeTimeoutMs = 2_000;
/** RFC 6455 says 1013, "try again later", through IANA's registry. */
const tryAgainLater = 1013;

const log = logger('subscriptions');

/**
 * `graphql-transport-ws` at the path of GraphQL. Sockets come in by the same credentials as requests, either in the headers of the upgrade or
 * in `connection_init`, and carry subscriptions only.
 * @see https://github.com/graphql/graphql-over-http/blob/main/rfcs/GraphQLOverWebSocket.md
 */
@Injectable()
export class SubscriptionServer implements SocketDoor, OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly path = graphqlPath;
  private readonly sockets: WebSocketServer;
  private protocol: { dispose: () => Promise<void> | void } | undefined;

  constructor(
    private readonly doors: Doors,
    private readonly schemaHost: GraphQLSchemaHost,
    private readonly runner: OperationRunner,
    private readonly executor: Executor,
    origins: AllowedOrigins,
  ) {
    // Browsers let any page open a socket to any host, and only the server can refuse it.
    const verifyClient: VerifyClientCallbackAsync = ({ req }, done) => {
      if (origins.allows(req.headers)) return done(true);
      const { problem } = problemOf(new OriginForbidden(), { method: 'GET', route: graphqlPath });
      done(false, problem.status, JSON.stringify(problem), { 'Content-Type': 'application/problem+json' });
    };
    this.sockets = new WebSocketServer({ noServer: true, maxPayload: maxMessageBytes, verifyClient });
  }

  onApplicationBootstrap(): void {
    this.protocol = useServer<Parameters, Admitted>(
      {
        isProd: true,
        subscribe: (args) => subscribeInBatches(args),
        onConnect: (socket) => this.admit(socket),
        onSubscribe: (socket, _id, payload) => this.prepare(socket, payload),
        onNext: (_socket, _id, _payload, _args, result) =>
          result.errors === undefined ? undefined : { ...result, errors: result.errors.map((error) => formatted(error) as GraphQLError) },
        onError: (_socket, _id, _payload, errors) => errors.map((error) => formatted(asError(error))),
        onClose: ({ extra }) => clearInterval(extra.recheck),
      },
      this.sockets,
    );
    this.doors.openSocket(this);
  }

  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.sockets.handleUpgrade(request, socket, head, (ws) => {
      ws.on('error', (error) => log.debug({ err: error }, 'a socket broke')); // graphql-ws listens for the first error only
      this.sockets.emit('connection', ws, request);
    });
  }

  async beforeApplicationShutdown(): Promise<void> {
    const closing = startTimer(() => {
      for (const socket of this.sockets.clients) socket.terminate();
    }, closeTimeoutMs);
    await this.protocol?.dispose();
    clearTimeout(closing);
  }

  private async admit(socket: Socket): Promise<boolean> {
    const credentials = credentialsOf(socket);
    try {
      socket.extra.context = await this.runner.contextFor(credentials);
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      const forbidden = error.code === 'credential.scope' ? CloseCode.Forbidden : CloseCode.Unauthorized;
      socket.extra.socket.close(error.outcome === 'retry' ? tryAgainLater : forbidden, error.code);
      return false;
    }
    socket.extra.recheck = startInterval(() => void this.recheck(socket, credentials), recheckMs).unref();
    return true;
  }

  /** Only a refusal ends the socket: an unavailable configuration says nothing about the key. */
  private async recheck({ extra }: Socket, credentials: RequestCredentials): Promise<void> {
    try {
      await this.runner.contextFor(credentials);
    } catch (error) {
      if (error instanceof DomainError && error.outcome === 'reject') extra.socket.close(CloseCode.Forbidden, error.code);
      else log.warn({ err: error }, 'the key of a socket could not be checked');
    }
  }

  private prepare(socket: Socket, { query, variables, operationName }: SubscribePayload): ExecutionArgs | readonly GraphQLError[] {
    const { schema } = this.schemaHost;
    const contextValue = socket.extra.context!;
    if (Object.keys(socket.subscriptions).length > maxSubscriptionsPerSocket) {
      return [refused('request.tooExpensive', `A socket carries at most ${maxSubscriptionsPerSocket} subscriptions`)];
    }
    try {
      const document = parse(query, { maxTokens: standardLimits.maxTokens });
      const invalid = validate(schema, document);
      if (invalid.length > 0) return invalid;
      const operation = getOperationAST(document, operationName);
      if (operation?.operation !== OperationTypeNode.SUBSCRIPTION) {
        return [refused('request.invalid', 'Only subscriptions run over a socket; send everything else by POST')];
      }
      const given = variables ?? {};
      const errors = this.executor.check({ schema, document, operation, variables: given });
      return errors.length > 0 ? errors : { schema, document, operationName, variableValues: given, contextValue };
    } catch (error) {
      if (error instanceof GraphQLError) return [error];
      throw error;
    }
  }
}

function credentialsOf({ connectionParams, extra }: Socket): RequestCredentials {
  const { headers } = extra.request;
  const text = (name: string): string | undefined => {
    const value = connectionParams?.[name] ?? headers[name];
    return typeof value === 'string' ? value : undefined;
  };
  return { authorization: text('authorization'), tenant: text('millrace-tenant') };
}

const refused = (code: string, message: string): GraphQLError => new GraphQLError(message, { extensions: { code } });

function asError(error: GraphQLError | { message: string }): GraphQLError {
  return error instanceof GraphQLError ? error : new GraphQLError(error.message);
}
