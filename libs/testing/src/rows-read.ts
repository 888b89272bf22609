import { waitFor } from './wait-for.js';

/** A single connection that all measured statements use, because Postgres reports the statistics of a connection in one piece. */
interface OneConnection {
  query<Row>(statement: { readonly name: string; readonly text: string }, values?: readonly unknown[]): Promise<Row[]>;
}

const flush = { name: 'test.rowsRead.flush', text: 'SELECT pg_stat_force_next_flush()' };
const counts = {
  name: 'test.rowsRead.counts',
  text: `SELECT relname AS table, seq_tup_read + coalesce(idx_tup_fetch, 0) AS read, n_tup_ins AS inserted FROM pg_stat_user_tables WHERE relname = ANY ($1)`,
};

/**
 * The number of rows that `work` read from the table of which it read most. It is far below the size of the table if each statement has a fitting index.
 * @param inserts rows that `work` adds to the tables; the statistics are complete when they show them
 */
export async function rowsRead(
  database: OneConnection,
  tables: readonly string[],
  inserts: number,
  work: () => Promise<void>,
): Promise<number> {
  const now = async (): Promise<Map<string, { read: number; inserted: number }>> => {
    await database.query(flush);
    const rows = await database.query<{ table: string; read: string; inserted: string }>(counts, [tables]);
    return new Map(rows.map(({ table, read, inserted }) => [table, { read: Number(read), inserted: Number(inserted) }]));
  };
  const insertedIn = (found: Map<string, { inserted: number }>): number =>
    [...found.values()].reduce((sum, { inserted }) => sum + inserted, 0);
  const before = await now();
  await work();
  await waitFor(async () => insertedIn(await now()) >= insertedIn(before) + inserts, { what: 'the statistics to be written' });
  const after = await now();
  return Math.max(...tables.map((table) => after.get(table)!.read - before.get(table)!.read));
}
