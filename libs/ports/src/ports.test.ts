import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { freePort, isFree, takesConnections } from './ports.js';

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
