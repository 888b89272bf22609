import type { Socket } from 'node:net';
import { Client } from 'pg';
import type { QueryResult } from 'pg';
import type { HttpClient } from '#libs/http';
import type { Json } from '#libs/json';
import { Redaction } from '#libs/redaction';
import { timeoutSignal } from '#libs/time';
import type { DriverUse } from '../driver.js';
import { OperationFailure, timedOut } from '../operation.errors.js';
import { SessionLost } from '../sessions.js';
import { columnTypes } from './column-types.js';
import { failureOf } from './postgres.failure.js';
import type { StatementValues } from '../fixed-statement.js';

export type Row = { [column: string]: Json };

/** The most that a database may send for one operation, in bytes. */
const mostBytes = 8 * 1_024 * 1_024;
const refreshMs = 5_000;

interface Facts {
  readonly role: string;
  readonly isExempt: boolean;
  readonly isPlatform: boolean;
}

/** One session with a database, for one transaction at a time. */
export class PostgresSession {
  private isOver = false;
  private receivedBytes = 0;
  private isCommitting = false;

  private constructor(
    private readonly client: Client,
    private readonly host: string,
    private readonly redaction: Redaction,
  ) {
    client.on('error', () => (this.isOver = true));
    client.on('end', () => (this.isOver = true));
  }

  /** @throws OperationFailure, the signal's reason */
  static async open({ settings, login, signal }: DriverUse, http: HttpClient): Promise<PostgresSession> {
    const host = (settings['host'] as string).replace(/^\[|\]$/g, '');
    const redaction = new Redaction(login.secrets);
    let socket: Socket | undefined;
    const stop = (): void => void socket?.destroy();
    signal.throwIfAborted();
    signal.addEventListener('abort', stop, { once: true });
    try {
      if (login.username === undefined || login.password === undefined) throw credentialMissing();
      socket = http.connect(new URL(`postgres://${settings['host'] as string}:${settings['port'] as number}`));
      const connecting = socket;
      connecting.connect = () => connecting; // it connects already, to the address that was checked
      const { ca } = settings;
      const { cert, key } = login.tls ?? {};
      const authorities = (ca ?? login.tls?.ca) as string | undefined;
      const client = new Client({
        host,
        port: settings['port'] as number,
        database: settings['database'] as string,
        user: login.username,
        password: login.password,
        application_name: 'millrace',
        client_encoding: 'UTF8',
        options: '-c datestyle=ISO -c intervalstyle=iso_8601 -c timezone=UTC',
        ssl:
          settings['tls'] === 'none'
            ? false
            : { ...(authorities === undefined ? {} : { ca: authorities }), ...(cert === undefined ? {} : { cert, key }) },
        stream: () => connecting,
        types: columnTypes,
      });
      const session = new PostgresSession(client, host, redaction);
      await client.connect();
      session.countBytes();
      await session.requireOrdinary();
      return session;
    } catch (error) {
      stop();
      signal.throwIfAborted();
      throw failureOf(error, { host, redaction, isCommitting: false });
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  get isUsable(): boolean {
    return !this.isOver;
  }

  /**
   * Does the work in one transaction.
   * @throws OperationFailure; SessionLost if the session had ended before; the signal's reason only if nothing was committed
   */
  async transaction<T>(
    { endsAtMs, signal }: Pick<DriverUse, 'endsAtMs' | 'signal'>,
    { isWrite }: { isWrite: boolean },
    work: () => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    this.receivedBytes = 0;
    this.isCommitting = false;
    let hasBegun = false;
    const stop = (): void => this.close();
    signal.addEventListener('abort', stop, { once: true });
    try {
      const leftMs = Math.max(1, Math.floor(endsAtMs - performance.now()));
      await this.client.query(`begin ${isWrite ? 'read write' : 'read only'}; set local statement_timeout = ${leftMs}`);
      hasBegun = true;
      const result = await work();
      this.isCommitting = isWrite;
      await this.client.query('commit');
      return result;
    } catch (error) {
      throw this.failureOf(error, signal, hasBegun);
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** Runs one statement. Its text can hold no second one: values are sent apart from it, by the extended protocol. */
  query(text: string, values: StatementValues): Promise<QueryResult<Row>> {
    return this.client.query({ text, values: [...values], queryMode: 'extended' } as never);
  }

  /** Leaves nothing of a use behind: settings, temporary tables, locks, prepared statements. @throws if that does not succeed soon */
  async refresh(): Promise<void> {
    const late = timeoutSignal(refreshMs);
    const stop = (): void => this.close();
    late.addEventListener('abort', stop, { once: true });
    try {
      await this.client.query('discard all');
    } finally {
      late.removeEventListener('abort', stop);
    }
  }

  close(): void {
    this.isOver = true;
    this.stream.destroy();
  }

  /** pg has no other way to end a session at once. */
  private get stream(): Socket {
    return (this.client as unknown as { connection: { stream: Socket } }).connection.stream;
  }

  private countBytes(): void {
    this.stream.on('data', (chunk: Buffer) => {
      this.receivedBytes += chunk.length;
      if (this.receivedBytes > mostBytes) this.close();
    });
  }

  /** @throws OperationFailure for a role that no grant binds, and for a database of Millrace itself */
  private async requireOrdinary(): Promise<void> {
    const { rows } = await this.client.query<Facts>(
      `select rolname::text as role, rolsuper or rolbypassrls as "isExempt",
        to_regclass('public.step_result') is not null and to_regclass('public.delivery_command') is not null as "isPlatform"
      from pg_roles where rolname = current_user`,
    );
    const { role, isExempt, isPlatform } = rows[0]!;
    const refuse = (message: string): OperationFailure => new OperationFailure('operation.refused', message, { peer: 'up' });
    if (isPlatform) throw refuse('The database of the connection is one in which Millrace keeps its own data: use another one');
    if (isExempt)
      throw refuse(
        `The role ${role} is a superuser or bypasses row-level security: use one that has only the grants that the statements need`,
      );
  }

  private failureOf(error: unknown, signal: AbortSignal, hasBegun: boolean): unknown {
    const { isCommitting } = this;
    if (this.receivedBytes > mostBytes && !isCommitting) {
      const message = `The statement returned more than ${mostBytes} bytes: select fewer columns or rows`;
      return new OperationFailure('operation.refused', message, { peer: 'up' });
    }
    if (signal.aborted)
      return isCommitting ? timedOut(`The database at ${this.host} did not say in time whether it committed`, true) : signal.reason;
    const failure = failureOf(error, { host: this.host, redaction: this.redaction, isCommitting });
    return !hasBegun && failure.peer === 'unreachable' ? new SessionLost(failure) : failure;
  }
}

function credentialMissing(): OperationFailure {
  const message = 'The connection has no user and password: set `auth.kind: basic`, or `and` of a client certificate to one';
  return new OperationFailure('operation.refused', message, { peer: 'unknown' });
}
