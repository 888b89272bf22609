import { connect } from 'node:net';
import type { Socket } from 'node:net';

/** The latencies of requests that were sent at a rate, whatever became of those before them. */
export interface OpenLoop {
  /** From the time at which a request was due, not from that at which it was sent: a generator or a server that stalls counts for all that wait. */
  readonly latenciesMs: readonly number[];
  /** Connections that were needed. */
  readonly connections: number;
}

/**
 * Sends requests at a steady rate, each at its own time, over connections of HTTP/1.1 that are kept; one more is opened whenever none is idle.
 * @param requestAt the bytes of the request with this number
 * @throws Error if one is not answered with 2xx
 */
export async function openLoop(
  url: string,
  { perSecond, seconds, requestAt }: { perSecond: number; seconds: number; requestAt: (index: number) => string },
): Promise<OpenLoop> {
  const total = Math.floor(perSecond * seconds);
  const latenciesMs: number[] = [];
  const idle: Connection[] = [];
  const all: Connection[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const send = (index: number, dueAt: number): void => {
    let connection = idle.pop();
    if (connection === undefined) {
      connection = new Connection(url, reject);
      all.push(connection);
    }
    const used = connection;
    used.send(requestAt(index), () => {
      latenciesMs.push(performance.now() - dueAt);
      idle.push(used);
      if (latenciesMs.length === total) resolve();
    });
  };
  const startedAt = performance.now();
  let sent = 0;
  const sendDue = (): void => {
    for (; sent < total; sent += 1) {
      const dueAt = startedAt + (sent * 1_000) / perSecond;
      if (dueAt > performance.now()) break;
      send(sent, dueAt);
    }
    if (sent < total) setImmediate(sendDue);
  };
  sendDue();
  try {
    await promise;
  } finally {
    sent = total;
    for (const connection of all) connection.end();
  }
  return { latenciesMs, connections: all.length };
}

class Connection {
  private readonly socket: Socket;
  private answered: (() => void) | undefined;

  constructor(url: string, fail: (error: Error) => void) {
    const { hostname, port } = new URL(url);
    this.socket = connect({ host: hostname, port: Number(port), noDelay: true }).setEncoding('latin1');
    this.socket.on('error', fail);
    let head = '';
    this.socket.on('data', (text: string) => {
      head += text;
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
      if (head.length < end + 4 + length) return;
      const isTaken = head.startsWith('HTTP/1.1 2');
      if (!isTaken) fail(new Error(`${url} answered ${head.slice(0, 200)}`));
      head = '';
      if (isTaken) this.answered?.();
    });
  }

  send(request: string, answered: () => void): void {
    this.answered = answered;
    this.socket.write(request, 'latin1');
  }

  end(): void {
    this.socket.destroy();
  }
}
