import { Client, escapeIdentifier } from 'pg';
import { inject } from 'vitest';
import { uniqueName } from './unique-name.js';

/** A migrated, empty database of the caller's own. */
export interface FreshDatabase {
  /** Address of the login of the services. */
  readonly url: string;
  /** Address of the login for what callers read and write. */
  readonly queryUrl: string;
  /** Address of the login that migrates. */
  readonly ownerUrl: string;
  /** Address of a superuser. */
  readonly administratorUrl: string;
  /**
   * A new login. Logins belong to the whole server, so each needs a name of its own.
   * @param rights as `CREATE ROLE` takes them
   * @returns its address
   */
  login(name: string, rights: string): Promise<string>;
  /** Gives the planner statistics, for which only the owner may ask. */
  analyze(): Promise<void>;
  /** Drops it, and every connection to it. */
  close(): Promise<void>;
}

/** Copies the run's template (test/setup/postgres.ts), about 50 ms. */
export async function freshDatabase(): Promise<FreshDatabase> {
  const name = uniqueName('test');
  const server = inject('postgresUrl');
  const as = (login: object): string => Object.assign(new URL(server), { pathname: `/${name}`, ...login }).href;
  const ownerUrl = as({ username: 'millrace_owner' });
  const template = escapeIdentifier(inject('postgresTemplate'));
  await administer(server, `CREATE DATABASE ${escapeIdentifier(name)} TEMPLATE ${template} OWNER millrace_owner`);
  return {
    url: as({ username: 'millrace_service' }),
    queryUrl: as({ username: 'millrace_query' }),
    ownerUrl,
    administratorUrl: as({}),
    login: async (username, rights) => {
      const password = 'secret';
      await administer(server, `CREATE ROLE ${escapeIdentifier(username)} LOGIN PASSWORD '${password}' ${rights}`);
      return as({ username, password });
    },
    analyze: () => administer(ownerUrl, 'ANALYZE'),
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
