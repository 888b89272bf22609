import { hash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { FailingPeer } from './failing-peer.js';
import { namesOf } from './history.js';
import type { SinkRequest, History, Ticket } from './history.js';

/** The payload of a delivery. */
interface DeliveredTicket extends Ticket {
  readonly eventId: string;
}

/** The system that decisions are delivered to. It records all requests and accepts repeats, so that second effects are seen. */
export class Sink extends FailingPeer {
  private constructor(private readonly history: History) {
    super();
  }

  static async start(history: History): Promise<Sink> {
    const sink = new Sink(history);
    await sink.listen();
    return sink;
  }

  urlOf(destination: string): string {
    return `${this.url}/${destination}`;
  }

  /** True if it has taken this delivery at least once. */
  wasTaken(deliveryId: string): boolean {
    const names = namesOf(deliveryId);
    return this.history.arrivals.some(({ webhookId, status }) => names.includes(webhookId) && status === 204);
  }

  protected answer(request: IncomingMessage, body: Buffer, response: ServerResponse): void {
    const arrival = this.write(request, body);
    const { fault } = this;
    if (fault === undefined || shareOf(arrival.customer) >= fault.share) {
      arrival.status = 204;
      response.writeHead(204).end();
      return;
    }
    if (fault.how === 'lost answers') arrival.status = 204;
    this.failed(fault.how, response, (status, headers) => {
      arrival.status = status;
      response.writeHead(status, headers).end();
    });
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
}

/** A number from 0 to below 1 that is fixed per customer, for faults that strike a share of the customers. */
function shareOf(customer: string): number {
  return hash('sha1', customer, 'buffer').readUInt32BE() / 2 ** 32;
}
