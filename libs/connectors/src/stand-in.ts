import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { parseJson } from '#libs/json';
import type { Json } from '#libs/json';
import { xmlElement } from '#libs/xml';

/** A request as a stand-in sees it. */
export interface StandInRequest {
  readonly method: string;
  /** Parts of the path, decoded, without the first empty one. */
  readonly segments: readonly string[];
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** Undefined if the body is no JSON. */
  readonly body: Json | undefined;
}

export interface StandInResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON, unless the stand-in encodes its bodies. */
  readonly body?: object | undefined;
  /** Sent as it is, in the place of a body. */
  readonly text?: string | undefined;
  /** Sent as they are, before everything else. */
  readonly bytes?: Buffer;
}

/** A body as XML, for stand-ins that speak it. */
export function asXml(body: object): { type: string; text: string } {
  const entries = Object.entries(body) as [string, Json][];
  const document = entries.length === 1 ? entries : [['Document', body as Json] as const];
  const elements = document.map(([name, value]) => xmlElement(name, value)).join('');
  return { type: 'application/xml', text: `<?xml version="1.0" encoding="UTF-8"?>\n${elements}` };
}

const asJson = (body: object) => ({ type: 'application/json', text: JSON.stringify(body) });

/**
 * Something that a stand-in does with the next requests instead of answering them. `hang`: never answers; `cut`: breaks off before it acts; `lose`: acts, and breaks off before it
 * answers; `garble`: acts, and answers half; `endless`: acts, and answers without end; a response: does not act, and answers this.
 */
export type StandInFault = 'hang' | 'cut' | 'lose' | 'garble' | 'endless' | StandInResponse;

/** A small server of a vendor's protocol on loopback, which keeps what is written to it. */
export interface VendorStandIn {
  readonly url: string;
  /** All requests, also those that were not answered. */
  readonly requests: readonly StandInRequest[];
  /** The fault of the next requests, as many as given. */
  fault(fault: StandInFault, times?: number): void;
  stop(): Promise<void>;
}

/** Answers the requests of a vendor's protocol, and keeps what is written. */
export type StandInHandler = (request: StandInRequest) => StandInResponse;

export interface StandInOptions {
  /** Default: a free one. */
  readonly port?: number;
  /** Default: true. A server that runs for long keeps none of the requests. */
  readonly keepsRequests?: boolean;
  /** How bodies are sent. Default: as JSON. */
  readonly encode?: (body: object) => { readonly type: string; readonly text: string };
}

/** Starts a server on loopback that answers with `handle`. */
export async function startStandIn(
  handle: StandInHandler,
  { port = 0, keepsRequests = true, encode = asJson }: StandInOptions = {},
): Promise<VendorStandIn> {
  const write = (outgoing: ServerResponse, { status, headers = {}, body, text: plain, bytes }: StandInResponse): void => {
    const encoded = body === undefined ? undefined : encode(body);
    const type = encoded === undefined ? {} : { 'content-type': encoded.type };
    outgoing.writeHead(status, { ...type, ...headers }).end(bytes ?? plain ?? encoded?.text ?? '');
  };
  const requests: StandInRequest[] = [];
  const faults: StandInFault[] = [];
  const answer = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const request = await read(incoming);
    if (keepsRequests) requests.push(request);
    const fault = faults.shift();
    if (fault === 'hang') return;
    if (fault === 'cut') return void outgoing.destroy();
    if (typeof fault === 'object') return write(outgoing, fault);
    const response = handle(request);
    if (fault === 'lose') return void outgoing.destroy();
    if (fault === 'endless') return endless(outgoing);
    if (fault === 'garble') {
      outgoing.writeHead(response.status, { 'content-type': 'application/json', 'content-length': 1_000 }).write('{"half":');
      return void setImmediate(() => outgoing.destroy());
    }
    write(outgoing, response);
  };
  const server = createServer((incoming, outgoing) => void answer(incoming, outgoing).catch(() => outgoing.destroy()));
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    fault: (fault, times = 1) => void faults.push(...Array.from({ length: times }, () => fault)),
    stop: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

async function read(incoming: IncomingMessage): Promise<StandInRequest> {
  const url = new URL(incoming.url!, 'http://stand.in');
  const body = await text(bounded(incoming));
  return {
    method: incoming.method!,
    segments: url.pathname.split('/').slice(1).map(decodeURIComponent),
    query: url.searchParams,
    headers: incoming.headers as Record<string, string>,
    text: body,
    body: jsonOf(body),
  };
}

const longestBodyBytes = 16 * 1_024 * 1_024;

async function* bounded(incoming: IncomingMessage): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > longestBodyBytes) throw new Error(`The body is larger than ${longestBodyBytes} bytes`);
    yield chunk;
  }
}

function jsonOf(body: string): Json | undefined {
  try {
    return parseJson(body);
  } catch {
    return undefined;
  }
}

function endless(outgoing: ServerResponse): void {
  const more = (): void => {
    while (!outgoing.destroyed && outgoing.write('x'.repeat(65_536)));
  };
  outgoing.on('drain', more);
  outgoing.writeHead(200, { 'content-type': 'application/json' });
  more();
}
