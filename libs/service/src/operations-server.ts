import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { BodyReader } from './body-reader.js';
import { Doors } from './doors.js';
import { addressOf, listen } from './listening.js';
import type { Operations } from './operations.js';
import { problemOf } from './problem.js';
import { AddressNotFound } from './request.errors.js';

/** The addresses of operations on a port of their own, so that the port of the doors can be public. They are answered until the process has stopped. */
export class OperationsServer {
  private constructor(private readonly server: Server) {}

  /** Resolves when it listens. @param port 0 takes a free one */
  static async open(
    { service, host, port }: { service: string; host: string; port: number },
    bodies: BodyReader,
    operations: Operations,
  ): Promise<OperationsServer> {
    const doors = new Doors(service, bodies, operations);
    doors.unlock(); // all other addresses are unknown, now and later
    const server = doors.server(refuse);
    await listen(server, { host, port });
    return new OperationsServer(server);
  }

  get url(): string {
    return addressOf(this.server);
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}

function refuse({ method }: IncomingMessage, response: ServerResponse): void {
  const { problem, headers } = problemOf(new AddressNotFound(), { method: method!, route: undefined });
  response.writeHead(problem.status, { ...headers, 'content-type': 'application/problem+json' }).end(JSON.stringify(problem));
}
