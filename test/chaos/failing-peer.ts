import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** How a peer fails, and for which share of the customers, 0 to 1. `lost answers`: it takes what comes, and breaks off instead of an answer. */
export interface PeerFault {
  readonly how: 'lost answers' | 'hang' | 'reset' | 500 | 503 | 429;
  readonly share: number;
}

/** A system that Millrace sends requests to, and that can be made to fail. */
export abstract class FailingPeer {
  protected fault: PeerFault | undefined;
  private readonly hanging = new Set<ServerResponse>();
  private readonly server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => this.receive(request, response));

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  fail(fault: PeerFault): void {
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

  /** Takes a request that arrived whole, and answers it, or fails it with {@link failed}. */
  protected abstract answer(request: IncomingMessage, body: Buffer, response: ServerResponse): void;

  protected async listen(): Promise<void> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
  }

  /** @param refuse answers with the status of the fault; `headers` ask for a pause where such a status does */
  protected failed(
    how: PeerFault['how'],
    response: ServerResponse,
    refuse: (status: number, headers: Record<string, string>) => void,
  ): void {
    if (how === 'hang') this.hanging.add(response);
    else if (how === 'reset' || how === 'lost answers') response.socket?.resetAndDestroy();
    else refuse(how, how === 500 ? {} : { 'retry-after': '1' });
  }

  private receive(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => this.answer(request, Buffer.concat(chunks), response));
    request.on('error', () => undefined); // cut off: it never arrived
  }
}
