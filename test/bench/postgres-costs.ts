import { readFileSync, readdirSync } from 'node:fs';
import { Client } from 'pg';

/** What one statement cost since the last reset, as `pg_stat_statements` has it. */
export interface StatementCost {
  text: string;
  calls: number;
  rows: number;
  execMs: number;
  walBytes: number;
  /** Pages that went into the WAL whole, because they were touched for the first time since a checkpoint. */
  walPages: number;
}

/** Counts what the statements of one database cost; others' are not seen. */
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

/** User and system time of a process, µs (proc_pid_stat(5): fields 14 and 15, in ticks of 10 ms); with those of its ended children where asked. */
export function cpuMicros(pid: number, withEndedChildren = false): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = fields.slice(11, withEndedChildren ? 15 : 13).reduce((sum, field) => sum + Number(field), 0);
  return ticks * 10_000;
}

/** Of a server and everything it started: the sessions, the writer of the WAL, the checkpoints, the vacuum. */
export function cpuMicrosOfServer(postmaster: number): number {
  return childrenOf(postmaster).reduce((sum, pid) => sum + cpuOrNothing(pid), cpuMicros(postmaster, true));
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === parent);
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined; // it has ended
  }
}

/** A child that ends in between is counted with its parent. */
function cpuOrNothing(pid: number): number {
  try {
    return cpuMicros(pid);
  } catch {
    return 0;
  }
}
