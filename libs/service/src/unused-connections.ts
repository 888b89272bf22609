import type { Server } from 'node:http';
import type { Socket } from 'node:net';

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
