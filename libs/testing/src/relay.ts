import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** A relay to a server, which counts connections, ends them, and keeps answers back. */
export interface Relay {
  readonly port: number;
  /** How many connections there were, and how many there are. */
  readonly counts: { all: number; open: number };
  /** Keeps back every answer from the next time on that a client sends this text, on that connection. */
  readonly lose: (text: string) => void;
  /** Ends the connection by which a client sends this text next, in the place of the answer. */
  readonly cut: (text: string) => void;
  /** Ends the connections. */
  readonly disconnect: () => void;
  readonly stop: () => Promise<void>;
}

/** Starts a relay on loopback. @param port the port that it listens on; default: a free one */
export async function startRelay(target: { readonly host: string; readonly port: number }, port = 0): Promise<Relay> {
  const counts = { all: 0, open: 0 };
  const sockets = new Set<Socket>();
  let awaited: string | undefined;
  let cutAt: string | undefined;
  const server = createServer((client) => {
    counts.all += 1;
    counts.open += 1;
    const upstream = connect(target.port, target.host);
    let [isSilent, isCut] = [false, false];
    client.on('data', (chunk) => {
      if (awaited !== undefined && chunk.includes(awaited)) {
        isSilent = true;
        awaited = undefined;
      }
      if (cutAt !== undefined && chunk.includes(cutAt)) {
        isCut = true;
        cutAt = undefined;
      }
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (isCut) client.destroy();
      else if (!isSilent) client.write(chunk);
    });
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
    client.on('close', () => (counts.open -= 1));
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const disconnect = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    counts,
    disconnect,
    lose: (text) => void (awaited = text),
    cut: (text) => void (cutAt = text),
    stop: async () => {
      disconnect();
      if (server.listening) await new Promise((closed) => server.close(closed));
    },
  };
}
