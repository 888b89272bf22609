import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { text as textOf } from 'node:stream/consumers';
import { SMTPServer } from 'smtp-server';
import type { SMTPServerOptions, SMTPServerSession } from 'smtp-server';
import { testCertificates } from './test-certificates.js';

/** A mail as the server took it. */
export interface ReceivedMail {
  readonly from: string;
  readonly to: readonly string[];
  /** By lower-case name, unfolded and decoded. */
  readonly headers: ReadonlyMap<string, string>;
  /** The decoded body of a mail with one part. */
  readonly body: string;
  readonly raw: string;
  /** The `NOTIFY` of each recipient: the news that the client asked for. */
  readonly notify: readonly (readonly string[])[];
}

/** A command at which the server answers something else. */
export interface MailFaultReply {
  readonly at: 'connect' | 'auth' | 'from' | 'rcpt' | 'data';
  readonly code: number;
  readonly text: string;
  /** The only recipient at whom it is answered. Default: every one. */
  readonly address?: string;
}

/**
 * Something that the server does with the next mail. `hang`: takes no mail, and does not answer; `lose`: keeps the mail, and does not answer;
 * `cut`: ends the connection before the mail; `drop`: keeps the mail, and ends the connection.
 */
export type MailFault = 'hang' | 'lose' | 'cut' | 'drop' | MailFaultReply;

/** A real mail server on loopback, which keeps mails. It encrypts by STARTTLS, or from the start. */
export interface MailServer {
  readonly port: number;
  readonly mails: readonly ReceivedMail[];
  /** The users that logged in, with how. */
  readonly logins: readonly string[];
  /** How many connections there were. */
  readonly connections: number;
  /** How many there are. */
  readonly open: number;
  fault(fault: MailFault): void;
  /** Ends the connections of clients. */
  disconnect(): void;
  stop(): Promise<void>;
}

export interface MailServerOptions {
  /** Default: nobody has to log in. */
  readonly credential?: { readonly username: string; readonly password: string } | { readonly username: string; readonly token: string };
  readonly isImplicitTls?: boolean;
  readonly host?: string;
}

export async function startMailServer(options: MailServerOptions = {}): Promise<MailServer> {
  const mails: ReceivedMail[] = [];
  const logins: string[] = [];
  const faults: MailFault[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const refusalAt = (at: MailFaultReply['at'], address?: string): Error | undefined => {
    const [fault] = faults;
    if (typeof fault !== 'object' || fault.at !== at || (fault.address !== undefined && fault.address !== address)) return undefined;
    faults.shift();
    return Object.assign(new Error(fault.text), { responseCode: fault.code });
  };
  const handlers: SMTPServerOptions = {
    onConnect: (_, done) => done(refusalAt('connect')),
    onAuth: ({ username = '', password, accessToken, method }, _, done) => {
      const refused = refusalAt('auth') ?? credentialError(options.credential, { username, password, accessToken });
      if (refused !== undefined) return done(refused);
      logins.push(`${method} ${username}`);
      return done(null, { user: username });
    },
    onMailFrom: (_, __, done) => done(refusalAt('from')),
    onRcptTo: ({ address }, session, done) => {
      if (faults[0] === 'cut') {
        faults.shift();
        return disconnect(session.remotePort, sockets);
      }
      return done(refusalAt('rcpt', address));
    },
    onData: (stream, session, done) => {
      void textOf(stream).then((raw) => {
        const refused = refusalAt('data');
        if (refused !== undefined) return done(refused);
        const fault = faults[0] === 'hang' || faults[0] === 'lose' || faults[0] === 'drop' ? faults.shift() : undefined;
        if (fault !== 'hang') mails.push(received(raw, session));
        if (fault === 'drop') return disconnect(session.remotePort, sockets);
        return fault === undefined ? done(null, `Ok: queued as ${mails.length}`) : undefined;
      });
    },
  };
  const server = new SMTPServer({
    ...handlers,
    ...testCertificates.server,
    secure: options.isImplicitTls === true,
    authOptional: options.credential === undefined,
    authMethods: ['PLAIN', 'LOGIN', 'XOAUTH2'],
    hideDSN: false,
    closeTimeout: 10,
    logger: false,
  });
  server.on('error', () => undefined);
  server.server.on('connection', (socket) => {
    connections += 1;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(0, options.host ?? '127.0.0.1');
  await once(server.server, 'listening');
  return {
    port: (server.server.address() as AddressInfo).port,
    mails,
    logins,
    get connections() {
      return connections;
    },
    get open() {
      return server.connections.size; // a socket that was encrypted does not say when it closes
    },
    fault: (fault) => void faults.push(fault),
    disconnect: () => {
      for (const socket of sockets) socket.destroy();
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((closed) => server.close(() => closed()));
    },
  };
}

function disconnect(remotePort: number, sockets: ReadonlySet<Socket>): void {
  for (const socket of sockets) if (socket.remotePort === remotePort) socket.destroy();
}

function credentialError(
  credential: MailServerOptions['credential'],
  given: { username: string; password?: string | null | undefined; accessToken?: string | undefined },
): Error | undefined {
  if (credential === undefined) return undefined;
  const isRight = 'password' in credential ? given.password === credential.password : given.accessToken === credential.token;
  if (isRight && given.username === credential.username) return undefined;
  return Object.assign(new Error(`Authentication failed for ${given.username} ${given.password ?? given.accessToken}`), {
    responseCode: 535,
  });
}

function received(raw: string, { envelope }: SMTPServerSession): ReceivedMail {
  const at = raw.indexOf('\r\n\r\n');
  const lines = raw
    .slice(0, at)
    .replaceAll(/\r\n[ \t]+/g, ' ')
    .split('\r\n');
  const headers = new Map(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), decodedWords(line.slice(line.indexOf(':') + 1).trim())]),
  );
  return {
    from: envelope.mailFrom === false ? '' : envelope.mailFrom.address,
    to: envelope.rcptTo.map(({ address }) => address),
    headers,
    body: decodedBody(raw.slice(at + 4), headers.get('content-transfer-encoding') ?? '7bit'),
    raw,
    notify: envelope.rcptTo.map(({ dsn }) => dsn?.notify ?? []),
  };
}

/** The text of encoded words (RFC 2047). White space between two of them is none. */
function decodedWords(value: string): string {
  return value.replaceAll(/\?=\s+=\?/g, '?==?').replaceAll(/(?:=\?utf-8\?[bq]\?[^?]*\?=)+/gi, (words) => {
    const parts = [...words.matchAll(/=\?utf-8\?([bq])\?([^?]*)\?=/gi)].map(([, kind, word]) =>
      kind!.toLowerCase() === 'b' ? Buffer.from(word!, 'base64') : quotedPrintable(word!.replaceAll('_', ' ')),
    );
    return Buffer.concat(parts).toString('utf8');
  });
}

function decodedBody(body: string, encoding: string): string {
  if (encoding === 'base64') return Buffer.from(body, 'base64').toString('utf8');
  const plain = encoding === 'quoted-printable' ? quotedPrintable(body.replaceAll('=\r\n', '')).toString('utf8') : body;
  return plain.replace(/\r\n$/, '');
}

function quotedPrintable(text: string): Buffer {
  return Buffer.from(
    text.replaceAll(/=([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
}
