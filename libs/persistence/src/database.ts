import { setTimeout as delay } from 'node:timers/promises';
import { DatabaseError, Pool, escapeLiteral, types } from 'pg';
import type { ClientConfig, PoolClient, QueryConfig, QueryResult } from 'pg';
import { logger } from '#libs/tracing';
import { listen } from './listener.js';
import type { Subscription } from './listener.js';
import type { Statement } from './statement.js';
import { SchemaOutdated, StorageUnavailable, isConnectionLevel, translated } from './storage.errors.js';

/** `millrace_service` sees every tenant and always names the one it means; `millrace_query` sees the one tenant its transaction is set to. */
export type DatabaseRole = 'millrace_service' | 'millrace_query';

export interface DatabaseOptions {
  /** A login that is, or is a member of, `role`. */
  url: string;
  role: DatabaseRole;
  /** What `pg_stat_activity` shows. */
  applicationName: string;
  /** Connections at most; default 10. */
  poolSize?: number;
}

/** Where statements run: a pool's any connection, or the one of a transaction. */
export interface Session {
  /**
   * @throws StorageUnavailable where Postgres is away
   * @throws pg's DatabaseError where the statement or its values are at fault
   */
  query<Row>(statement: Statement, values?: readonly unknown[]): Promise<Row[]>;
}

const connectTimeoutMs = 5_000;
const closeTimeoutMs = 5_000;
/** The server ends a statement after this; the driver gives up waiting shortly after, for a server that is gone without a word. */
const statementTimeoutMs = 30_000;
const answerTimeoutMs = statementTimeoutMs + 5_000;
/** The server frees what a stalled process holds locked. */
const idleInTransactionTimeoutMs = 60_000;

const log = logger('persistence');

/**
 * Postgres in one role, over one pool. The pool is `pg`'s own, beside TypeORM and not inside it: TypeORM's is reachable only as an untyped
 * field of a driver that first runs queries of its own, and a service needs no TypeORM at run time, only `migrate` does.
 */
export class Database implements Session {
  private readonly pool: Pool;
  private readonly connection: ClientConfig;

  protected constructor(options: DatabaseOptions) {
    this.connection = connectionOf(options);
    this.pool = new Pool({ ...this.connection, max: options.poolSize ?? 10, connectionTimeoutMillis: connectTimeoutMs });
    // A connection that breaks while idle leaves the pool by itself; one that breaks in use fails the statement on it.
    this.pool.on('error', (error) => log.warn({ error: error.message }, 'an idle connection to Postgres broke'));
    this.pool.on('connect', (client) => client.on('error', () => undefined));
  }

  /**
   * Connects once, so that a wrong password, database or role stops the process at its start.
   * @throws StorageUnavailable where Postgres is away
   * @throws Error where it refuses the login or has no such database
   * @throws SchemaOutdated where the role does not exist because nothing has been migrated yet
   */
  static async connect(options: DatabaseOptions): Promise<Database> {
    return opened(new Database(options), options.role);
  }

  query<Row>(statement: Statement, values?: readonly unknown[]): Promise<Row[]> {
    return this.withClient((client) => run<Row>(client, statement, values));
  }

  /** All of `work` or nothing of it. What `work` throws rolls back and is thrown on. The session ends with it. */
  transaction<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.transactionThatBegins('BEGIN', work);
  }

  protected transactionThatBegins<T>(begin: string, work: (session: Session) => Promise<T>): Promise<T> {
    return this.withClient(async (client) => {
      await send(client, begin);
      const session = new TransactionSession(client);
      try {
        const result = await work(session);
        const { command } = await send(client, 'COMMIT');
        if (command === 'COMMIT') return result;
        throw new Error('Nothing was saved: a statement of the transaction failed, and its error was not passed on');
      } catch (error) {
        if (!(error instanceof StorageUnavailable)) await send(client, 'ROLLBACK'); // else the connection is dropped, and with it the transaction
        throw error;
      } finally {
        session.end();
      }
    });
  }

  /**
   * Hears `NOTIFY channel` on a connection of its own, which comes back by itself when it breaks. Resolves after the first try to connect,
   * whether or not it succeeded.
   * @param onNotice gets the payload; and an empty one after each connect, because notices before it were missed
   */
  listen(channel: string, onNotice: (payload: string) => void): Promise<Subscription> {
    return listen(this.connection, channel, onNotice);
  }

  /** @throws StorageUnavailable where Postgres does not answer */
  async ping(): Promise<void> {
    await this.withClient((client) => send(client, 'SELECT 1'));
  }

  /** Waits for what is under way, and not for a server that does not answer. */
  async close(): Promise<void> {
    await Promise.race([this.pool.end(), delay(closeTimeoutMs, undefined, { ref: false })]);
  }

  /** A connection whose statement failed by its own fault goes back to the pool; one that may be broken or mid-transaction does not. */
  private async withClient<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await this.pool.connect().catch((error: unknown) => {
      throw new StorageUnavailable(error);
    });
    let broken = false;
    try {
      return await work(client);
    } catch (error) {
      broken = error instanceof StorageUnavailable;
      throw error;
    } finally {
      client.release(broken);
    }
  }
}

/** Postgres as the `query` service may see it: nothing, except within {@link asTenant}. */
export class TenantDatabase extends Database {
  static override async connect(options: DatabaseOptions & { role: 'millrace_query' }): Promise<TenantDatabase> {
    return opened(new TenantDatabase(options), options.role);
  }

  /** A transaction in which row-level security shows, and lets in, rows of this tenant only. */
  asTenant<T>(tenant: string, work: (session: Session) => Promise<T>): Promise<T> {
    return this.transactionThatBegins(`BEGIN; SELECT set_config('millrace.tenant', ${escapeLiteral(tenant)}, true)`, work);
  }
}

/** The connection of one transaction, and only as long as that lasts: later its connection may serve another tenant. */
class TransactionSession implements Session {
  private ended = false;

  constructor(private readonly client: PoolClient) {}

  async query<Row>(statement: Statement, values?: readonly unknown[]): Promise<Row[]> {
    if (this.ended) throw new Error(`The statement ${statement.name} came after the end of its transaction; await it inside`);
    return run<Row>(this.client, statement, values);
  }

  end(): void {
    this.ended = true;
  }
}

async function run<Row>(client: PoolClient, { name, text }: Statement, values: readonly unknown[] = []): Promise<Row[]> {
  const { rows } = await send(client, { name, text, values: values as unknown[] });
  return rows as Row[];
}

async function send(client: PoolClient, query: string | QueryConfig): Promise<QueryResult> {
  try {
    return await client.query(query);
  } catch (error) {
    throw translated(error);
  }
}

async function opened<D extends Database>(database: D, role: DatabaseRole): Promise<D> {
  try {
    await database.ping();
    return database;
  } catch (error) {
    await database.close();
    throw refusal(error, role) ?? error;
  }
}

/** What a server that answers finds wrong with the login, the database or the role: waiting does not mend it. */
function refusal(error: unknown, role: DatabaseRole): Error | undefined {
  const cause = error instanceof StorageUnavailable ? error.cause : undefined;
  if (!(cause instanceof DatabaseError) || isConnectionLevel(cause)) return undefined;
  if (cause.code === '22023' && cause.message.includes(`"${role}" does not exist`)) {
    return new SchemaOutdated(`the role ${role}, which the first migration creates`, { cause: error });
  }
  return new Error(`Postgres refuses the connection: ${cause.message}`, { cause });
}

/**
 * The role is a start-up option of the session, so it holds before the first statement, and `RESET ROLE` leads back to it.
 * What the address itself says (`?sslmode=…`, `?application_name=…`) wins over ours.
 */
function connectionOf({ url, role, applicationName }: DatabaseOptions): ClientConfig {
  const address = new URL(url);
  address.searchParams.set('options', [address.searchParams.get('options'), `-c role=${role}`].filter(Boolean).join(' '));
  return {
    connectionString: address.href,
    application_name: applicationName,
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
    query_timeout: answerTimeoutMs,
    idle_in_transaction_session_timeout: idleInTransactionTimeoutMs,
    keepAlive: true,
    types: { getTypeParser },
  };
}

/**
 * `int8` becomes a number, not `pg`'s text: ours are fences, log offsets and counts, all far below 2^53, and a larger one fails instead of
 * being rounded. Everything else is as `pg` has it: `json` parsed, `timestamptz` a Date (columns keep milliseconds, as a Date does),
 * `bytea` a Buffer, `numeric` text.
 */
const getTypeParser: typeof types.getTypeParser = (type, format) =>
  type === types.builtins.INT8 ? wholeNumber : types.getTypeParser(type, format);

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new Error(`The int8 ${text} does not fit a JavaScript number; select it as text`);
  return value;
}
