import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { freePort, isFree, isLoopback, takesConnections } from './ports.js';

test('a free port is one that a server can listen on, outside the ports of outgoing connections', async () => {
  const port = await freePort();
  expect(port).toBeLessThan(32_768);
  expect(await takesConnections(port)).toBe(false);
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  expect(await isFree(port)).toBe(false);
  expect(await takesConnections(port)).toBe(true);
  server.close();
  await once(server, 'close');
  expect(await isFree(port)).toBe(true);
});

test('loopback is what no other machine reaches, and 0.0.0.0 is not', () => {
  expect(['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1', 'localhost'].map(isLoopback)).toEqual([true, true, true, true, true]);
  expect(['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.example', 'example', ''].map(isLoopback)).not.toContain(true);
});
