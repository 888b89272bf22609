import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A destination that no fault strikes: each request is seen. */
export class CalmSink<Payload extends object> {
  /** All requests, repeats under the same `webhook-id` included. */
  readonly arrivals: (Payload & { readonly webhookId: string })[] = [];
  private readonly server: Server;

  private constructor() {
    this.server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const payload = JSON.parse(Buffer.concat(parts).toString('utf8')) as Payload;
        this.arrivals.push({ ...payload, webhookId: request.headers['webhook-id'] as string });
        response.writeHead(204).end();
      });
    });
  }

  static async start<Payload extends object>(): Promise<CalmSink<Payload>> {
    const sink = new CalmSink<Payload>();
    sink.server.listen(0, '127.0.0.1');
    await once(sink.server, 'listening');
    return sink;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}
