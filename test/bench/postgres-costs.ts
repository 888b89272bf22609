import { Client } from 'pg';

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

  constructor(databaseUrl: string) {
    this.client = new Client({ connectionString: databaseUrl, application_name: 'millrace-bench-costs' });
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
