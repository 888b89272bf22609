import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { freePort } from '#libs/ports';

/** A port on loopback that forwards to a server, and can be closed or made to hang. Closed at first. */
export class Gate {
  private readonly sockets = new Set<Socket>();
  private server: Server | undefined;
  private isDeaf = false;

  private constructor(
    readonly port: number,
    private readonly target: { host: string; port: number },
  ) {}

  /** @param address of the server, `host:port` */
  static async before(address: string): Promise<Gate> {
    const { hostname, port } = new URL(`tcp://${address}`);
    return new Gate(await freePort(), { host: hostname, port: Number(port) });
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async open(): Promise<void> {
    this.server = createServer((client) => this.pass(client));
    this.server.listen(this.port, '127.0.0.1');
    await once(this.server, 'listening');
  }

  /** From now on it accepts connections and bytes and sends nothing back, as a server that hangs does. */
  deafen(): void {
    this.isDeaf = true;
    for (const socket of this.sockets) socket.unpipe().resume();
  }

  /** Cuts open connections and refuses new ones. */
  close(): void {
    this.server?.close();
    for (const socket of this.sockets) socket.destroy();
  }

  private pass(client: Socket): void {
    this.keep(client);
    if (this.isDeaf) {
      client.resume();
      return;
    }
    const server = connect(this.target);
    this.keep(server);
    client.pipe(server).pipe(client);
    client.on('close', () => server.destroy());
    server.on('close', () => client.destroy());
  }

  private keep(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => this.sockets.delete(socket));
  }
}
