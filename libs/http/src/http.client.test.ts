import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener, Server, ServerResponse } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer as createTcpServer } from 'node:net';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { inspect } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { testCertificates } from '#libs/testing';
import { HttpClient } from './http.client.js';
import type { HttpAnswer, HttpClientOptions, HttpPost } from './http.client.js';
import { HostAddressForbidden, HostTimedOut, HostUnreachable } from './http.errors.js';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function serverOf(answer: RequestListener): Promise<{ url: string; port: number; connections: () => number }> {
  const server: Server = createServer(answer);
  let connections = 0;
  server.on('connection', () => connections++);
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/in?x=1`, port, connections: () => connections };
}

function clientOf(options: Partial<HttpClientOptions> = {}): HttpClient {
  const client = new HttpClient({ allowPrivateAddresses: true, ...options });
  cleanups.push(() => client.close());
  return client;
}

const request = (url: string, more: Partial<HttpPost> = {}): HttpPost => ({
  url,
  headers: { 'content-type': 'application/json' },
  body: '{"a":1}',
  timeoutMs: 5_000,
  ...more,
});

test('the body arrives byte for byte at the path of the address, and the answer comes back', async () => {
  const { url } = await serverOf((incoming, response) => {
    response.writeHead(202, { 'X-Seen': `${incoming.method} ${incoming.url}` });
    incoming.pipe(response);
  });
  const answer = await clientOf().post(request(url, { body: '{ "a" : 1.0 }' }));
  expect(answer).toMatchObject({ status: 202, bodyExcerpt: '{ "a" : 1.0 }' });
  expect(answer.headers['x-seen']).toBe('POST /in?x=1');
});

test('a redirect is an answer, not an instruction', async () => {
  const { url, connections } = await serverOf((_, response) => response.writeHead(307, { location: '/elsewhere' }).end());
  const answer = await clientOf().post(request(url));
  expect(answer.status).toBe(307);
  expect(connections()).toBe(1);
});

test('a long answer is kept to 16 KiB, and its connection serves the next request', async () => {
  const { url, connections } = await serverOf((_, response) => response.end('x'.repeat(100_000)));
  const client = clientOf({ connectionsPerOrigin: 1 });
  expect((await client.post(request(url))).bodyExcerpt).toHaveLength(16 * 1024);
  await client.post(request(url));
  expect(connections()).toBe(1);
});

test('an answer without end is cut off, and the next request goes through', async () => {
  let endless = true;
  const { url } = await serverOf((_, response) => {
    if (!endless) {
      response.end('short');
      return;
    }
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(65_536)));
    };
    response.on('drain', more);
    more();
  });
  const client = clientOf({ connectionsPerOrigin: 1 });
  expect((await client.post(request(url))).bodyExcerpt).toHaveLength(16 * 1024);
  endless = false;
  expect((await client.post(request(url))).bodyExcerpt).toBe('short');
});

/** A server that sends these bytes, as they are, to every request. With `then`, it ends or breaks the connection afterwards. */
async function rawServerOf(pieces: readonly string[], then?: 'end' | 'resetAndDestroy'): Promise<string> {
  const server = createTcpServer((socket) => {
    socket.on('error', () => undefined);
    const write = (at: number): void => {
      if (at < pieces.length) socket.write(pieces[at]!, () => write(at + 1));
      else if (then !== undefined) socket[then]();
    };
    socket.setNoDelay(true).on('data', () => write(0));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  cleanups.push(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

const head = 'HTTP/1.1 202 Accepted\r\ncontent-length: 9\r\n\r\n';

test.each([
  ['ends early', [head, 'half'], 'end'],
  ['breaks', [head, 'half'], 'resetAndDestroy'],
  ['is no chunk', ['HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\nnot a chunk'], undefined],
  ['never ends', [head, 'half'], undefined],
] as const)('the status line settles the exchange when the body %s', async (_what, pieces, then) => {
  const answer = await clientOf().post(request(await rawServerOf(pieces, then), { timeoutMs: 500 }));
  expect([answer.status, answer.bodyExcerpt]).toEqual([202, expect.stringMatching(/^(?:half)?$/)]);
});

const okResponse = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';
const interim = 'HTTP/1.1 100 Continue\r\n\r\n';
const manyPieces = [...`${interim}HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n`.split(/(?<=.)/s), okResponse];

test.each([
  ['in the same packet', [interim + okResponse]],
  ['before it', [interim, okResponse]],
  ['twice, once with header fields', [`${interim}HTTP/1.1 100 \r\nx: y\r\n\r\n`, okResponse]],
  ['byte by byte, and other interim responses after it', manyPieces],
])('a 100 Continue that nobody asked for is passed over: %s', async (_how, pieces) => {
  const url = await rawServerOf(pieces);
  const client = clientOf({ connectionsPerOrigin: 1 });
  for (let exchange = 0; exchange < 2; exchange += 1) {
    expect(await client.post(request(url))).toMatchObject({ status: 200, bodyExcerpt: 'ok' });
  }
});

test('a body that begins like an interim response is kept, if it is not one', async () => {
  const body = 'HTTP/1.1 100% of it';
  const { url } = await serverOf((_, answer) => answer.end(body));
  expect((await clientOf().post(request(url))).bodyExcerpt).toBe(body);
});

test('a destination that speaks only HTTP/2 cannot be reached', async () => {
  const server = createHttp2Server((_incoming, outgoing) => outgoing.end());
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  cleanups.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  await expect(clientOf().post(request(`http://127.0.0.1:${port}/`, { timeoutMs: 5_000 }))).rejects.toThrow(HostUnreachable);
});

test.each([
  ['never answers', () => {}],
  ['never ends its head', (_: unknown, answer: ServerResponse) => void answer.socket!.write('HTTP/1.1 200 OK\r\nx: ')],
])('the deadline covers a destination that %s, and may know the request', async (_, answer) => {
  const { url } = await serverOf(answer);
  const posted = clientOf().post(request(url, { timeoutMs: 100 }));
  await expect(posted).rejects.toThrow(HostTimedOut);
  await expect(posted).rejects.toMatchObject({ wasSent: true });
});

test('the deadline covers the look-up of the name', async () => {
  const client = clientOf({ allowPrivateAddresses: false, resolve: () => {} });
  const posted = client.post(request('http://slow.example/', { timeoutMs: 100 }));
  await expect(posted).rejects.toThrow('slow.example did not answer completely within 100 ms');
  await expect(posted).rejects.toMatchObject({ wasSent: false });
});

test('a request that waits for a free connection until its deadline was not sent', async () => {
  const { url, connections } = await serverOf(() => {});
  const client = clientOf({ connectionsPerOrigin: 1 });
  const first = client.post(request(url, { timeoutMs: 60_000 })).catch(() => undefined);
  await expect(client.post(request(url, { timeoutMs: 100 }))).rejects.toMatchObject({ wasSent: false });
  expect(connections()).toBe(1);
  await client.close();
  await first;
});

test('a caller that gives up gets its own reason back', async () => {
  const { url } = await serverOf(() => {});
  const stop = new AbortController();
  const posted = clientOf().post(request(url, { signal: stop.signal }));
  stop.abort(new Error('shutting down'));
  await expect(posted).rejects.toThrow('shutting down');
});

test('a closed port and a connection that breaks are unreachable', async () => {
  const broken = createTcpServer((socket) => socket.destroy());
  await new Promise<void>((listening) => broken.listen(0, '127.0.0.1', listening));
  const { port } = broken.address() as AddressInfo;
  const cut = clientOf().post(request(`http://127.0.0.1:${port}/`));
  await expect(cut).rejects.toThrow(HostUnreachable);
  await expect(cut).rejects.toMatchObject({ wasSent: true });
  await new Promise((closed) => broken.close(closed));
  const refused = clientOf().post(request(`http://127.0.0.1:${port}/`));
  await expect(refused).rejects.toThrow(/could not be reached: .*ECONNREFUSED/);
  await expect(refused).rejects.toMatchObject({ wasSent: false });
});

test.each(['HTTP/1.1 2xx secret\r\n\r\n', 'HTTP/1.1 200 OK\r\nno secret header\r\n\r\n'])(
  'what a destination sent stands in no error, if it cannot be read: %j',
  async (bytes) => {
    const garbled = createTcpServer((socket) => socket.on('error', () => undefined).once('data', () => socket.end(bytes)));
    await new Promise<void>((listening) => garbled.listen(0, '127.0.0.1', listening));
    cleanups.push(() => garbled.close());
    const { port } = garbled.address() as AddressInfo;
    const error = await clientOf()
      .post(request(`http://127.0.0.1:${port}/`))
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(HostUnreachable);
    expect(inspect(error, { depth: Infinity })).not.toContain('secret');
  },
);

test.each(['127.0.0.1', '[::1]', '2130706433', '0x7f.1', '[::ffff:7f00:1]'])('the literal address %s is refused', async (host) => {
  const { port, connections } = await serverOf((_, response) => response.end());
  await expect(clientOf({ allowPrivateAddresses: false }).post(request(`http://${host}:${port}/`))).rejects.toThrow(HostAddressForbidden);
  expect(connections()).toBe(0);
});

test('an allowed address is reached although it is not public, and no other of its host', async () => {
  const { port, connections } = await serverOf((_, response) => response.end());
  const client = clientOf({ allowPrivateAddresses: false, allowedUrls: [`http://127.0.0.1:${port}/sample/crm`] });
  await expect(client.post(request(`http://127.0.0.1:${port}/sample/crm?x=1`))).resolves.toMatchObject({ status: 200 });
  const others = ['/', '/sample', '/sample/crm/', '/sample/crm/../../graphql', '/sample/crm/%2e%2e/x', '/sample/crm%2f..', '/Sample/crm'];
  for (const path of others) await expect(client.post(request(`http://127.0.0.1:${port}${path}`))).rejects.toThrow(HostAddressForbidden);
  await expect(client.post(request(`http://localhost:${port}/sample/crm`))).rejects.toThrow(HostAddressForbidden);
  await expect(client.post(request(`http://127.0.0.1:${port + 1}/sample/crm`))).rejects.toThrow(HostAddressForbidden);
  expect(connections()).toBe(1);
});

test('an allowed address without a path stands for its origin, and its name may resolve inside', async () => {
  const { port } = await serverOf((_, response) => response.end());
  const client = clientOf({ allowPrivateAddresses: false, allowedUrls: [`http://localhost:${port}`] });
  await expect(client.post(request(`http://localhost:${port}/any/path`))).resolves.toMatchObject({ status: 200 });
  await expect(client.post(request(`http://127.0.0.1:${port}/any/path`))).rejects.toThrow(HostAddressForbidden);
});

test('a name that resolves inside is refused without a connection', async () => {
  const { port, connections } = await serverOf((_, response) => response.end());
  const client = clientOf({ allowPrivateAddresses: false });
  await expect(client.post(request(`http://localhost:${port}/`))).rejects.toThrow(HostAddressForbidden);
  expect(connections()).toBe(0);
});

const ask = (url: string, more: Partial<Parameters<HttpClient['request']>[0]> = {}): Promise<HttpAnswer> =>
  clientOf().request({ method: 'GET', url, headers: {}, timeoutMs: 5_000, ...more });

test.each(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const)('a request is made with the method %s', async (method) => {
  const { url } = await serverOf((incoming, response) => {
    response.setHeader('x-seen', `${incoming.method} ${incoming.headers['content-length'] ?? 'no body'}`);
    response.setHeader('link', ['<a>; rel=next', '<b>; rel=last']);
    response.end('answered');
  });
  const answer = await ask(url, { method });
  expect(answer).toMatchObject({ status: 200, ending: 'complete' });
  expect(answer.body.toString()).toBe(method === 'HEAD' ? '' : 'answered');
  expect(answer.headers['link']).toBe('<a>; rel=next, <b>; rel=last');
  expect(answer.headers['x-seen']).toMatch(new RegExp(`^${method} (no body|0)$`));
});

test('the body of an answer is read to the length that is allowed, and not beyond', async () => {
  const { url } = await serverOf((_, response) => response.end('x'.repeat(1_000)));
  expect(await ask(url, { maxBodyBytes: 1_000 })).toMatchObject({ ending: 'complete' });
  const longer = await ask(url, { maxBodyBytes: 999 });
  expect([longer.ending, longer.body.length, longer.status]).toEqual(['tooLarge', 999, 200]);
});

test.each([
  ['ends early', [head, 'half'], 'end', 'cut'],
  ['breaks', [head, 'half'], 'resetAndDestroy', 'cut'],
  ['never ends', [head, 'half'], undefined, 'late'],
] as const)('what is missing of a body is told, with the status: it %s', async (_what, pieces, then, ending) => {
  const answer = await ask(await rawServerOf(pieces, then), { timeoutMs: 300 });
  expect(answer).toMatchObject({ status: 202, ending });
});

test('a caller that gives up while the body comes gets its own reason back', async () => {
  const url = await rawServerOf([head, 'half']);
  const stop = new AbortController();
  const asked = ask(url, { signal: stop.signal });
  setImmediate(() => stop.abort(new Error('shutting down')));
  await expect(asked).rejects.toThrow('shutting down');
});

async function tlsServer(): Promise<{ url: string; seen: () => string[] }> {
  const { authority: ca, server: own } = testCertificates;
  const seen: string[] = [];
  const server = createTlsServer({ ...own, ca, requestCert: true, rejectUnauthorized: false }, (incoming, response) => {
    const socket = incoming.socket as TLSSocket;
    seen.push(socket.authorized ? String(socket.getPeerCertificate().subject.CN) : 'nobody');
    response.end();
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `https://localhost:${(server.address() as AddressInfo).port}/`, seen: () => seen };
}

test('a request shows its own client certificate, and never uses the connection of another one', async () => {
  const { authority: ca, client: one, other } = testCertificates;
  const { url, seen } = await tlsServer();
  const client = clientOf();
  for (const tls of [
    { ...one, ca },
    { ...other, ca },
    { ...one, ca },
  ])
    await client.post(request(url, { tls }));
  expect(seen()).toEqual(['client', 'other', 'client']);
});

test('a server whose certificate comes from no trusted authority is not told anything', async () => {
  const { url, seen } = await tlsServer();
  const posted = clientOf().post(request(url, { tls: testCertificates.client }));
  await expect(posted).rejects.toThrow(HostUnreachable);
  await expect(posted).rejects.toMatchObject({ wasSent: false });
  expect(seen()).toEqual([]);
});

test('a client certificate opens no private address', async () => {
  const { url } = await tlsServer();
  const { authority: ca, client: one } = testCertificates;
  await expect(clientOf({ allowPrivateAddresses: false }).post(request(url, { tls: { ...one, ca } }))).rejects.toThrow(
    HostAddressForbidden,
  );
});

/** The outcome of connecting a socket: `connected`, or the class of the error. */
async function connectedTo(client: HttpClient, url: string): Promise<string> {
  try {
    const socket = client.connect(new URL(url));
    await once(socket, 'connect');
    return 'connected';
  } catch (error) {
    return (error as Error).constructor.name;
  }
}

test.each(['127.0.0.1', '[::1]', '2130706433', '0x7f.1', '[::ffff:7f00:1]', 'localhost'])(
  'a socket of another protocol reaches no inner address: %s',
  async (host) => {
    const { port, connections } = await serverOf((_, response) => response.end());
    const client = clientOf({ allowPrivateAddresses: false, allowedUrls: [`smtp://127.0.0.1:${port + 1}`, `http://127.0.0.1:${port}`] });
    expect(await connectedTo(client, `smtp://${host}:${port}`)).toBe('HostAddressForbidden');
    expect(connections()).toBe(0);
  },
);

test('a socket reaches an address that is allowed for its protocol, and ends with the client', async () => {
  const { port } = await serverOf((_, response) => response.end());
  const client = clientOf({ allowPrivateAddresses: false, allowedUrls: [`smtp://localhost:${port}`] });
  const socket = client.connect(new URL(`smtp://localhost:${port}`));
  await once(socket, 'connect');
  const closed = once(socket, 'close');
  await client.close();
  await closed;
});
