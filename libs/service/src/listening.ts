import { once } from 'node:events';
import type { Server } from 'node:http';

/**
 * Resolves when the server listens.
 * @param port 0 takes a free one
 */
export async function listen(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  server.listen(port, host);
  await once(server, 'listening');
}

/** Base address of a server that listens, such as `http://127.0.0.1:8080`. */
export function addressOf(server: Server): string {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server listens on no port');
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `http://${host}:${address.port}`;
}
