import type { Socket } from 'node:net';

/** A whole `100 Continue`, at the start of what a server sends. Header fields in it are allowed (RFC 9110 §15.2). */
const continueResponse = /^HTTP\/1\.[01] 100(?: [^\r\n]*)?\r\n(?:[^\r\n]+\r\n)*\r\n/;
/** The beginning of one that has not arrived as a whole. */
const beginning = 'HTTP/1.1 100';
const longestResponse = 1_024;

/**
 * Makes a socket pass over `100 Continue`. Some servers send it unasked, RFC 9110 §15.2.1 has clients ignore it, and undici takes it for a broken
 * connection. It comes before a response, so only the start of a chunk is looked at; what looks like it inside of a body costs an excerpt a line.
 */
export function passOverContinue(socket: Socket): Socket {
  const read = socket.read.bind(socket) as (size?: number) => Buffer | null;
  let held: Buffer | undefined;
  socket.read = (size?: number): Buffer | null => {
    const chunk = read(size);
    if (chunk === null || (held === undefined && chunk[0] !== 0x48)) return chunk; // 0x48 is H
    const bytes = held === undefined ? chunk : Buffer.concat([held, chunk]);
    const rest = afterContinue(bytes);
    const isHeld = rest.length > 0 && mayBecomeContinue(rest);
    held = isHeld ? rest : undefined;
    return isHeld || rest.length === 0 ? null : rest;
  };
  return socket;
}

function afterContinue(bytes: Buffer): Buffer {
  const start = bytes.toString('latin1', 0, longestResponse);
  const whole = continueResponse.exec(start)?.[0];
  return whole === undefined ? bytes : afterContinue(bytes.subarray(whole.length));
}

function mayBecomeContinue(bytes: Buffer): boolean {
  if (bytes.length > longestResponse) return false;
  const start = bytes.toString('latin1', 0, beginning.length).replace('HTTP/1.0', 'HTTP/1.1');
  return beginning.startsWith(start);
}
