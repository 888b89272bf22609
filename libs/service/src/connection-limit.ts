import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { counter, gauge } from '#libs/tracing';

const open = gauge('millrace_http_connections', 'Connections that callers have open.', {});
const closed = counter(
  'millrace_http_connections_closed_total',
  'Connections that the process closed before their time: `idle` without a whole request, or with an answer that nobody read, to make room for a new one; `full` a new one, because every other waited for its answer; `unread` with an answer that nobody read for 30 s.',
  { reason: ['idle', 'full', 'unread'] },
);

/** How long an answer may wait in a connection of which nothing is read. */
const unreadTimeoutMs = 30_000;

/**
 * Bounds the connections of a server. One more than it takes makes room for itself: of the connections on which nobody waits for us, that is closed on
 * which a request began the longest time ago. So who opens many and says nothing, says it slowly or does not listen holds up nobody else.
 */
export class ConnectionLimit {
  /** Connections that may have to go, in the order of their last request, or of their opening. */
  private readonly sockets = new Set<Socket>();
  private count = 0;

  constructor(
    server: Server,
    private readonly most: number,
  ) {
    server.on('connection', (socket: Socket) => this.add(socket));
    for (const event of ['request', 'checkContinue', 'checkExpectation']) {
      server.on(event, ({ socket }: IncomingMessage) => this.noteRequest(socket));
    }
    server.on('upgrade', ({ socket }: IncomingMessage) => this.sockets.delete(socket)); // it carries no requests any more
    server.timeout = unreadTimeoutMs; // Node counts the time in which neither a byte came nor one went
    server.on('timeout', endUnlessAwaited);
  }

  private add(socket: Socket): void {
    if (this.count >= this.most && !this.makeRoom()) {
      closed.inc({ reason: 'full' });
      return void socket.destroy();
    }
    this.sockets.add(socket);
    this.count += 1;
    open.inc();
    socket.once('close', () => {
      open.dec();
      this.count -= 1;
      this.sockets.delete(socket);
    });
  }

  private makeRoom(): boolean {
    for (const socket of this.sockets) {
      if (isAwaited(socket)) continue;
      closed.inc({ reason: 'idle' });
      this.sockets.delete(socket);
      socket.destroy();
      return true;
    }
    return false;
  }

  private noteRequest(socket: Socket): void {
    if (this.sockets.delete(socket)) this.sockets.add(socket);
  }
}

function endUnlessAwaited(socket: Socket): void {
  const under = responseOn(socket);
  if (under !== undefined && socket.writableLength === 0) return; // the deadline of its body, or its answer, is still to come
  if (under !== undefined) closed.inc({ reason: 'unread' });
  socket.destroy();
}

/** True if the caller has sent all of a request, and reads what it gets. */
function isAwaited(socket: Socket): boolean {
  return responseOn(socket)?.req.complete === true && socket.writableLength === 0;
}

/** The response that is under way on a connection, by the property that the listeners of node:http look at. */
function responseOn(socket: Socket): ServerResponse | undefined {
  return (socket as { _httpMessage?: ServerResponse | null })._httpMessage ?? undefined;
}
