import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { freePort, takesConnections } from '#libs/ports';
import { freshDatabase, uniqueName, waitFor } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { Database, RoleRefused, TenantDatabase, statement } from './index.js';

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
});
afterAll(() => fresh.close());

const whoAmI = statement('test.whoConnects', 'SELECT session_user AS login, current_user AS role');

/** Connects as a service does at its start. Resolves with the session. */
async function connect(url: string, role: 'millrace_service' | 'millrace_query' = 'millrace_service'): Promise<unknown> {
  const options = { url, role, applicationName: 'role-test' };
  const database = role === 'millrace_query' ? await TenantDatabase.connect({ ...options, role }) : await Database.connect(options);
  try {
    return await database.query(whoAmI);
  } finally {
    await database.close();
  }
}

test('the logins of the services are the roles, and a member of a role takes it', async () => {
  expect(await connect(fresh.url)).toEqual([{ login: 'millrace_service', role: 'millrace_service' }]);
  expect(await connect(fresh.queryUrl, 'millrace_query')).toEqual([{ login: 'millrace_query', role: 'millrace_query' }]);
  const login = uniqueName('member');
  expect(await connect(await fresh.login(login, 'IN ROLE millrace_query'), 'millrace_query')).toEqual([{ login, role: 'millrace_query' }]);
});

test('a superuser is refused, whatever role it takes', async () => {
  const refused = connect(fresh.administratorUrl, 'millrace_query');
  await expect(refused).rejects.toThrow(RoleRefused);
  await expect(refused).rejects.toThrow(
    'The login millrace is a superuser or has BYPASSRLS, so row-level security would not bind it: use a login that',
  );
});

test('a login with BYPASSRLS is refused, and one that can become such a role', async () => {
  const rights = 'IN ROLE millrace_service';
  const unbound = uniqueName('unbound');
  const url = await fresh.login(unbound, `BYPASSRLS ${rights}`);
  await expect(connect(url)).rejects.toThrow(`The login ${unbound} is a superuser or has BYPASSRLS`);
  const member = uniqueName('member');
  const memberUrl = await fresh.login(member, `${rights}, "${unbound}"`);
  await expect(connect(memberUrl)).rejects.toThrow(`The login ${member} can become ${unbound}, which is a superuser or has BYPASSRLS`);
});

const program = '/usr/sbin/pgbouncer';
const isThere = existsSync(program);
if (!isThere) process.stdout.write(`Poolers were not tested: there is no ${program} (Debian: apt-get install pgbouncer).\n`);

describe.skipIf(!isThere)('behind a PgBouncer that drops start-up options', () => {
  let directory: string;
  let pooler: ChildProcess;
  let port: number;
  const through = (url: string): string => Object.assign(new URL(url), { port }).href;
  const member = uniqueName('pooled');
  let memberUrl: string;

  beforeAll(async () => {
    memberUrl = await fresh.login(member, 'IN ROLE millrace_query');
    port = await freePort();
    directory = mkdtempSync(join(tmpdir(), 'millrace-pooler-'));
    chmodSync(directory, 0o755);
    const users = [memberUrl, fresh.queryUrl, fresh.url].map((url) => new URL(url));
    writeFileSync(join(directory, 'users'), users.map(({ username, password }) => `"${username}" "${password}"`).join('\n'));
    const settings = [
      '[databases]',
      `* = host=127.0.0.1 port=${new URL(inject('postgresUrl')).port}`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      `listen_port = ${port}`,
      'unix_socket_dir =',
      'auth_type = scram-sha-256',
      `auth_file = ${join(directory, 'users')}`,
      'pool_mode = session',
      'ignore_startup_parameters = options, statement_timeout, idle_in_transaction_session_timeout',
    ];
    writeFileSync(join(directory, 'pgbouncer.ini'), `${settings.join('\n')}\n`);
    // It refuses to run as root.
    const asNobody = process.geteuid?.() === 0 ? ['--reuid=65534', '--regid=65534', '--clear-groups'] : [];
    pooler = spawn('setpriv', [...asNobody, '--pdeathsig', 'INT', program, '-q', join(directory, 'pgbouncer.ini')], { stdio: 'ignore' });
    await waitFor(() => takesConnections(port), { what: 'the pooler' });
  });
  afterAll(async () => {
    const ended = once(pooler, 'exit');
    pooler.kill('SIGTERM');
    await ended;
    rmSync(directory, { recursive: true, force: true });
  });

  test('a session without its role is refused, and with the role as the default of its login it is not', async () => {
    const refused = connect(through(memberUrl), 'millrace_query');
    await expect(refused).rejects.toThrow(RoleRefused);
    await expect(refused).rejects.toThrow(
      `The session of the login ${member} has the role ${member} instead of millrace_query: something between here and Postgres, such as a pooler, drops start-up options.`,
    );
    const remedy = `ALTER ROLE "${member}" SET role = 'millrace_query'`;
    await expect(refused).rejects.toThrow(remedy);
    const admin = new Client({ connectionString: fresh.administratorUrl });
    await admin.connect();
    await admin.query(remedy);
    await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', [member]); // the pooler keeps its session
    await admin.end();
    const session = await waitFor(() => connect(through(memberUrl), 'millrace_query').catch(() => undefined), { what: 'a new session' });
    expect(session).toEqual([{ login: member, role: 'millrace_query' }]);
  });

  test('the logins that are the roles need nothing', async () => {
    expect(await connect(through(fresh.url))).toEqual([{ login: 'millrace_service', role: 'millrace_service' }]);
    expect(await connect(through(fresh.queryUrl), 'millrace_query')).toEqual([{ login: 'millrace_query', role: 'millrace_query' }]);
  });
});
