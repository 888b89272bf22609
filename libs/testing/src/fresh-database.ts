import { Client, escapeIdentifier } from 'pg';
import { inject } from 'vitest';
import { uniqueName } from './unique-name.js';

/** A migrated, empty database of the caller's own. */
export interface FreshDatabase {
  /** The owner's address: a superuser, until `Database.connect` takes a role. */
  readonly url: string;
  /** Gives the planner statistics, for which only the owner may ask. */
  analyze(): Promise<void>;
  /** Drops it, and every connection to it. */
  close(): Promise<void>;
}

/** Copies the run's template (test/setup/postgres.ts), about 50 ms. */
export async function freshDatabase(): Promise<FreshDatabase> {
  const name = uniqueName('test');
  const server = inject('postgresUrl');
  const url = Object.assign(new URL(server), { pathname: `/${name}` }).href;
  await administer(server, `CREATE DATABASE ${escapeIdentifier(name)} TEMPLATE ${escapeIdentifier(inject('postgresTemplate'))}`);
  return {
    url,
    analyze: () => administer(url, 'ANALYZE'),
    close: () => administer(server, `DROP DATABASE ${escapeIdentifier(name)} WITH (FORCE)`),
  };
}

async function administer(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
