import type { Socket } from 'node:net';
import { createConnection } from 'mysql2/promise';
import type { Connection, FieldPacket, ResultSetHeader } from 'mysql2/promise';
import type { HttpClient } from '#libs/http';
import type { Json } from '#libs/json';
import { DatabaseSession, openDatabase } from '../database-session.js';
import type { DatabaseAccess, TransactionOptions } from '../database-session.js';
import type { DriverUse } from '../driver.js';
import type { StatementValues } from '../fixed-statement.js';
import { OperationFailure } from '../operation.errors.js';
import { columnValue } from './column-types.js';
import type { ColumnValue } from './column-types.js';
import { failureOf } from './mysql.failure.js';

type Row = { [column: string]: Json };

/** The outcome of a statement: rows, or how many were changed. */
export interface StatementResult {
  readonly rows: readonly Row[];
  readonly changed: number;
}

interface Reading extends TransactionOptions {
  readonly mostRows: number;
}

/** One session with a server of MySQL or MariaDB. */
export class MysqlSession extends DatabaseSession<Reading> {
  private isMariaDb = false;

  private constructor(
    private readonly client: Connection,
    access: DatabaseAccess,
    protected readonly socket: Socket,
  ) {
    super(access, failureOf);
    client.on('error', () => (this.isOver = true));
    socket.on('close', () => (this.isOver = true));
    this.countBytes();
  }

  /** @throws OperationFailure, the signal's reason */
  static open(use: DriverUse, http: HttpClient): Promise<MysqlSession> {
    return openDatabase(use, { http, scheme: 'mysql', failureOf }, async (access) => {
      const { host, username, password, socket, tls } = access;
      const client = await createConnection({
        host,
        user: username,
        password,
        database: use.settings['database'] as string,
        stream: socket,
        charset: 'utf8mb4',
        connectTimeout: 60_000, // the deadline of the operation ends it earlier
        dateStrings: true,
        supportBigNumbers: true,
        bigNumberStrings: true,
        jsonStrings: true,
        flags: ['-LOCAL_FILES'], // else the server could ask for files of this machine
        ...(tls === undefined ? {} : { ssl: { verifyIdentity: true, ...tls } }),
      });
      const session = new MysqlSession(client, access, socket);
      await session.prepare();
      await session.recognise();
      await session.requireOrdinary(username);
      return session;
    });
  }

  /** Runs one statement. Its text can hold no second one: it is prepared, and values are sent apart from it. */
  async query(text: string, values: StatementValues): Promise<StatementResult> {
    const [result, fields] = await this.client.execute({ sql: text, rowsAsArray: true }, [...values]);
    this.client.unprepare(text);
    if (!Array.isArray(result)) return { rows: [], changed: (result as ResultSetHeader).affectedRows };
    return { rows: (result as unknown as ColumnValue[][]).map((row) => rowOf(row, fields)), changed: 0 };
  }

  protected async begin({ isWrite, mostRows }: Reading, leftMs: number): Promise<void> {
    await this.limit(leftMs, mostRows);
    await this.client.query(`start transaction ${isWrite ? 'read write' : 'read only'}`);
  }

  protected commit(): Promise<unknown> {
    return this.client.query('commit');
  }

  protected async reset(): Promise<void> {
    await this.client.reset();
    await this.prepare();
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
}

function rowOf(values: readonly ColumnValue[], fields: readonly FieldPacket[]): Row {
  return Object.fromEntries(fields.map(({ name, columnType }, at) => [name, columnValue(values[at], columnType)]));
}
