import type { IncomingHttpHeaders } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { serveOnLoopback } from './serve-on-loopback.js';

/** A request as it was received. */
export interface ReceivedRequest {
  readonly method: string;
  /** Includes the query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** By the monotonic clock of this process. */
  readonly receivedAtMs: number;
}

export interface SinkResponse {
  status: number;
  headers?: Record<string, string>;
  body?: string;
}

/** Decides the response to a request. The caller waits until it resolves. */
export type Respond = (request: ReceivedRequest) => SinkResponse | Promise<SinkResponse>;

/** An HTTP destination that keeps the requests it receives. */
export interface HttpSink {
  readonly url: string;
  /** In the order in which they were received completely. */
  readonly requests: readonly ReceivedRequest[];
  /** Sets the responses from now on. Default: 204. */
  respondWith(respond: Respond): void;
  /** Also ends requests without a response. */
  stop(): Promise<void>;
}

export async function startHttpSink(): Promise<HttpSink> {
  const requests: ReceivedRequest[] = [];
  let respond: Respond = () => ({ status: 204 });
  const served = await serveOnLoopback(async (incoming, outgoing) => {
    const { method = '', url: path = '', headers } = incoming;
    const request = { method, path, headers, body: await buffer(incoming), receivedAtMs: performance.now() };
    requests.push(request);
    const response = await respond(request);
    outgoing.writeHead(response.status, response.headers).end(response.body);
  });
  return { ...served, requests, respondWith: (next) => (respond = next) };
}
