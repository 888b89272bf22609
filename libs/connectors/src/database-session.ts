import type { Socket } from 'node:net';
import type { Login } from '#libs/connections';
import { HostAddressForbidden } from '#libs/http';
import type { HttpClient } from '#libs/http';
import { Redaction } from '#libs/redaction';
import { timeoutSignal } from '#libs/time';
import type { DriverUse } from './driver.js';
import { OperationFailure, timedOut } from './operation.errors.js';
import { SessionLost } from './sessions.js';

/** The state of a session when something failed in it. */
export interface DatabaseContext {
  readonly host: string;
  readonly redaction: Redaction;
  /** True if the database was asked to commit a write. */
  readonly isCommitting: boolean;
}

/** The meaning of what a session with a database failed with. Until a commit was asked for, nothing can have taken effect. */
export type DatabaseFailureOf = (error: unknown, context: DatabaseContext) => OperationFailure;

/** The most that a database may send for one operation, in bytes. */
const mostBytes = 8 * 1_024 * 1_024;
const refreshMs = 5_000;

export interface TransactionOptions {
  readonly isWrite: boolean;
}

/** A socket to the database, and the means to log in. */
export interface DatabaseAccess extends Omit<DatabaseContext, 'isCommitting'> {
  readonly socket: Socket;
  readonly username: string;
  readonly password: string;
  /** For TLS; undefined if the session is not encrypted. */
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string } | undefined;
}

/**
 * Opens a session on a socket to an address that was checked. The socket ends with the signal.
 * @throws OperationFailure, the signal's reason
 */
export async function openDatabase<S>(
  { settings, login, signal }: DriverUse,
  { http, scheme, failureOf }: { readonly http: HttpClient; readonly scheme: string; readonly failureOf: DatabaseFailureOf },
  open: (access: DatabaseAccess) => Promise<S>,
): Promise<S> {
  const host = (settings['host'] as string).replace(/^\[|\]$/g, '');
  const about = { host, redaction: new Redaction(login.secrets) };
  let socket: Socket | undefined;
  const stop = (): void => void socket?.destroy();
  signal.throwIfAborted();
  signal.addEventListener('abort', stop, { once: true });
  try {
    const { username, password } = login;
    if (username === undefined || password === undefined) throw credentialMissing();
    socket = http.connect(new URL(`${scheme}://${settings['host'] as string}:${settings['port'] as number}`));
    return await open({ ...about, socket, username, password, tls: tlsOf(settings, login) });
  } catch (error) {
    stop();
    signal.throwIfAborted();
    throw failureOf(error, { ...about, isCommitting: false });
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function tlsOf(settings: DriverUse['settings'], login: Login): DatabaseAccess['tls'] {
  if (settings['tls'] === 'none') return undefined;
  const ca = (settings['ca'] ?? login.tls?.ca) as string | undefined;
  const { cert, key } = login.tls ?? {};
  return { ...(ca === undefined ? {} : { ca }), ...(cert === undefined ? {} : { cert, key: key! }) };
}

function credentialMissing(): OperationFailure {
  const message = 'The connection has no user and password: set `auth.kind: basic`, or `and` of a client certificate to one';
  return new OperationFailure('operation.refused', message, { peer: 'unknown' });
}

/** The meaning of a failure that is none of the database's own. */
export function failureOutside(error: unknown, { host, isCommitting }: DatabaseContext): OperationFailure {
  if (error instanceof OperationFailure) return error;
  if (error instanceof HostAddressForbidden)
    return new OperationFailure('operation.addressForbidden', error.message, { peer: 'unknown', cause: error });
  const after = isCommitting ? ' after it was asked to commit, so that it may have' : '';
  const message = `The session with the database at ${host} broke off${after}`;
  return new OperationFailure('operation.unavailable', message, { peer: 'unreachable', isUncertain: isCommitting });
}

/** One session with a database, for one transaction at a time. */
export abstract class DatabaseSession<O extends TransactionOptions = TransactionOptions> {
  protected isOver = false;
  private receivedBytes = 0;
  private isCommitting = false;

  protected constructor(
    private readonly access: Pick<DatabaseAccess, 'host' | 'redaction'>,
    private readonly meaningOf: DatabaseFailureOf,
  ) {}

  get isUsable(): boolean {
    return !this.isOver;
  }

  /**
   * Does the work in one transaction.
   * @throws OperationFailure; SessionLost if the session had ended before; the signal's reason only if nothing was committed
   */
  async transaction<T>({ endsAtMs, signal }: Pick<DriverUse, 'endsAtMs' | 'signal'>, options: O, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    this.receivedBytes = 0;
    this.isCommitting = false;
    let hasBegun = false;
    const stop = (): void => this.close();
    signal.addEventListener('abort', stop, { once: true });
    try {
      await this.begin(options, Math.max(1, endsAtMs - performance.now()));
      hasBegun = true;
      const result = await work();
      this.isCommitting = options.isWrite;
      await this.commit();
      return result;
    } catch (error) {
      throw this.failureOf(error, signal, hasBegun);
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** Leaves nothing of a use behind: settings, temporary tables, locks, prepared statements. @throws if that does not succeed soon */
  async refresh(): Promise<void> {
    const late = timeoutSignal(refreshMs);
    const stop = (): void => this.close();
    late.addEventListener('abort', stop, { once: true });
    try {
      await this.reset();
    } finally {
      late.removeEventListener('abort', stop);
    }
  }

  close(): void {
    this.isOver = true;
    this.socket.destroy();
  }

  protected abstract get socket(): Socket;
  /** Begins a transaction, whose statements end after `leftMs`. */
  protected abstract begin(options: O, leftMs: number): Promise<void>;
  protected abstract commit(): Promise<unknown>;
  protected abstract reset(): Promise<void>;

  /** Ends the session once the database has sent too much for one operation. */
  protected countBytes(): void {
    this.socket.on('data', (chunk: Buffer) => {
      this.receivedBytes += chunk.length;
      if (this.receivedBytes > mostBytes) this.close();
    });
  }

  private failureOf(error: unknown, signal: AbortSignal, hasBegun: boolean): unknown {
    const { isCommitting, access } = this;
    if (this.receivedBytes > mostBytes && !isCommitting) {
      const message = `The statement returned more than ${mostBytes} bytes: select fewer columns or rows`;
      return new OperationFailure('operation.refused', message, { peer: 'up' });
    }
    if (signal.aborted)
      return isCommitting ? timedOut(`The database at ${access.host} did not say in time whether it committed`, true) : signal.reason;
    const failure = this.meaningOf(error, { host: access.host, redaction: access.redaction, isCommitting });
    return !hasBegun && failure.peer === 'unreachable' ? new SessionLost(failure) : failure;
  }
}
