import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { once } from 'node:events';
import type { Authorizer } from '#libs/connections';
import { Connectors, connectorSpecOf } from '#libs/connectors';
import type { OpenConnection } from '#libs/connectors';
import { document } from '#libs/contracts';
import type { ConnectorDocument, DestinationSpecOf } from '#libs/contracts';
import { HttpClient } from '#libs/http';
import { wallTime } from '#libs/time';
import { delivererConformance, pauseMs } from '../deliverer.conformance.js';
import type { PeerBehaviour, StandIn } from '../deliverer.conformance.js';
import type { OutboundDelivery } from '../deliverer.js';
import { OperationDeliverer } from './operation.deliverer.js';

const token = 'token-of-the/connection';
const statuses = { accept: 201, refuse: 422, fail: 500, limit: 429, unauthorized: 401, gone: 410 };

/** A connector that a tenant applied. */
const { spec } = document.parse({
  apiVersion: 'millrace/v1',
  kind: 'Connector',
  metadata: { tenant: 'acme', name: 'ledger' },
  spec: {
    summary: 'A ledger.',
    base: '{settings.base}',
    hosts: ['127.0.0.1'],
    settings: { type: 'object' },
    auth: [{ kind: 'bearer' }],
    errors: [{ when: 'response.status = 410', is: 'gone' }],
    operations: {
      book: {
        summary: 'Book an entry.',
        effect: 'write',
        idempotency: { class: 'key' },
        input: { type: 'object' },
        request: { method: 'POST', path: '/entries', headers: { 'Idempotency-Key': '{delivery.id}' }, body: 'input' },
      },
      post: {
        summary: 'Post an entry, which has no key.',
        effect: 'write',
        idempotency: { class: 'verify', operation: 'find', settleMs: 1_000, otherwise: 'park' },
        input: { type: 'object' },
        request: { method: 'POST', path: '/posts', body: '{ "id": delivery.id }' },
      },
      postAnyway: {
        summary: 'Post an entry, and rather twice than not at all.',
        effect: 'write',
        idempotency: { class: 'verify', operation: 'find', settleMs: 1_000, otherwise: 'retry' },
        input: { type: 'object' },
        request: { method: 'POST', path: '/posts', body: '{ "id": delivery.id }' },
      },
      find: {
        summary: 'Find an entry.',
        effect: 'read',
        input: { type: 'object' },
        request: { path: '/posts', query: { id: 'delivery.id' } },
        result: 'response.body[0]',
      },
    },
  },
}) as ConnectorDocument;

const authorizer: Authorizer = {
  authorize: async (request) => ({
    ...request,
    headers: { ...request.headers, authorization: `Bearer ${token}` },
    secrets: [token],
    version: 1,
  }),
  login: () => Promise.reject(new Error('requests of HTTP do not log in')),
  accepted: () => undefined,
  refused: async () => false,
  account: async () => ({}),
};

function delivererTo(http: HttpClient, base: () => string): OperationDeliverer {
  const connectors = new Connectors({ http, connectorOf: () => connectorSpecOf(spec) });
  const openConnection = (tenant: string, name: string): OpenConnection => ({
    tenant,
    name,
    connector: 'ledger',
    settings: { base: base() },
    authorizer,
    timeoutMs: 60_000,
  });
  return new OperationDeliverer({ connectors, openConnection });
}

const destinationOf = (operation: string, timeoutMs = 10_000): DestinationSpecOf<'operation'> => ({
  kind: 'operation',
  connection: 'ledger',
  operation,
  timeoutMs,
  order: 'best-effort',
  retry: { delaysMs: [] },
  limit: { concurrency: 1 },
});

/** The base of the peer that was started last. */
let base = '';

async function listen(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  };
}

function respond(response: ServerResponse, behaviour: PeerBehaviour): void {
  if (behaviour === 'hang') return;
  if (behaviour === 'cut') return void response.destroy();
  if (behaviour === 'endless') {
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(65_536)));
    };
    response.on('drain', more);
    return more();
  }
  if (behaviour === 'limit') response.setHeader('retry-after', pauseMs / 1_000);
  response
    .writeHead(statuses[behaviour], { 'content-type': 'application/json' })
    .end(JSON.stringify({ token, escaped: encodeURIComponent(token) }));
}

async function startOperationStandIn(): Promise<StandIn<'operation'>> {
  const received: { id: string; payload: string }[] = [];
  let behaviour: PeerBehaviour = 'accept';
  const stop = await listen((request, response) => {
    void text(request).then((payload) => {
      received.push({ id: String(request.headers['idempotency-key']), payload });
      respond(response, behaviour);
    });
  });
  return {
    received,
    secrets: [token, encodeURIComponent(token)],
    behave: (next) => (behaviour = next),
    destination: (timeoutMs) => destinationOf('book', timeoutMs),
    stop,
  };
}

delivererConformance({
  kind: 'operation',
  create: (http) => delivererTo(http, () => base),
  startStandIn: startOperationStandIn,
});

describe('an operation that is verified', () => {
  const posts: string[] = [];
  let listed: number;
  let answered: () => void;
  let http: HttpClient;
  let deliverer: OperationDeliverer;
  let stop: () => Promise<void>;
  beforeEach(async () => {
    posts.length = 0;
    listed = 200;
    answered = () => undefined;
    stop = await listen((request, response) => {
      void text(request).then((body) => {
        if (request.method === 'POST') posts.push((JSON.parse(body) as { id: string }).id);
        else answered();
        const { searchParams } = new URL(request.url!, base);
        const found = request.method === 'POST' ? {} : posts.filter((id) => id === searchParams.get('id')).map((id) => ({ id }));
        response.writeHead(request.method === 'POST' ? 201 : listed, { 'content-type': 'application/json' }).end(JSON.stringify(found));
      });
    });
    http = new HttpClient({ allowPrivateAddresses: true });
    deliverer = delivererTo(http, () => base);
  });
  afterEach(async () => {
    await http.close();
    await stop();
  });

  const longAgo = new Date('2026-01-01T00:00:00.000Z');
  const deliver = (reachedAt: Date | null, operation = 'post', requireClaim: () => void = () => undefined) => {
    const delivery: OutboundDelivery = { tenant: 'acme', id: 'e-1', payload: '{}', reachedAt, traceparent: undefined, requireClaim };
    return deliverer.deliver(delivery, destinationOf(operation), new AbortController().signal);
  };

  test('is sent at once the first time', async () => {
    expect(await deliver(null)).toMatchObject({ summary: 'status 201' });
    expect(posts).toEqual(['e-1']);
  });

  test('is not repeated if its effect is found', async () => {
    posts.push('e-1');
    const { summary, detail } = await deliver(longAgo);
    expect(summary).toBe('status 200 from find, which found the effect of an earlier attempt');
    expect(detail.excerpt).toBe('[{"id":"e-1"}]');
    expect(posts).toEqual(['e-1']);
  });

  test('is repeated if there is none', async () => {
    expect(await deliver(longAgo)).toMatchObject({ summary: 'status 201' });
    expect(posts).toEqual(['e-1']);
  });

  test('is not repeated if its claim ran out during the look-up', async () => {
    let lookUps = 0;
    const requireClaim = (): void => {
      if (lookUps > 0) throw new Error('the claim is over');
    };
    answered = () => (lookUps += 1);
    await expect(deliver(longAgo, 'post', requireClaim)).rejects.toThrow('the claim is over');
    expect(lookUps).toBe(1);
    expect(posts).toEqual([]);
  });

  test('waits until its effect could be found', async () => {
    await expect(deliver(wallTime())).rejects.toMatchObject({ outcome: 'retry', peer: 'unknown', isUncertain: false });
    expect(posts).toEqual([]);
  });

  test('waits for a person if the system refuses to tell', async () => {
    listed = 403;
    await expect(deliver(longAgo)).rejects.toMatchObject({ code: 'delivery.uncertain', outcome: 'deadLetter' });
    expect(posts).toEqual([]);
  });

  test('is repeated even then, if its connector says so', async () => {
    listed = 403;
    await deliver(longAgo, 'postAnyway');
    expect(posts).toEqual(['e-1']);
  });

  test('is not repeated while the look-up fails', async () => {
    listed = 500;
    await expect(deliver(longAgo)).rejects.toMatchObject({ code: 'delivery.unavailable', outcome: 'retry', isUncertain: false });
    expect(posts).toEqual([]);
  });
});
