import type { IncomingHttpHeaders } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { serveOnLoopback } from './serve-on-loopback.js';

/** A request as it came in. */
export interface ReceivedRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly receivedAt: Date;
}

export interface SinkResponse {
  status: number;
  headers?: Record<string, string>;
  body?: string;
}

/** Decides what a request is answered with. It may take its time: until it resolves, the caller waits. */
export type Respond = (request: ReceivedRequest) => SinkResponse | Promise<SinkResponse>;

/** An HTTP destination that keeps what it gets. */
export interface HttpSink {
  readonly url: string;
  /** In the order they were complete. */
  readonly requests: readonly ReceivedRequest[];
  /** From now on; at first every request is answered with 204. */
  respondWith(respond: Respond): void;
  /** Also ends requests that still wait. */
  stop(): Promise<void>;
}

export async function startHttpSink(): Promise<HttpSink> {
  const requests: ReceivedRequest[] = [];
  let respond: Respond = () => ({ status: 204 });
  const served = await serveOnLoopback(async (incoming, outgoing) => {
    const { method = '', url: path = '', headers } = incoming;
    const request = { method, path, headers, body: await buffer(incoming), receivedAt: new Date() };
    requests.push(request);
    const response = await respond(request);
    outgoing.writeHead(response.status, response.headers).end(response.body);
  });
  return { ...served, requests, respondWith: (next) => (respond = next) };
}
