import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { startInterval } from '#libs/time';

/** One of many callers, and how it uses its connection. `path` is that of a source. */
export interface HostileClient {
  readonly title: string;
  readonly connections: number;
  /** Sends what it sends, and leaves the connection to the door. */
  readonly act: (socket: Socket, path: string) => void;
  /** The answer of the door before it ends the connection; undefined: nothing, since nobody would read it. */
  readonly answer: RegExp | undefined;
}

const head = (path: string, ...headers: string[]): string => [`POST ${path} HTTP/1.1`, 'host: x', ...headers].join('\r\n');
const megabyte = 1_048_576;
/** Sends something again and again until the connection ends. */
function drip(socket: Socket, text: () => string, everyMs = 100): void {
  const timer = startInterval(() => socket.writable && socket.write(text()), everyMs);
  socket.once('close', () => clearInterval(timer));
}

/** Clients that try to hold a door, each kind with so many connections as fit beside the others. */
export const hostileClients: readonly HostileClient[] = [
  { title: 'opens a connection and says nothing', connections: 60, act: () => undefined, answer: /^HTTP\/1.1 408 / },
  {
    title: 'sends a head byte by byte',
    connections: 60,
    act: (socket, path) => {
      const text = `${head(path)}\r\n${'x-slow: 1\r\n'.repeat(1_000)}`;
      let sent = 0;
      drip(socket, () => text[(sent += 1) - 1]!);
    },
    answer: /^HTTP\/1.1 408 .*"code":"request.slow"/s,
  },
  {
    title: 'sends a head without an end',
    connections: 20,
    act: (socket, path) => socket.write(`${head(path)}\r\n${'x-more: 1\r\n'.repeat(20_000)}`),
    answer: /^HTTP\/1.1 431 .*"code":"request.headTooLarge"/s,
  },
  {
    title: 'sends one endless header',
    connections: 20,
    act: (socket, path) => socket.write(`${head(path)}\r\nx-more: ${'1'.repeat(200_000)}`),
    answer: /^HTTP\/1.1 431 .*"code":"request.headTooLarge"/s,
  },
  {
    title: 'sends a thousand headers',
    connections: 20,
    act: (socket, path) => socket.write(`${head(path)}\r\n${'x: 1\r\n'.repeat(1_000)}content-length: 0\r\nconnection: close\r\n\r\n`),
    answer: /^HTTP\/1.1 431 .*"code":"request.headTooLarge"/s,
  },
  {
    title: 'announces a body and sends none',
    connections: 40,
    act: (socket, path) => socket.write(head(path, 'content-length: 1000', 'expect: 100-continue', '', '')),
    answer: /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 408 .*"code":"request.slow"/s,
  },
  {
    title: 'sends most of a body, and then the least that is allowed',
    connections: 30,
    act: (socket, path) => {
      socket.write(`${head(path, `content-length: ${megabyte}`, '', '')}${'x'.repeat(700_000)}`);
      drip(socket, () => 'x'.repeat(250));
    },
    answer: /^HTTP\/1.1 (?:408|503) .*"code":"(?:request.slow|service.busy)"/s,
  },
  {
    title: 'sends a body in chunks of one byte',
    connections: 4,
    act: (socket, path) => {
      socket.write(head(path, 'transfer-encoding: chunked', '', ''));
      const more = (): void => {
        if (socket.writable) socket.write('1\r\nx\r\n'.repeat(10_000), () => setImmediate(more));
      };
      more();
    },
    answer: /^HTTP\/1.1 (?:408|413|503) .*"code":"(?:request.slow|request.tooLarge|service.busy)"/s,
  },
  {
    title: 'sends a chunk with an extension without an end',
    connections: 20,
    act: (socket, path) => socket.write(`${head(path, 'transfer-encoding: chunked', '', '')}1;${'x'.repeat(200_000)}`),
    answer: /^HTTP\/1.1 400 .*"code":"request.malformed"/s,
  },
  {
    title: 'sends trailers without an end',
    connections: 20,
    act: (socket, path) => socket.write(`${head(path, 'transfer-encoding: chunked', '', '')}1\r\nx\r\n0\r\n${'x: 1\r\n'.repeat(20_000)}`),
    answer: /^HTTP\/1.1 431 .*"code":"request.headTooLarge"/s,
  },
  {
    title: 'sends requests and does not wait for their answers',
    connections: 10,
    act: (socket, path) => socket.write(head(path, 'content-length: 2', '', '{}').repeat(5_000)),
    answer: /^HTTP\/1.1 401 .*"code":"signature.missing".*/s,
  },
  {
    title: 'reads no answer',
    connections: 2,
    act: (socket) => {
      socket.pause();
      drip(socket, () => 'GET / HTTP/1.1\r\n\r\n'.repeat(30), 10); // it notices its end when it writes
    },
    answer: undefined,
  },
];

/** Lets a client act on all of its connections. Resolves with what each of them was answered, once the door has ended it. */
export async function attack({ connections, act }: HostileClient, door: string, path: string): Promise<string[]> {
  const { hostname, port } = new URL(door);
  const answers: Promise<string>[] = [];
  for (let dialled = 0; dialled < connections; dialled += 1) {
    const socket = connect(Number(port), hostname).setEncoding('latin1');
    socket.on('error', () => undefined);
    await once(socket, 'connect'); // one after the other: a door that never gets to read anything cannot tell them from others
    let answered = '';
    socket.on('data', (text: string) => (answered = (answered + text).slice(0, 10_000)));
    answers.push(new Promise((resolve) => socket.once('close', () => resolve(answered)))); // `once` of node:events would throw its error
    act(socket, path);
  }
  return Promise.all(answers);
}
