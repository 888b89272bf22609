import { Client } from 'pg';
import { EmbeddedPostgres } from '#libs/embedded-postgres';

/** The cost of one statement since the last reset, from `pg_stat_statements`. */
export interface StatementCost {
  text: string;
  calls: number;
  rows: number;
  execMs: number;
  walBytes: number;
  /** Full-page images in the WAL: pages that were changed for the first time since a checkpoint. */
  walPages: number;
}

/** Reads the costs of the statements of one database. */
export class StatementCosts {
  private readonly client: Client;

  /** @param administratorUrl of a superuser, who alone sees the statements of others */
  constructor(administratorUrl: string) {
    this.client = new Client({ connectionString: administratorUrl, application_name: 'millrace-bench-costs' });
  }

  async connect(): Promise<void> {
    await this.client.connect();
    await this.client.query('CREATE EXTENSION IF NOT EXISTS pg_stat_statements');
  }

  async reset(): Promise<void> {
    await this.client.query('SELECT pg_stat_statements_reset(0, (SELECT oid FROM pg_database WHERE datname = current_database())::oid, 0)');
  }

  async read(): Promise<StatementCost[]> {
    const { rows } = await this.client.query<StatementCost>(
      `SELECT query AS text, sum(calls)::float8 AS calls, sum(rows)::float8 AS rows, sum(total_exec_time) AS "execMs",
         sum(wal_bytes)::float8 AS "walBytes", sum(wal_fpi)::float8 AS "walPages"
       FROM pg_stat_statements
       WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND query NOT LIKE '%pg_stat_statements%'
       GROUP BY query ORDER BY sum(total_exec_time) DESC`,
    );
    return rows;
  }

  async close(): Promise<void> {
    await this.client.end();
  }
}

/** Starts the embedded Postgres with the durability of production and `pg_stat_statements`. */
export async function startCountingPostgres(directory: string): Promise<EmbeddedPostgres> {
  const first = await EmbeddedPostgres.start({ directory, durable: true });
  const client = new Client({ connectionString: first.administratorUrl });
  await client.connect();
  await client.query(`ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'`);
  await client.end();
  await first.stop();
  return EmbeddedPostgres.start({ directory, durable: true });
}

/** Commits and changed rows of a database since its statistics began. */
export interface DatabaseCounts {
  readonly commits: number;
  readonly inserted: number;
  readonly updated: number;
  /** Updates that changed no index. */
  readonly hot: number;
}

export async function readCounts(databaseUrl: string): Promise<DatabaseCounts> {
  const client = new Client({ connectionString: databaseUrl, application_name: 'millrace-bench-costs' });
  await client.connect();
  try {
    const { rows } = await client.query<DatabaseCounts>(
      `SELECT sum(n_tup_ins)::float8 AS inserted, sum(n_tup_upd)::float8 AS updated, sum(n_tup_hot_upd)::float8 AS hot,
         (SELECT xact_commit::float8 FROM pg_stat_database WHERE datname = current_database()) AS commits
       FROM pg_stat_user_tables`,
    );
    return rows[0]!;
  } finally {
    await client.end();
  }
}

/** How much WAL the server has written so far. */
export async function readWal(databaseUrl: string): Promise<{ bytes: number; records: number }> {
  const client = new Client({ connectionString: databaseUrl, application_name: 'millrace-bench-costs' });
  await client.connect();
  try {
    const { rows } = await client.query<{ bytes: number; records: number }>(
      'SELECT wal_bytes::float8 AS bytes, wal_records::float8 AS records FROM pg_stat_wal',
    );
    return rows[0]!;
  } finally {
    await client.end();
  }
}

/** Bytes of the whole database. */
export async function readSize(databaseUrl: string): Promise<number> {
  const client = new Client({ connectionString: databaseUrl, application_name: 'millrace-bench-costs' });
  await client.connect();
  try {
    const { rows } = await client.query<{ bytes: number }>('SELECT pg_database_size(current_database())::float8 AS bytes');
    return rows[0]!.bytes;
  } finally {
    await client.end();
  }
}
