import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { once } from 'node:events';
import { delivererConformance, pauseMs } from '../deliverer.conformance.js';
import type { PeerBehaviour, StandIn } from '../deliverer.conformance.js';
import { HttpDeliverer } from './http.deliverer.js';

const secret = `whsec_${Buffer.from('a secret of the destination').toString('base64')}`;
const token = 'token-of-the/destination';
const session = 'value of a header whose name tells nothing';
const password = 'pässwörd-of-the-destination';
const basic = Buffer.from(`user:${password}`).toString('base64');
const query = 'value-of-the-query';
const path = 'T0/B0/secret-part-of-the-path';

const statuses = { accept: 202, refuse: 422, fail: 500, limit: 429, unauthorized: 401, gone: 410 };

function respond(response: ServerResponse, behaviour: PeerBehaviour): void {
  if (behaviour === 'hang') return;
  if (behaviour === 'cut') return void response.destroy();
  if (behaviour === 'endless') {
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(65_536)));
    };
    response.on('drain', more);
    more();
    return;
  }
  if (behaviour === 'limit') response.setHeader('retry-after', pauseMs / 1_000);
  const echo = JSON.stringify({ behaviour, authorization: `Bearer ${token}`, token, secret, session, password, basic, query, path });
  response
    .writeHead(statuses[behaviour])
    .end(echo + echo.replaceAll('/', String.raw`\/`) + encodeURIComponent(token) + secret.slice(0, 20));
}

async function startHttpStandIn(): Promise<StandIn<'http'>> {
  const received: { id: string; payload: string }[] = [];
  let behaviour: PeerBehaviour = 'accept';
  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    received.push({ id: String(request.headers['webhook-id']), payload: await text(request) });
    respond(response, behaviour);
  };
  const server = createServer((request, response) => void take(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    received,
    secrets: [secret, secret.slice('whsec_'.length), token, session, password, basic, query, path].flatMap((each) => [
      each,
      each.replaceAll('/', String.raw`\/`),
      encodeURIComponent(each),
      each.slice(0, 20),
    ]),
    behave: (next) => (behaviour = next),
    destination: (timeoutMs) => ({
      kind: 'http',
      url: { value: `http://127.0.0.1:${port}/${path}?api_key=${query}` },
      secret: { value: secret },
      headers: { 'x-token': { value: `Bearer ${token}` }, 'x-session': { value: session }, authorization: { value: `Basic ${basic}` } },
      timeoutMs,
      order: 'best-effort',
      retry: { delaysMs: [] },
      idempotency: { class: 'key' },
      limit: { concurrency: 1 },
    }),
    stop: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

delivererConformance({ kind: 'http', create: (http) => new HttpDeliverer({ http }), startStandIn: startHttpStandIn });
