import { hash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { namesOf } from './history.js';
import type { SinkRequest, History, Ticket } from './history.js';

/** How the sink fails, and for which share of the customers, 0 to 1. `lost answers`: it takes what comes, and breaks off instead of an answer. */
export interface SinkFault {
  readonly how: 'lost answers' | 'hang' | 'reset' | 500 | 503 | 429;
  readonly share: number;
}

/** The payload of a delivery. */
interface DeliveredTicket extends Ticket {
  readonly eventId: string;
}

/** The system that decisions are delivered to. It records all requests and accepts repeats, so that second effects are seen. */
export class Sink {
  private fault: SinkFault | undefined;
  private readonly hanging = new Set<ServerResponse>();

  private constructor(
    private readonly history: History,
    private readonly server: Server,
  ) {}

  static async start(history: History): Promise<Sink> {
    const server = createServer({ keepAliveTimeout: 60_000 });
    const sink = new Sink(history, server);
    server.on('request', (request, response) => sink.receive(request, response));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return sink;
  }

  urlOf(destination: string): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/${destination}`;
  }

  fail(fault: SinkFault): void {
    this.fault = fault;
  }

  heal(): void {
    this.fault = undefined;
    for (const response of this.hanging) response.destroy();
    this.hanging.clear();
  }

  async stop(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
  }

  /** True if it has taken this delivery at least once. */
  wasTaken(deliveryId: string): boolean {
    const names = namesOf(deliveryId);
    return this.history.arrivals.some(({ webhookId, status }) => names.includes(webhookId) && status === 204);
  }

  private receive(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => this.answer(this.write(request, Buffer.concat(chunks)), response));
    request.on('error', () => undefined); // cut off: it never arrived
  }

  private write(request: IncomingMessage, body: Buffer): SinkRequest {
    const { customer, lane, sequence, eventId } = JSON.parse(body.toString('utf8')) as DeliveredTicket;
    const arrival: SinkRequest = {
      at: this.history.now(),
      destination: request.url!.slice(1),
      webhookId: request.headers['webhook-id'] as string,
      customer,
      lane,
      sequence,
      eventId,
      bodyHash: hash('sha1', body, 'base64'),
      status: null,
    };
    this.history.arrivals.push(arrival);
    return arrival;
  }

  private answer(arrival: SinkRequest, response: ServerResponse): void {
    const fault = this.fault;
    if (fault === undefined || shareOf(arrival.customer) >= fault.share) {
      arrival.status = 204;
      response.writeHead(204).end();
    } else if (fault.how === 'hang') {
      this.hanging.add(response);
    } else if (fault.how === 'reset' || fault.how === 'lost answers') {
      if (fault.how === 'lost answers') arrival.status = 204;
      response.socket?.resetAndDestroy();
    } else {
      arrival.status = fault.how;
      response.writeHead(fault.how, fault.how === 500 ? {} : { 'retry-after': '1' }).end();
    }
  }
}

/** A number from 0 to below 1 that is fixed per customer, for faults that strike a share of the customers. */
function shareOf(customer: string): number {
  return hash('sha1', customer, 'buffer').readUInt32BE() / 2 ** 32;
}
