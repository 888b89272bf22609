import { Client, escapeIdentifier } from 'pg';
import { waitFor } from './wait-for.js';

/**
 * Runs statements that change a table at the same moment: those that `begin` starts gather behind a lock until all of them wait.
 * @param url of the table's owner
 */
export async function atTheSameMoment<T>(url: string, table: string, statements: number, begin: () => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(`BEGIN; LOCK TABLE ${escapeIdentifier(table)} IN SHARE ROW EXCLUSIVE MODE`);
    const begun = begin();
    const waiting = async (): Promise<number> => {
      const { rows } = await client.query<{ count: number }>(
        `SELECT count(*)::integer AS count FROM pg_locks WHERE relation = $1::regclass AND NOT granted`,
        [table],
      );
      return rows[0]!.count;
    };
    await waitFor(async () => (await waiting()) === statements, { what: `${statements} statements to wait` });
    await client.query('COMMIT');
    return await begun;
  } finally {
    await client.end();
  }
}
