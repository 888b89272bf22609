import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { chmod, mkdir, mkdtemp, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { waitFor } from '#libs/testing';
import { FolderInUse, identityOf, isAlive } from '#libs/locks';
import type { ProcessIdentity } from '#libs/locks';
import { EmbeddedPostgres } from './index.js';
import { findInstallation } from './installation.js';
import { findRunner } from './unprivileged.js';

let directory: string;
const running: EmbeddedPostgres[] = [];
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'millrace-embedded-'));
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((postgres) => postgres.stop()));
  await rm(directory, { recursive: true, force: true });
});

async function start(options: { port?: number; directory?: string; durable?: boolean } = {}): Promise<EmbeddedPostgres> {
  const postgres = await EmbeddedPostgres.start({ directory, durable: false, ...options });
  running.push(postgres);
  return postgres;
}

async function ask<Row>({ administratorUrl: url }: { administratorUrl: string }, sql: string): Promise<Row[]> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined); // the statement under way fails with it
  await client.connect();
  try {
    return (await client.query(sql)).rows as Row[];
  } finally {
    await client.end();
  }
}

const pidFile = (): string => path.join(directory, 'data', 'postmaster.pid');
const pidOf = async (): Promise<number> => Number((await readFile(pidFile(), 'utf8')).split('\n')[0]);

test('it is a real Postgres 18, in UTF-8, that compares by code point whatever the machine’s locale', async () => {
  const [row] = await ask(
    await start(),
    `SELECT current_setting('server_version_num')::int / 10000 AS version, pg_encoding_to_char(encoding) AS encoding, datlocprovider AS provider,
       datlocale AS locale, 'Z' < 'a' AS "bytes" FROM pg_database WHERE datname = current_database()`,
  );
  expect(row).toEqual({ version: 18, encoding: 'UTF8', provider: 'b', locale: 'C.UTF-8', bytes: true });
});

test('it listens on loopback only, with a password that only its owner can read', async () => {
  const postgres = await start();
  expect(
    await ask(postgres, `SELECT current_setting('listen_addresses') AS on, current_setting('unix_socket_directories') AS sockets`),
  ).toEqual([{ on: '127.0.0.1', sockets: '' }]);
  expect((await stat(path.join(directory, 'password'))).mode & 0o777).toBe(0o600);
  const withoutPassword = Object.assign(new URL(postgres.administratorUrl), { password: 'guess' }).href;
  await expect(ask({ administratorUrl: withoutPassword }, 'SELECT 1')).rejects.toThrow('password authentication failed');
});

test('the logins of the services, of callers and of migrations are no superusers, and the last one owns the database', async () => {
  const { ownerUrl, serviceUrl, queryUrl } = await start();
  const who = `SELECT session_user AS login, rolsuper OR rolbypassrls AS unbound, pg_get_userbyid(datdba) = session_user AS owns
    FROM pg_roles, pg_database WHERE rolname = session_user AND datname = current_database()`;
  const logins = await Promise.all([ownerUrl, serviceUrl, queryUrl].map((administratorUrl) => ask({ administratorUrl }, who)));
  expect(logins.flat()).toEqual([
    { login: 'millrace_owner', unbound: false, owns: true },
    { login: 'millrace_service', unbound: false, owns: false },
    { login: 'millrace_query', unbound: false, owns: false },
  ]);
});

test('a schema that a superuser owns, as in folders of earlier releases, is handed to the owner at the next start', async () => {
  const first = await start();
  await ask(
    first,
    `CREATE DOMAIN word AS text; CREATE TABLE kept (id integer GENERATED ALWAYS AS IDENTITY, of word);
    CREATE VIEW seen AS SELECT * FROM kept; CREATE FUNCTION one() RETURNS integer LANGUAGE sql AS 'SELECT 1'`,
  );
  await first.stop();
  const owners = `SELECT DISTINCT owner::regrole::text FROM (
      SELECT relowner AS owner FROM pg_class WHERE relnamespace = 'public'::regnamespace UNION ALL
      SELECT proowner FROM pg_proc WHERE pronamespace = 'public'::regnamespace UNION ALL
      SELECT typowner FROM pg_type WHERE typnamespace = 'public'::regnamespace) AS owners`;
  expect(await ask(await start(), owners)).toEqual([{ owner: 'millrace_owner' }]);
});

test('what was written is there after a restart, at the same address', async () => {
  const first = await start();
  await ask(first, 'CREATE TABLE kept AS SELECT 42 AS answer');
  await first.stop();
  const second = await start();
  expect(second.administratorUrl).toBe(first.administratorUrl);
  expect(await ask(second, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
});

test('a second start while one runs says so, and the first goes on', async () => {
  const first = await start();
  await expect(start()).rejects.toThrow(FolderInUse);
  expect(await ask(first, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('two first starts at the same moment make one server', async () => {
  const outcomes = await Promise.allSettled([start(), start()]);
  expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  expect(await ask(running[0]!, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('where another program has taken the remembered port, it moves to a free one', async () => {
  const first = await start();
  const port = Number(new URL(first.administratorUrl).port);
  await first.stop();
  const squatter = createServer().listen(port, '127.0.0.1');
  await once(squatter, 'listening');
  const second = await start();
  expect(second.administratorUrl).not.toBe(first.administratorUrl);
  squatter.close();
});

test('a port that was asked for and is taken is an error that says what the server said', async () => {
  const squatter = createServer().listen(0, '127.0.0.1');
  await once(squatter, 'listening');
  const { port } = squatter.address() as { port: number };
  await expect(start({ port })).rejects.toThrow(/does not start on port \d+: .*Address already in use/s);
  squatter.close();
});

test('a server that refuses its data says why, and the folder is free for the next try', async () => {
  await (await start()).stop();
  const version = path.join(directory, 'data', 'PG_VERSION');
  await writeFile(version, '9\n');
  await expect(start()).rejects.toThrow(/database files are incompatible with server/);
  await writeFile(version, '18\n');
  await start();
});

describe('after a kill', () => {
  /** Like after the death of the process that started the server: its lock stays, and the server runs on. */
  async function orphan(): Promise<void> {
    await writeFile(path.join(directory, 'lock'), JSON.stringify({ pid: 4_194_303, birth: '1' }));
  }

  /** Starts a server that nobody watches. @returns its pid */
  async function leaveServer(port: string): Promise<number> {
    const { postgres } = await findInstallation();
    const data = path.join(await realpath(directory), 'data');
    const configuration = [`port=${port}`, 'listen_addresses=127.0.0.1', 'unix_socket_directories='].flatMap((setting) => ['-c', setting]);
    const [file, args] = (await findRunner(postgres)).command(postgres, ['-D', data, ...configuration]);
    return spawn(file, args, { stdio: 'ignore', detached: true }).pid!;
  }

  test('of the process, the server it left behind is stopped, and its data is there', async () => {
    const first = await start();
    await ask(first, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await first.stop();
    const left = identityOf(await leaveServer(new URL(first.administratorUrl).port));
    await waitFor(() => ask(first, 'SELECT 1'), { what: 'the server that is left behind' });
    await orphan();
    const second = await start();
    expect(isAlive(left)).toBe(false);
    expect(await ask(second, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  });

  test('of the server, committed rows are there after the next start', async () => {
    const first = await EmbeddedPostgres.start({ directory, durable: true });
    await ask(first, 'CREATE TABLE kept AS SELECT 42 AS answer');
    const server = identityOf(await pidOf());
    process.kill(server.pid, 'SIGKILL');
    await waitFor(() => !isAlive(server), { what: 'the server to die' });
    await first.stop();
    expect(await ask(await start(), 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  });

  test('a pid file that now names another program is removed, and that program is left alone', async () => {
    await (await start()).stop();
    const bystander = spawn('sleep', ['60'], { stdio: 'ignore' });
    await once(bystander, 'spawn');
    await writeFile(pidFile(), `${bystander.pid}\n${directory}/data\n`);
    await start();
    expect(bystander.exitCode ?? bystander.signalCode).toBeNull();
    bystander.kill();
  });

  test('in the middle of the first start, the next one starts over', async () => {
    await mkdir(path.join(directory, 'data.new'));
    await writeFile(path.join(directory, 'data.new', 'PG_VERSION'), '18\n');
    expect(await ask(await start(), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  test.runIf(process.platform === 'linux')('of the parent, the kernel ends the server', async () => {
    const { postgres } = await findInstallation();
    const runner = await findRunner(postgres);
    const [file, args] = runner.command('/bin/sleep', ['60']);
    const script = `const { pid } = require('node:child_process').spawn(${JSON.stringify(file)}, ${JSON.stringify(args)}, { detached: true, stdio: 'ignore' });
      setTimeout(() => console.log(pid), 300); setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const child = identityOf(Number(line.toString()));
    expect(isAlive(child)).toBe(true);
    parent.kill('SIGKILL');
    await waitFor(() => !isAlive(child), { what: 'the child to end with its parent' });
  });
});

test('it runs in a folder that only its owner may enter', async () => {
  await chmod(directory, 0o700);
  const inner = path.join(directory, 'deep', 'inside');
  const postgres = await start({ directory: inner });
  expect(await ask(postgres, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

/** The remains of an ended server get 30 seconds to end before the next one starts. */
const restartDeadlineMs = 50_000;

describe('a server that ends by itself', () => {
  const answer = (postgres: EmbeddedPostgres) => () => ask<{ answer: number }>(postgres, 'SELECT answer FROM kept');
  const ends = async (server: ProcessIdentity): Promise<void> => {
    process.kill(server.pid, 'SIGKILL');
    await waitFor(() => !isAlive(server), { what: 'the server to die' });
  };

  test('is started again at its address, with what was committed, as often as that happens', async () => {
    const postgres = await start({ durable: true });
    await ask(postgres, 'CREATE TABLE kept AS SELECT 42 AS answer');
    for (let times = 0; times < 2; times += 1) {
      await ends(identityOf(await pidOf()));
      expect(await waitFor(answer(postgres), { what: 'the next server', deadlineMs: restartDeadlineMs })).toEqual([{ answer: 42 }]);
    }
  }, 120_000);

  test('and cannot start again is tried until what prevents it is gone', async () => {
    const postgres = await start({ durable: true });
    await ask(postgres, 'CREATE TABLE kept AS SELECT 42 AS answer');
    const version = path.join(directory, 'data', 'PG_VERSION');
    await writeFile(version, '9\n');
    await ends(identityOf(await pidOf()));
    const log = path.join(directory, 'postgres.log');
    await waitFor(async () => (await readFile(log, 'utf8')).includes('incompatible'), { what: 'a refused start' });
    await writeFile(version, '18\n');
    expect(await waitFor(answer(postgres), { what: 'the next server', deadlineMs: restartDeadlineMs })).toEqual([{ answer: 42 }]);
  });

  test('is not started again once it was stopped, also in the middle of an attempt', async () => {
    const postgres = await start();
    await ends(identityOf(await pidOf()));
    await postgres.stop();
    await expect(ask(postgres, 'SELECT 1')).rejects.toThrow('ECONNREFUSED');
    expect(await ask(await start(), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });
});
