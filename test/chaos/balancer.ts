import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { answersReady } from '../forms/service-process.js';

const intervalMs = 100;

/**
 * Stands before several doors as a Service of Kubernetes does: it gives each new connection to a door that was ready when it looked last, and leaves
 * connections that exist where they are. It does not try another door where a connection is refused.
 */
export class Balancer {
  private ready: readonly number[] = [];
  private given = 0;
  private looking: NodeJS.Timeout | undefined;
  private readonly open = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    private readonly ports: readonly number[],
  ) {}

  static async start(ports: readonly number[]): Promise<Balancer> {
    const server = createServer();
    const balancer = new Balancer(server, ports);
    server.on('connection', (client) => balancer.give(client));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    await balancer.look();
    return balancer;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  stop(): void {
    clearTimeout(this.looking);
    this.looking = undefined;
    this.server.close();
    for (const socket of this.open) socket.destroy();
  }

  private async look(): Promise<void> {
    const answers = await Promise.all(this.ports.map((port) => answersReady(port).catch(() => false)));
    this.ready = this.ports.filter((_, at) => answers[at]);
    if (this.server.listening) this.looking = setTimeout(() => void this.look(), intervalMs);
  }

  private give(client: Socket): void {
    const port = this.ready[this.given++ % this.ready.length];
    if (port === undefined) return void client.resetAndDestroy();
    const door = connect({ port, host: '127.0.0.1', noDelay: true });
    client.setNoDelay(true);
    for (const [one, other] of [
      [client, door],
      [door, client],
    ] as const) {
      this.open.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        this.open.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  }
}
