import { Client } from 'pg';

/** The rows of one statement, read over a connection of its own. */
export async function readRows<Row extends object>(databaseUrl: string, sql: string, values: readonly unknown[]): Promise<Row[]> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return (await client.query<Row>(sql, [...values])).rows;
  } finally {
    await client.end();
  }
}
