import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { Injectable } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import { GraphQLError } from 'graphql';
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
import { startTimer } from '#libs/time';
import { logger } from '#libs/tracing';
import { OperationRunner } from '../../operations/operation-runner.js';
import type { RequestCredentials } from '../../operations/operation-runner.js';
import { formatted } from './failures.js';
import { graphqlPath } from './graphql.module.js';
import type { GraphQLContext } from './resolvers.js';
import { subscribeInBatches } from './subscription.results.js';
import { Subscriptions, maxSubscriptionBytes, maxSubscriptions, refusal } from './subscriptions.js';

type Parameters = Record<string, unknown> | undefined;
type Admitted = { context?: GraphQLContext; recheck?: NodeJS.Timeout };
type Socket = Context<Parameters, Extra & Partial<Admitted>>;

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
    private readonly runner: OperationRunner,
    private readonly subscriptions: Subscriptions,
    origins: AllowedOrigins,
  ) {
    // Browsers let any page open a socket to any host, and only the server can refuse it.
    const verifyClient: VerifyClientCallbackAsync = ({ req }, done) => {
      if (origins.allows(req.headers)) return done(true);
      const { problem } = problemOf(new OriginForbidden(), { method: 'GET', route: graphqlPath });
      done(false, problem.status, JSON.stringify(problem), { 'Content-Type': 'application/problem+json' });
    };
    this.sockets = new WebSocketServer({ noServer: true, maxPayload: maxSubscriptionBytes, verifyClient });
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
      this.sockets.emit('connection', ws, request);
      ws.removeAllListeners('error'); // graphql-ws writes to standard error that the fault is ours; ws itself closes the socket with the right code
      ws.on('error', (error) => log.debug({ err: error }, 'a socket broke'));
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
    socket.extra.recheck = this.subscriptions.recheck(credentials, ({ code }) => socket.extra.socket.close(CloseCode.Forbidden, code));
    return true;
  }

  private prepare(socket: Socket, payload: SubscribePayload): ExecutionArgs | readonly GraphQLError[] {
    if (Object.keys(socket.subscriptions).length > maxSubscriptions) {
      return [refusal('request.tooExpensive', `A socket carries at most ${maxSubscriptions} subscriptions`)];
    }
    return this.subscriptions.prepare(payload, socket.extra.context!);
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

function asError(error: GraphQLError | { message: string }): GraphQLError {
  return error instanceof GraphQLError ? error : new GraphQLError(error.message);
}
