import { DatabaseError, Pool, escapeLiteral, types } from 'pg';
import type { ClientBase, PoolClient, QueryConfig, QueryResult } from 'pg';
import { parseStoredJson } from '#libs/json';
import { waitAtMost } from '#libs/time';
import { logger } from '#libs/tracing';
import { readDatabaseAddress } from './database-address.js';
import { DatabaseClient, requireWritable } from './database-client.js';
import type { DatabaseClientConfig } from './database-client.js';
import { listen } from './listener.js';
import type { Subscription } from './listener.js';
import type { Statement } from './statement.js';
import { RoleRefused, SchemaOutdated, StorageUnavailable, isConnectionLevel, translated } from './storage.errors.js';
import { measurePool } from './pool-metrics.js';
import { parseTimestamp } from './timestamp.js';

/** `millrace_service` sees every tenant, so its statements name theirs; `millrace_query` sees only the tenant that its transaction is set to. */
export type DatabaseRole = 'millrace_service' | 'millrace_query';

export interface DatabaseOptions {
  /** A login that is, or is a member of, `role`, and that is no superuser and has no BYPASSRLS. Parameters of libpq encrypt the connection: {@link readDatabaseAddress}. */
  url: string;
  role: DatabaseRole;
  /** The name that `pg_stat_activity` shows. */
  applicationName: string;
  /** The largest number of connections; default 10. */
  poolSize?: number;
}

/** Runs statements: on any connection of a pool, or on the connection of one transaction. */
export interface Session {
  /**
   * @throws StorageUnavailable when Postgres is not available
   * @throws DatabaseError of `pg` when the statement or its values are at fault
   */
  query<Row>(statement: Statement, values?: readonly unknown[]): Promise<Row[]>;
}

const connectTimeoutMs = 5_000;
const closeTimeoutMs = 5_000;
/** The server cancels a statement after this time. The driver stops waiting a little later, because a server that is gone cancels nothing. */
const statementTimeoutMs = 30_000;
const responseTimeoutMs = statementTimeoutMs + 5_000;
/** After this time the server ends a transaction that a stalled process left open, and so frees its locks. */
const idleInTransactionTimeoutMs = 60_000;

const log = logger('persistence');

/**
 * Postgres in one role, over one pool. The pool is `pg`'s own and not TypeORM's, which is reachable only as an untyped field of a driver that
 * runs queries of its own first. Only `migrate` uses TypeORM.
 */
export class Database implements Session {
  private readonly pool: Pool;
  private readonly connection: DatabaseClientConfig;
  private readonly forget: () => void;

  protected constructor(protected readonly options: DatabaseOptions) {
    this.connection = connectionOf(options);
    const Client = DatabaseClient as unknown as new () => ClientBase; // the pool calls it with its own options
    this.pool = new Pool({ ...this.connection, max: options.poolSize ?? 10, connectionTimeoutMillis: connectTimeoutMs, Client });
    this.forget = measurePool(options.role, this.pool);
    // The pool drops a connection that breaks while idle. One that breaks in use fails its statement.
    this.pool.on('error', (error) => log.warn({ error: error.message }, 'an idle connection to Postgres broke'));
  }

  /**
   * Connects once, so that a wrong password, database or role stops the process at its start.
   * @throws StorageUnavailable when Postgres is not available
   * @throws Error when it refuses the login or has no such database, or the address asks for what is not taken
   * @throws RoleRefused when the session has another role, or the login is not bound by row-level security
   * @throws SchemaOutdated when the role does not exist, because the database was never migrated
   */
  static async connect(options: DatabaseOptions): Promise<Database> {
    return opened(new Database(options), options.role);
  }

  /** Does not connect: every call throws StorageUnavailable until Postgres is there. For a process that can begin its work without it. */
  static unconnected(options: DatabaseOptions): Database {
    return new Database(options);
  }

  /**
   * A pool of its own with the same login, for transactions that wait for something outside of Postgres. It connects when it is used, and its
   * connections end when they have been idle for 10 s.
   */
  separatePool(poolSize: number): Database {
    return new Database({ ...this.options, poolSize });
  }

  query<Row>(statement: Statement, values?: readonly unknown[]): Promise<Row[]> {
    return this.withClient((client) => run<Row>(client, statement, values));
  }

  /** Runs `work` in a transaction. An error of `work` rolls it back and is thrown again. The session cannot be used afterwards. */
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
        if (!(error instanceof StorageUnavailable)) await send(client, 'ROLLBACK'); // otherwise the connection is dropped, and the transaction with it
        throw error;
      } finally {
        session.end();
      }
    });
  }

  /**
   * Listens for `NOTIFY channel` on a connection of its own, which reconnects when it breaks. Resolves after the first try to connect, whether or
   * not it succeeded.
   * @param onNotice is called with the payload of each notice, and with an empty one after each connect, because earlier notices were missed
   * @param onLost is called when the connection breaks
   */
  listen(channel: string, onNotice: (payload: string) => void, onLost: () => void = () => undefined): Promise<Subscription> {
    return listen(this.connection, channel, onNotice, onLost);
  }

  /** @throws StorageUnavailable when Postgres does not respond, or takes no writes */
  async ping(): Promise<void> {
    await this.withClient(async (client) => {
      try {
        await requireWritable(client);
      } catch (error) {
        throw translated(error);
      }
    });
  }

  /** Waits for statements that are under way, but at most 5 s, so that a server that does not respond cannot delay the stop. */
  async close(): Promise<void> {
    await waitAtMost(closeTimeoutMs, this.pool.end());
    this.forget();
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

/** Postgres as the `query` service may see it: no rows, except within {@link asTenant}. */
export class TenantDatabase extends Database {
  static override async connect(options: DatabaseOptions & { role: 'millrace_query' }): Promise<TenantDatabase> {
    return opened(new TenantDatabase(options), options.role);
  }

  override separatePool(poolSize: number): TenantDatabase {
    return new TenantDatabase({ ...this.options, poolSize });
  }

  /** Runs `work` in a transaction in which row-level security allows reading and writing rows of this tenant only. */
  asTenant<T>(tenant: string, work: (session: Session) => Promise<T>): Promise<T> {
    return this.transactionThatBegins(`BEGIN; SELECT set_config('millrace.tenant', ${escapeLiteral(tenant)}, true)`, work);
  }
}

/** The connection of one transaction. Refuses statements after its end, when the connection may serve another tenant. */
class TransactionSession implements Session {
  private ended = false;

  constructor(private readonly client: PoolClient) {}

  async query<Row>(statement: Statement, values?: readonly unknown[]): Promise<Row[]> {
    if (this.ended) throw new Error(`The statement ${statement.name} was sent after the end of its transaction; await it inside`);
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

/** The error for a login, database or role that is refused, which waiting cannot fix; undefined for other failures. */
function refusal(error: unknown, role: DatabaseRole): Error | undefined {
  const cause = error instanceof StorageUnavailable ? error.cause : undefined;
  if (cause instanceof RoleRefused) return cause;
  if (!(cause instanceof DatabaseError) || isConnectionLevel(cause)) return undefined;
  if (cause.code === '22023' && cause.message.includes(`"${role}" does not exist`)) {
    return new SchemaOutdated(`the role ${role}, which the first migration creates`, { cause: error });
  }
  return new Error(`Postgres refuses the connection: ${cause.message}`, { cause });
}

/**
 * Settings of a service's sessions. Its statements take arrays, and Postgres would plan most of them anew at each execution, because a plan for a short
 * array looks cheaper than the general one. That costs more than to execute them. A plan that is kept may come from a time when the table was empty,
 * so it uses an index wherever there is one. `jit` would compile such plans in some versions of Postgres, because they look dear.
 */
const planning: Readonly<Record<DatabaseRole, string>> = {
  millrace_service: '-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c jit=off',
  millrace_query: '',
};

/**
 * The role is a start-up option of the session, so it applies before the first statement, and `RESET ROLE` returns to it.
 * Other parameters of the address (`?application_name=…`) override ours, but for the role.
 */
function connectionOf({ url, role, applicationName }: DatabaseOptions): DatabaseClientConfig {
  const { connectionString, tls } = readDatabaseAddress(url);
  const address = new URL(connectionString);
  const options = [planning[role], address.searchParams.get('options'), `-c role=${role}`];
  address.searchParams.set('options', options.filter(Boolean).join(' '));
  return {
    connectionString: address.href,
    tls,
    role,
    application_name: applicationName,
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
    query_timeout: responseTimeoutMs,
    idle_in_transaction_session_timeout: idleInTransactionTimeoutMs,
    keepAlive: true,
    types: { getTypeParser },
  };
}

/**
 * `int8` is parsed to a number instead of `pg`'s text: ours are fences, log offsets and counts, all far below 2^53, and a larger value fails
 * instead of being rounded. `json` and `jsonb` keep the digits of their numbers. Other types are as in `pg`: `timestamptz` a Date (columns keep milliseconds, as a Date does),
 * `bytea` a Buffer, `numeric` text.
 */
const getTypeParser: typeof types.getTypeParser = (type, format) => ownParsers.get(type) ?? types.getTypeParser(type, format);

const ownParsers = new Map<number, (text: string) => unknown>([
  [types.builtins.INT8, wholeNumber],
  [types.builtins.JSON, parseStoredJson],
  [types.builtins.JSONB, parseStoredJson],
  [types.builtins.TIMESTAMPTZ, parseTimestamp],
]);

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new Error(`The int8 ${text} does not fit a JavaScript number; select it as text`);
  return value;
}
