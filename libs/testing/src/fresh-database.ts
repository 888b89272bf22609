import { Client, escapeIdentifier } from 'pg';
import { inject } from 'vitest';
import { uniqueName } from './unique-name.js';

/** A migrated, empty database of the caller's own. */
export interface FreshDatabase {
  /** The owner's address: a superuser, until `Database.connect` takes a role. */
  readonly url: string;
  /** Drops it, and every connection to it. */
  close(): Promise<void>;
}

/** Copies the run's template (test/setup/postgres.ts), about 50 ms. */
export async function freshDatabase(): Promise<FreshDatabase> {
  const name = uniqueName('test');
  await administer(`CREATE DATABASE ${escapeIdentifier(name)} TEMPLATE ${escapeIdentifier(inject('postgresTemplate'))}`);
  return {
    url: Object.assign(new URL(inject('postgresUrl')), { pathname: `/${name}` }).href,
    close: () => administer(`DROP DATABASE ${escapeIdentifier(name)} WITH (FORCE)`),
  };
}

async function administer(sql: string): Promise<void> {
  const client = new Client({ connectionString: inject('postgresUrl') });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
