import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { UnusedConnections, closeServer } from './unused-connections.js';

test('a server that stops waits for no connection without a request, and answers the request that is under way', async () => {
  const { promise: stopping, resolve: stop } = Promise.withResolvers<void>();
  const server = createServer((_request, response) => void stopping.then(() => response.setHeader('connection', 'close').end('answered')));
  const unused = new UnusedConnections(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const silent = connect(port, '127.0.0.1');
  const halfway = connect(port, '127.0.0.1');
  const accepted = [once(server, 'connection'), once(silent, 'connect')];
  halfway.write('GET / HTTP/1.1\r\nhost: x\r\n');
  await Promise.all(accepted);
  const asked = once(server, 'request');
  const answer = fetch(`http://127.0.0.1:${port}`);
  await asked;
  const ends = [silent, halfway].map((socket) =>
    once(
      socket.on('error', () => undefined),
      'close',
    ),
  );
  const closed = once(server, 'close');
  const closing = closeServer(server, unused);
  await Promise.all(ends);
  stop();
  expect(await (await answer).text()).toBe('answered');
  await Promise.all([closed, closing]);
});

test('a request that has arrived on an idle connection, and that nobody has read yet, is answered', async () => {
  const server = createServer((request, response) => void response.end(`answered ${request.url}`));
  const unused = new UnusedConnections(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const kept = connect(port, '127.0.0.1').setEncoding('utf8');
  const received: string[] = [];
  kept.on('data', (text: string) => received.push(text));
  const request = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`;
  kept.write(request('/first'));
  await once(kept, 'data');

  kept.write(request('/second')); // the kernel has it, and the server reads it in a later turn of the loop
  const ended = once(kept, 'close');
  await closeServer(server, unused);
  await ended;
  expect(received.join('')).toContain('answered /second');
});
