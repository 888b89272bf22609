import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import type { SMTPConnectionAuth, SMTPConnectionCustomAuthContext, SMTPConnectionSendInfo } from 'nodemailer/lib/smtp-connection';
import type { Login } from '#libs/connections';
import type { HttpClient } from '#libs/http';
import { Redaction } from '#libs/redaction';
import type { DriverUse } from '../driver.js';
import { OperationFailure } from '../operation.errors.js';
import { SessionLost } from '../sessions.js';
import { greetingName } from './mail.js';
import type { Mail } from './mail.js';
import { failureOf } from './smtp.failure.js';

/** Servers end sessions that send very many mails. */
const mostMails = 100;
/** The deadline of an operation ends a wait earlier. */
const longestWaitMs = 60_000;

/** Under its own name, XOAUTH2, nodemailer would take another method that the server offers. */
const tokenMethod = 'ACCESS-TOKEN';

/** One session with a mail server, which sends one mail after the other. */
export class SmtpSession {
  private mails = 0;
  private isOver = false;

  private constructor(
    private readonly connection: SMTPConnection,
    private readonly host: string,
    readonly redaction: Redaction,
  ) {
    connection.on('error', () => (this.isOver = true));
    connection.on('end', () => (this.isOver = true));
  }

  /** Connects, encrypts and logs in. Nothing that takes effect is sent. @throws OperationFailure, InputRefused, the signal's reason */
  static async open(use: DriverUse, http: HttpClient): Promise<SmtpSession> {
    const { settings, login, signal } = use;
    const host = settings['host'] as string;
    const redaction = new Redaction(secretForms(login, settings));
    requireEncryption(settings, login);
    let socket: Socket | undefined;
    let connection: SMTPConnection | undefined;
    const stop = (): void => {
      socket?.destroy();
      connection?.close();
    };
    try {
      return await untilAborted(signal, stop, async () => {
        socket = http.connect(new URL(`smtp://${host}:${settings['port'] as number}`));
        await connected(socket);
        connection = new SMTPConnection(optionsOf(use, socket));
        const session = new SmtpSession(connection, host, redaction);
        await handshaken(connection);
        await loggedIn(connection, authOf(login, settings));
        return session;
      });
    } catch (error) {
      stop();
      signal.throwIfAborted();
      throw failureOf(error, { host, redaction, wasSent: false });
    }
  }

  get isUsable(): boolean {
    return !this.isOver && this.mails < mostMails;
  }

  /** @throws OperationFailure; SessionLost if the server ended the session before the mail; the signal's reason only if the server has no mail */
  async send({ envelope, content }: Mail, signal: AbortSignal): Promise<SMTPConnectionSendInfo> {
    this.mails += 1;
    const transfer = new Transfer(content);
    const context = (): Parameters<typeof failureOf>[1] => ({ host: this.host, redaction: this.redaction, wasSent: transfer.isTaken });
    try {
      return await untilAborted(
        signal,
        () => this.close(),
        () =>
          new Promise((resolve, reject) => {
            this.connection.send(envelope, transfer, (error, info) => (error === null ? resolve(info) : reject(error)));
          }),
      );
    } catch (error) {
      if (signal.aborted) {
        if (!transfer.isTaken) throw signal.reason;
        throw failureOf(Object.assign(new Error('aborted'), { code: 'ETIMEDOUT' }), context());
      }
      const failure = failureOf(error, context());
      throw failure.peer === 'unreachable' && !failure.isUncertain ? new SessionLost(failure) : failure;
    }
  }

  close(): void {
    this.isOver = true;
    this.connection.close();
  }
}

/** A mail that tells whether it was asked for: the server answers 354 before that. */
class Transfer extends Readable {
  isTaken = false;

  constructor(private readonly content: Buffer) {
    super();
  }

  override _read(): void {
    this.isTaken = true;
    this.push(this.content);
    this.push(null);
  }
}

/** @throws OperationFailure */
function requireEncryption(settings: DriverUse['settings'], { password, token }: Login): void {
  if (settings['tls'] !== 'none' || (password === undefined && token === undefined)) return;
  const message = 'The settings of the connection say `tls: none`, and a credential is sent encrypted only: set starttls or implicit';
  throw new OperationFailure('operation.refused', message, { peer: 'unknown' });
}

function connected(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve();
    });
  });
}

function optionsOf({ settings, login, endsAtMs }: DriverUse, socket: Socket): ConstructorParameters<typeof SMTPConnection>[0] {
  const leftMs = Math.max(1, Math.ceil(endsAtMs - performance.now()));
  const { ca, tls: encryption } = settings;
  const { cert, key } = login.tls ?? {};
  const authorities = ca ?? login.tls?.ca;
  return {
    connection: socket,
    host: (settings['host'] as string).replace(/^\[|\]$/g, ''),
    port: settings['port'] as number,
    name: greetingName(settings),
    secure: encryption === 'implicit',
    requireTLS: encryption === 'starttls',
    ignoreTLS: encryption === 'none',
    tls: {
      minVersion: 'TLSv1.2',
      ...(authorities === undefined ? {} : { ca: authorities as string }),
      ...(cert === undefined || key === undefined ? {} : { cert, key }),
    },
    connectionTimeout: leftMs,
    greetingTimeout: leftMs,
    socketTimeout: longestWaitMs,
    socketCloseTimeout: 0,
    maxResponseSize: 65_536,
    customAuth: { [tokenMethod]: tokenLogin },
  };
}

function handshaken(connection: SMTPConnection): Promise<void> {
  return new Promise((resolve, reject) => {
    const ended = (): void => reject(Object.assign(new Error('The server ended the session'), { code: 'ECONNECTION' }));
    connection.once('error', reject);
    connection.once('end', ended);
    connection.connect(() => {
      connection.off('error', reject);
      connection.off('end', ended);
      resolve();
    });
  });
}

function loggedIn(connection: SMTPConnection, auth: SMTPConnectionAuth | undefined): Promise<void> {
  if (auth === undefined) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const ended = (): void => reject(Object.assign(new Error('The server ended the session'), { code: 'ECONNECTION' }));
    connection.once('error', reject);
    connection.once('end', ended);
    connection.login(auth, (error) => {
      connection.off('error', reject);
      connection.off('end', ended);
      if (error === null) resolve();
      else reject(error);
    });
  });
}

function authOf({ username, password, token }: Login, settings: DriverUse['settings']): SMTPConnectionAuth | undefined {
  if (token !== undefined) return { method: tokenMethod, user: userOfToken(settings), pass: token };
  return password === undefined ? undefined : { user: username!, pass: password };
}

/** @throws OperationFailure */
function userOfToken({ username }: DriverUse['settings']): string {
  if (typeof username === 'string') return username;
  const message = 'The connection has an access token, and its settings no `username` whose token it is: set it, usually to a mail address';
  throw new OperationFailure('operation.refused', message, { peer: 'unknown' });
}

/** https://developers.google.com/workspace/gmail/imap/xoauth2-protocol: a refusal comes as a challenge, which an empty line ends. */
async function tokenLogin(context: SMTPConnectionCustomAuthContext): Promise<void> {
  const { user, pass } = context.auth.credentials;
  const answer = await context.sendCommand(`AUTH XOAUTH2 ${tokenForm(user, pass)}`);
  const { status } = answer.status === 334 ? await context.sendCommand('') : answer;
  if (status === 235) context.resolve();
  else context.reject(new Error('The access token was refused'));
}

function tokenForm(user: string, token: string): string {
  return Buffer.from(`user=${user}\u0001auth=Bearer ${token}\u0001\u0001`, 'utf8').toString('base64');
}

/** The forms in which the credential is sent, which a server may repeat. */
function secretForms({ username = '', password, secrets, token }: Login, settings: DriverUse['settings']): string[] {
  const encoded = (text: string): string => Buffer.from(text, 'utf8').toString('base64');
  return [
    ...secrets,
    ...(password === undefined ? [] : [encoded(password), encoded(`\u0000${username}\u0000${password}`)]),
    ...(token === undefined ? [] : [tokenForm((settings['username'] as string | undefined) ?? '', token)]),
  ];
}

/** Does the work, and calls `stop` if the signal aborts meanwhile. @throws the signal's reason then, and as the work does */
async function untilAborted<T>(signal: AbortSignal, stop: () => void, work: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void => {
    stop();
    reject(signal.reason as Error);
  };
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work(), promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
