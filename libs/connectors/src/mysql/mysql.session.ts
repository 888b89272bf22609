import type { Socket } from 'node:net';
import { createConnection } from 'mysql2/promise';
import type { Connection, FieldPacket, ResultSetHeader } from 'mysql2/promise';
import type { HttpClient } from '#libs/http';
import type { Json } from '#libs/json';
import { Redaction } from '#libs/redaction';
import { timeoutSignal } from '#libs/time';
import type { DriverUse } from '../driver.js';
import type { StatementValues } from '../fixed-statement.js';
import { OperationFailure, timedOut } from '../operation.errors.js';
import { SessionLost } from '../sessions.js';
import { columnValue } from './column-types.js';
import type { ColumnValue } from './column-types.js';
import { failureOf } from './mysql.failure.js';

type Row = { [column: string]: Json };

/** The outcome of a statement: rows, or how many were changed. */
export interface StatementResult {
  readonly rows: readonly Row[];
  readonly changed: number;
}

/** The most that a server may send for one operation, in bytes. */
const mostBytes = 8 * 1_024 * 1_024;
const refreshMs = 5_000;

/** One session with a server, for one transaction at a time. */
export class MysqlSession {
  private isOver = false;
  private receivedBytes = 0;
  private isCommitting = false;
  private isMariaDb = false;

  private constructor(
    private readonly client: Connection,
    private readonly socket: Socket,
    private readonly host: string,
    private readonly redaction: Redaction,
  ) {
    client.on('error', () => (this.isOver = true));
    socket.on('close', () => (this.isOver = true));
    socket.on('data', (chunk: Buffer) => {
      this.receivedBytes += chunk.length;
      if (this.receivedBytes > mostBytes) this.close();
    });
  }

  /** @throws OperationFailure, the signal's reason */
  static async open({ settings, login, signal }: DriverUse, http: HttpClient): Promise<MysqlSession> {
    const host = (settings['host'] as string).replace(/^\[|\]$/g, '');
    const redaction = new Redaction(login.secrets);
    let socket: Socket | undefined;
    const stop = (): void => void socket?.destroy();
    signal.throwIfAborted();
    signal.addEventListener('abort', stop, { once: true });
    try {
      if (login.username === undefined || login.password === undefined) throw credentialMissing();
      socket = http.connect(new URL(`mysql://${settings['host'] as string}:${settings['port'] as number}`));
      const { cert, key } = login.tls ?? {};
      const ca = (settings['ca'] ?? login.tls?.ca) as string | undefined;
      const client = await createConnection({
        host,
        user: login.username,
        password: login.password,
        database: settings['database'] as string,
        stream: socket,
        charset: 'utf8mb4',
        connectTimeout: 60_000, // the deadline of the operation ends it earlier
        dateStrings: true,
        supportBigNumbers: true,
        bigNumberStrings: true,
        jsonStrings: true,
        flags: ['-LOCAL_FILES'], // else the server could ask for files of this machine
        ...(settings['tls'] === 'none'
          ? {}
          : { ssl: { verifyIdentity: true, ...(ca === undefined ? {} : { ca }), ...(cert === undefined ? {} : { cert, key: key! }) } }),
      });
      const session = new MysqlSession(client, socket, host, redaction);
      await session.prepare();
      await session.recognise();
      await session.requireOrdinary(login.username);
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
    { isWrite, mostRows }: { isWrite: boolean; mostRows: number },
    work: () => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    this.receivedBytes = 0;
    this.isCommitting = false;
    let hasBegun = false;
    const stop = (): void => this.close();
    signal.addEventListener('abort', stop, { once: true });
    try {
      await this.limit(Math.max(1, endsAtMs - performance.now()), mostRows);
      await this.client.query(`start transaction ${isWrite ? 'read write' : 'read only'}`);
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

  /** Runs one statement. Its text can hold no second one: it is prepared, and values are sent apart from it. */
  async query(text: string, values: StatementValues): Promise<StatementResult> {
    const [result, fields] = await this.client.execute({ sql: text, rowsAsArray: true }, [...values]);
    this.client.unprepare(text);
    if (!Array.isArray(result)) return { rows: [], changed: (result as ResultSetHeader).affectedRows };
    return { rows: (result as unknown as ColumnValue[][]).map((row) => rowOf(row, fields)), changed: 0 };
  }

  /** Leaves nothing of a use behind: settings, temporary tables, locks, prepared statements. @throws if that does not succeed soon */
  async refresh(): Promise<void> {
    const late = timeoutSignal(refreshMs);
    const stop = (): void => this.close();
    late.addEventListener('abort', stop, { once: true });
    try {
      await this.client.reset();
      await this.prepare();
    } finally {
      late.removeEventListener('abort', stop);
    }
  }

  close(): void {
    this.isOver = true;
    this.socket.destroy();
  }

  /** Text is Unicode, times are in UTC, and a value that does not fit its column is refused, and not cut to fit. */
  private async prepare(): Promise<void> {
    await this.client.query(`set names utf8mb4`);
    await this.client.query(`set session time_zone = '+00:00', sql_mode = concat(@@sql_mode, ',STRICT_ALL_TABLES')`);
  }

  /** The two name the limit of a statement's time differently. */
  private async recognise(): Promise<void> {
    const { rows } = await this.query('select version() as version', []);
    this.isMariaDb = JSON.stringify(rows).includes('MariaDB');
  }

  /** MySQL ends only statements that read; a statement that writes waits for locks no longer than this, and its transaction ends with the session. */
  private async limit(leftMs: number, mostRows: number): Promise<void> {
    const seconds = Math.max(1, Math.ceil(leftMs / 1_000));
    await this.client.query(`set session sql_select_limit = ${mostRows + 1}, innodb_lock_wait_timeout = ${seconds}`);
    await this.client.query(
      this.isMariaDb ? `set session max_statement_time = ${leftMs / 1_000}` : `set session max_execution_time = ${Math.ceil(leftMs)}`,
    );
  }

  /** @throws OperationFailure for an account that no grant of the database binds */
  private async requireOrdinary(username: string): Promise<void> {
    const [rows] = await this.client.query({ sql: 'show grants', rowsAsArray: true });
    const global = (rows as unknown as string[][]).map(([grant = '']) => /^GRANT (.*) ON \*\.\* TO /i.exec(grant)?.[1] ?? '');
    if (!global.some((rights) => /(?:^|, ?)(?:ALL PRIVILEGES|SUPER|FILE)(?:,|$)/i.test(rights))) return;
    const message = `The account ${username} has rights on the whole server (ALL PRIVILEGES, SUPER or FILE): use one that has only the grants that the statements need`;
    throw new OperationFailure('operation.refused', message, { peer: 'up' });
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

function rowOf(values: readonly ColumnValue[], fields: readonly FieldPacket[]): Row {
  return Object.fromEntries(fields.map(({ name, columnType }, at) => [name, columnValue(values[at], columnType)]));
}

function credentialMissing(): OperationFailure {
  const message = 'The connection has no user and password: set `auth.kind: basic`, or `and` of a client certificate to one';
  return new OperationFailure('operation.refused', message, { peer: 'unknown' });
}
