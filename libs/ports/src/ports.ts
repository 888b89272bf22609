import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

const host = '127.0.0.1';
/** Above the well-known ports, and below the range of outgoing connections (Linux: from 32 768). */
const range = { from: 10_000, below: 32_768 };

/** True for a host name or address of this machine that no other machine reaches. */
export function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || /^(?:::ffff:)?127(?:\.\d{1,3}){3}$/.test(address);
}

/**
 * Finds a port of the loopback interface that is free now. It is outside the range of outgoing connections: with a port that the system
 * chooses (port 0), a client that retries while the server restarts could connect to itself.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(range.from, range.below);
    if (await isFree(port)) return port;
  }
}

/** True if a server could listen on this port of the loopback interface now. */
export async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}

/** True if something listens on this port of the loopback interface. */
export async function takesConnections(port: number): Promise<boolean> {
  const socket = connect({ port, host });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
