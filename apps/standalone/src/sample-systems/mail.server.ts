import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** A mail as the sample mail server took it. */
export interface SampleMail {
  readonly from: string;
  readonly to: readonly string[];
  readonly subject: string;
  readonly text: string;
}

export interface SampleMailServer {
  readonly port: number;
  stop(): Promise<void>;
}

const longestMail = 1_048_576;
const longestLine = 65_536;

/** Starts a mail server on loopback that takes every mail and sends none on: SMTP (RFC 5321) as far as our driver speaks it, without TLS and login. */
export async function startSampleMailServer(port: number, onMail: (mail: SampleMail) => void): Promise<SampleMailServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    converse(socket, onMail);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((closed) => server.close(() => closed()));
    },
  };
}

function converse(socket: Socket, onMail: (mail: SampleMail) => void): void {
  let [from, to, rest]: [string, string[], string] = ['', [], ''];
  let content: string[] | undefined;
  let length = 0;
  const say = (reply: string): void => void socket.write(`${reply}\r\n`);
  const reset = (): void => {
    [from, to, content, length] = ['', [], undefined, 0];
  };
  const contentLine = (line: string): void => {
    if (line !== '.') {
      length += line.length;
      if (length <= longestMail) content!.push(line.startsWith('.') ? line.slice(1) : line);
      return;
    }
    if (length > longestMail) say('552 the mail is too large for a sample');
    else {
      onMail({ from, to, ...partsOf(content!) });
      say('250 ok, and sent nowhere: this is a sample mail server');
    }
    reset();
  };
  const commands: Readonly<Record<string, (argument: string) => void>> = {
    EHLO: () => socket.write(`250-sample\r\n250-SIZE ${longestMail}\r\n250 8BITMIME\r\n`),
    HELO: () => say('250 sample'),
    MAIL: (argument) => {
      reset();
      from = addressIn(argument);
      say('250 ok');
    },
    RCPT: (argument) => {
      if (to.length < 100) to.push(addressIn(argument));
      say('250 ok');
    },
    DATA: () => {
      if (to.length === 0) return say('503 RCPT first');
      content = [];
      return say('354 end with a line that has a dot alone');
    },
    RSET: () => {
      reset();
      say('250 ok');
    },
    NOOP: () => say('250 ok'),
    QUIT: () => socket.end('221 bye\r\n'),
  };
  const line = (text: string): void => {
    if (content !== undefined) return contentLine(text);
    const [command = '', ...argument] = text.split(' ');
    const known = Object.hasOwn(commands, command.toUpperCase()) ? commands[command.toUpperCase()] : undefined;
    return known === undefined ? say('502 not known here') : known(argument.join(' '));
  };
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\r\n');
    rest = lines.pop()!;
    lines.forEach(line);
    if (rest.length > longestLine) socket.destroy();
  });
  say('220 sample mail server');
}

/** The address in `FROM:<ada@example.com> SIZE=20`. */
function addressIn(argument: string): string {
  return /<([^>]*)>/.exec(argument)?.[1] ?? '';
}

function partsOf(lines: readonly string[]): { subject: string; text: string } {
  const end = lines.indexOf('');
  const head = lines
    .slice(0, end < 0 ? lines.length : end)
    .join('\n')
    .replaceAll(/\n[ \t]+/g, ' ');
  const headerOf = (name: string): string => new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1] ?? '';
  const body = end < 0 ? '' : lines.slice(end + 1).join('\n');
  const encoding = headerOf('content-transfer-encoding').toLowerCase();
  return { subject: wordsIn(headerOf('subject')), text: decoded(body, encoding).trim() };
}

function decoded(text: string, encoding: string): string {
  if (encoding === 'base64') return Buffer.from(text, 'base64').toString('utf8');
  return encoding === 'quoted-printable' ? unquoted(text.replaceAll('=\n', '')) : text;
}

function unquoted(text: string): string {
  return text.replaceAll(/(?:=[\dA-F]{2})+/gi, (bytes) => Buffer.from(bytes.replaceAll('=', ''), 'hex').toString('utf8'));
}

/** Decodes encoded words (RFC 2047); white space between two of them is none. */
function wordsIn(header: string): string {
  return header
    .replaceAll(/(\?=)\s+(?==\?)/g, '$1')
    .replaceAll(/=\?[\w-]+\?([BQ])\?([^?]*)\?=/gi, (_, kind: string, text: string) =>
      kind.toUpperCase() === 'B' ? Buffer.from(text, 'base64').toString('utf8') : unquoted(text.replaceAll('_', ' ')),
    );
}
