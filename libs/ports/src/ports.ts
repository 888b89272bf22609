import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

const host = '127.0.0.1';
/** Above the well-known ones, and below where systems take the ports of outgoing connections from (Linux: 32 768). */
const range = { from: 10_000, below: 32_768 };

/**
 * A port of the loopback interface that was free a moment ago. No outgoing connection can take it while its server restarts; with one that the
 * system chooses (port 0), a client that tries again and again would in time connect to itself.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(range.from, range.below);
    if (await isFree(port)) return port;
  }
}

/** Whether a server could listen on this port of the loopback interface now. */
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

/** Whether something listens on this port of the loopback interface. */
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
