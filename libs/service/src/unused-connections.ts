import { once } from 'node:events';
import type { Server } from 'node:http';
import { Server as NetServer } from 'node:net';
import type { Socket } from 'node:net';
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';

/**
 * The connections of a server that have sent no request yet. `server.close()` waits for them until the time for their headers is over, a minute or
 * more, although nothing is under way on them; browsers and HTTP clients open them ahead.
 */
export class UnusedConnections {
  private readonly sockets = new Set<Socket>();

  constructor(server: Server) {
    server.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
    });
    for (const event of ['request', 'checkContinue']) server.on(event, ({ socket }) => this.sockets.delete(socket));
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
  }
}

/**
 * Closes a server that Fastify did not open, and so does not close. It takes no new connection from now on, answers the requests that have arrived,
 * and closes the other connections. Resolves when the last one is closed.
 *
 * A request may have arrived on a connection that still counts as idle, because the loop has not read it yet: `Server.close` of `node:http` would reset
 * that connection, and its client could not know whether the request took effect.
 */
export async function closeServer(server: Server, unused: UnusedConnections): Promise<void> {
  if (!server.listening) return;
  const isClosed = once(server, 'close');
  NetServer.prototype.close.call(server); // only stops listening
  await turnOfTheLoop(); // ends the turn in which this was called
  await turnOfTheLoop(); // reads what has arrived
  server.close();
  unused.close();
  await isClosed;
}
