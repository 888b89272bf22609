import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chown, mkdir, open, readFile, readdir, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { Client, escapeLiteral } from 'pg';
import { identityOf, isAlive, lockFolder } from '#libs/locks';
import type { FolderLock } from '#libs/locks';
import { freePort } from '#libs/ports';
import { sleep, startTimer } from '#libs/time';
import { logger } from '#libs/tracing';
import { findInstallation, installationIn, majorVersionOf } from './installation.js';
import type { Installation } from './installation.js';
import { commandOf } from './processes.js';
import { findRunner } from './unprivileged.js';
import type { Runner } from './unprivileged.js';

const execute = promisify(execFile);

export interface EmbeddedPostgresOptions {
  /** The folder of the data, the password, the port and the server's log. Created when it does not exist. */
  directory: string;
  /** False only for tests: without fsync it is about twice as fast, and a crash of the machine loses data. */
  durable: boolean;
  /** Default: the port of the last start when it is free, otherwise a free one. */
  port?: number;
  /** Folder of the programs, such as `/usr/lib/postgresql/15/bin`, to test with another version. Default: npm's binaries. */
  programs?: string;
  /** True only for tests: a standby, which takes no writes until it is promoted. The folder is a copy of one that was stopped. */
  isStandby?: boolean;
}

/** The superuser that `initdb` makes, and the name of the database. */
const administrator = 'millrace';
/** The owner of the database, which migrates it. */
const ownerLogin = 'millrace_owner';
/** The logins of the services and of what callers read: the roles that row-level security knows, so that a session needs no other. */
const roles = ['millrace_service', 'millrace_query'];
const host = '127.0.0.1';
/** Long enough for recovery after a crash; the first start takes about a second. */
const startDeadlineMs = 120_000;
const stopDeadlineMs = 15_000;
/** The first pause between two attempts to start a server again; each later one is twice as long. */
const firstRestartPauseMs = 250;
const maxRestartPauseMs = 10_000;

const log = logger('embedded-postgres');

/** Settings for a small machine. It listens on loopback only, without a socket file, which would need a short path. */
const settings = [
  `listen_addresses=${host}`,
  'unix_socket_directories=',
  'max_connections=200',
  'max_wal_size=256MB',
  'log_min_messages=warning',
  'log_timezone=UTC',
  'timezone=UTC',
];
/**
 * A plan made while a table was empty reads the whole table until its statistics are updated. With the default of one minute, a busy start made
 * each start of runs many times as expensive. Not used in tests: autovacuum visits every database in that time, and tests have many.
 */
const forLongUse = ['autovacuum_naptime=5s'];
const withoutDurability = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off'];

/**
 * A real Postgres from npm's binaries, for standalone and the tests. A server that ends by itself (a full disk, a crash, somebody's kill) is started
 * again at the same address until it runs. It belongs to the process that starts it: `stop` and `process.exit` end it, on Linux the kernel ends it when the parent is killed, and otherwise the next start ends it.
 */
export class EmbeddedPostgres {
  private readonly stopping = new AbortController();
  private restarting: Promise<void> | undefined;

  private constructor(
    /** Address of the superuser, for what nobody else may do. No service takes it. */
    readonly administratorUrl: string,
    private server: ChildProcess,
    private readonly startOptions: StartOptions,
    private readonly lock: FolderLock,
  ) {
    this.keepRunning(server);
  }

  /**
   * Resolves when the server accepts connections.
   * @throws FolderInUse when another process uses the folder
   * @throws Error with the server's output when it does not start
   */
  static async start(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
    await mkdir(options.directory, { recursive: true });
    const files = filesIn(await realpath(options.directory));
    const lock = lockFolder(options.directory, files.lock);
    try {
      const installation = options.programs === undefined ? await findInstallation() : installationIn(options.programs);
      const runner = await findRunner(installation.postgres);
      await endOrphan(files.data);
      if (!existsSync(files.data)) await initialize(installation, runner, files, options.durable);
      const { durable, isStandby = false } = options;
      if (isStandby) await writeFile(path.join(files.data, 'standby.signal'), '');
      await own(files.data, runner);
      const start = { installation, runner, files, durable, isStandby };
      const { server, port } = await launch(start, await portsFor(options, files));
      const postgres = new EmbeddedPostgres(await addressOf(files, port, administrator), server, { ...start, port }, lock);
      process.once('exit', postgres.atExit);
      return postgres;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** Address of the login that migrates. */
  get ownerUrl(): string {
    return withLogin(this.administratorUrl, ownerLogin);
  }

  /** Address of the login of the services. */
  get serviceUrl(): string {
    return withLogin(this.administratorUrl, 'millrace_service');
  }

  /** Address of the login for what callers read and write. */
  get queryUrl(): string {
    return withLogin(this.administratorUrl, 'millrace_query');
  }

  /** A fast shutdown: open transactions are rolled back, and everything committed is on disk when it resolves. */
  async stop(): Promise<void> {
    process.off('exit', this.atExit);
    this.stopping.abort();
    await this.restarting;
    await end(this.server);
    this.lock.release();
  }

  private keepRunning(server: ChildProcess): void {
    server.once('exit', (code, signal) => {
      if (this.stopping.signal.aborted) return;
      this.restarting = this.restart(`it ended with ${code ?? signal}`);
    });
  }

  /** Tries until the server accepts connections, or `stop` is called. Never rejects. */
  private async restart(reason: string): Promise<void> {
    const { files, port } = this.startOptions;
    const { signal } = this.stopping;
    log.error({ reason, output: await lastOutput(files) }, 'the embedded Postgres ended by itself; it is started again');
    for (let pauseMs = firstRestartPauseMs; !signal.aborted; pauseMs = Math.min(2 * pauseMs, maxRestartPauseMs)) {
      try {
        await endOrphan(files.data);
        const { server } = await launch({ ...this.startOptions, signal }, [port]);
        this.server = server;
        this.keepRunning(server);
        log.info({ port }, 'the embedded Postgres runs again');
        return;
      } catch (error) {
        if (signal.aborted) return;
        log.error({ err: error }, 'the embedded Postgres does not start; trying again');
      }
      await sleep(pauseMs, signal).catch(() => undefined);
    }
  }

  private readonly atExit = (): void => {
    this.server.kill('SIGINT');
  };
}

/** How a server is started. */
interface LaunchOptions {
  readonly installation: Installation;
  readonly runner: Runner;
  readonly files: Files;
  readonly durable: boolean;
  readonly isStandby: boolean;
  /** Breaks the start off. */
  readonly signal?: AbortSignal;
}

/** The options and the port that a restart uses again. */
interface StartOptions extends LaunchOptions {
  readonly port: number;
}

interface Files {
  data: string;
  password: string;
  port: string;
  lock: string;
  log: string;
}

function filesIn(directory: string): Files {
  const at = (name: string): string => path.join(directory, name);
  return { data: at('data'), password: at('password'), port: at('port'), lock: at('lock'), log: at('postgres.log') };
}

/** Creates the cluster in a draft folder and renames it when it is complete, so that a killed first start leaves nothing half-made. */
async function initialize(installation: Installation, runner: Runner, files: Files, durable: boolean): Promise<void> {
  const draft = `${files.data}.new`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { mode: 0o700 });
  await writeFile(files.password, randomBytes(24).toString('base64url'), { mode: 0o600 });
  await own(draft, runner);
  await own(files.password, runner);
  const [file, args] = runner.command(installation.initdb, [
    `--pgdata=${draft}`,
    `--username=${administrator}`,
    `--pwfile=${files.password}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    ...((await majorVersionOf(installation)) >= 17 ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8'] : []),
    ...(durable ? [] : ['--no-sync']),
  ]);
  await execute(file, args).catch((error: Error & { stderr: string }) => {
    throw new Error(`A new Postgres could not be created in ${draft}: ${error.stderr.trim() || error.message}`, { cause: error });
  });
  await rename(draft, files.data);
}

/** Postgres refuses a data folder that does not belong to its user. Root changes the owner; any other user gets an error. */
async function own(target: string, { owner }: Runner): Promise<void> {
  const { uid } = await stat(target);
  if (uid === (owner?.uid ?? process.geteuid?.())) return;
  if (owner === undefined) throw new Error(`${target} belongs to another user (uid ${uid}). Start as that user, or use another folder.`);
  const entries = (await stat(target)).isDirectory() ? await readdir(target, { recursive: true }) : [];
  for (const entry of entries) await chown(path.join(target, entry), owner.uid, owner.gid);
  await chown(target, owner.uid, owner.gid);
}

/**
 * Ends a server that an earlier process left behind, or removes its stale pid file. The folder's lock is ours, so the earlier process is gone.
 * The pid in a stale file may now be another program's: Postgres would mistake it for a running server, and it must not be ended.
 */
async function endOrphan(data: string): Promise<void> {
  const file = path.join(data, 'postmaster.pid');
  if (!existsSync(file)) return;
  const orphan = identityOf(Number((await readFile(file, 'utf8')).split('\n')[0]));
  const command = isAlive(orphan) ? commandOf(orphan.pid) : 'none';
  if (command === null) return; // unknown on this system: Postgres itself refuses to start when the process in the file lives
  if (!command.includes(data)) {
    await rm(file, { force: true });
    return;
  }
  log.warn({ pid: orphan.pid, command }, 'a Postgres of an earlier start still runs; it is ended');
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    process.kill(orphan.pid, signal);
    const deadline = performance.now() + stopDeadlineMs;
    while (isAlive(orphan) && performance.now() < deadline) await sleep(20);
    if (!isAlive(orphan)) return;
  }
  throw new Error(`The Postgres server ${orphan.pid} of an earlier start does not stop. End it, then start again.`);
}

interface RunningServer {
  server: ChildProcess;
  port: number;
}

/** The ports to try, in order: the one asked for, or else the remembered one and then free ones. */
async function portsFor(options: EmbeddedPostgresOptions, files: Files): Promise<number[]> {
  if (options.port !== undefined) return [options.port];
  const remembered = Number(await readFile(files.port, 'utf8').catch(() => ''));
  return [...(remembered > 0 ? [remembered] : []), await freePort(), await freePort()];
}

/** Resolves when the server accepts connections on the first of the ports that is free. */
async function launch(start: LaunchOptions, ports: number[]): Promise<RunningServer> {
  const { installation, runner, files, durable, isStandby, signal } = start;
  const [port, ...others] = ports as [number, ...number[]];
  const configuration = [`port=${port}`, ...settings, ...(durable ? forLongUse : withoutDurability)].flatMap((setting) => ['-c', setting]);
  const [file, args] = runner.command(installation.postgres, ['-D', files.data, ...configuration]);
  const url = await addressOf(files, port, 'postgres');
  const output = await open(files.log, 'w');
  // Detached, so that Ctrl-C in a terminal reaches this process alone, which then stops the server.
  const server = spawn(file, args, { stdio: ['ignore', output.fd, output.fd], detached: true });
  try {
    await acceptsConnections(server, url, signal);
    if (!isStandby) await prepare(files, port);
    await writeFile(files.port, String(port));
    return { server, port };
  } catch (cause) {
    await end(server);
    const said = await lastOutput(files);
    if (said.includes('could not create any TCP/IP sockets') && others.length > 0) return launch(start, others);
    throw new Error(`The embedded Postgres does not start on port ${port}: ${said || (cause as Error).message}`, { cause });
  } finally {
    await output.close();
  }
}

/** The last lines that the server wrote, at most 4 kB of them. */
async function lastOutput(files: Files): Promise<string> {
  return (await readFile(files.log, 'utf8').catch(() => '')).trim().slice(-4_096);
}

async function acceptsConnections(server: ChildProcess, url: string, signal: AbortSignal | undefined): Promise<void> {
  await once(server, 'spawn');
  const ended = once(server, 'exit').then(([code, killedBy]) => new Error(`it ended with ${code ?? killedBy}`));
  const deadline = performance.now() + startDeadlineMs;
  for (;;) {
    // A server that responds on this port while ours ends is somebody else's.
    const failure = await Promise.race([ended, refusalOf(url)]);
    if (failure === undefined) return;
    signal?.throwIfAborted();
    if (server.exitCode !== null || server.signalCode !== null || performance.now() > deadline) throw failure;
    await sleep(20);
  }
}

/** Undefined when the server accepts the connection, otherwise its error. */
function refusalOf(url: string): Promise<unknown> {
  return withClient(url, (client) => client.query('SELECT 1')).then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** Creates the logins and the database, or brings those of an earlier release up to date. */
async function prepare(files: Files, port: number): Promise<void> {
  const url = await addressOf(files, port, 'postgres');
  await createLogins(url, await readFile(files.password, 'utf8'));
  await createDatabase(url);
  await withClient(await addressOf(files, port, administrator), (client) => client.query(handOver));
}

/** None is a superuser. They have the password of the folder: whoever can read it may do everything anyway. */
async function createLogins(url: string, password: string): Promise<void> {
  await withClient(url, async (client) => {
    for (const login of [ownerLogin, ...roles]) {
      const { rowCount } = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [login]);
      if (rowCount === 0) await client.query(`CREATE ROLE ${login}`);
      await client.query(`ALTER ROLE ${login} LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD ${escapeLiteral(password)}`);
    }
    await client.query(`GRANT ${roles.join(', ')} TO ${ownerLogin}`);
  });
}

async function createDatabase(url: string): Promise<void> {
  await withClient(url, async (client) => {
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [administrator]);
    await client.query(
      rowCount === 0 ? `CREATE DATABASE ${administrator} OWNER ${ownerLogin}` : `ALTER DATABASE ${administrator} OWNER TO ${ownerLogin}`,
    );
  });
}

/** Folders of earlier releases have a schema that belongs to the superuser. Sequences follow their tables. */
const handOver = `DO $$ DECLARE change text; BEGIN
  FOR change IN
    SELECT format('ALTER %s %s OWNER TO ${ownerLogin}', CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, oid::regclass) FROM pg_class
      WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v') AND relowner = '${administrator}'::regrole
    UNION ALL SELECT format('ALTER ROUTINE %s OWNER TO ${ownerLogin}', oid::regprocedure) FROM pg_proc
      WHERE pronamespace = 'public'::regnamespace AND proowner = '${administrator}'::regrole
    UNION ALL SELECT format('ALTER DOMAIN %s OWNER TO ${ownerLogin}', oid::regtype) FROM pg_type
      WHERE typnamespace = 'public'::regnamespace AND typtype = 'd' AND typowner = '${administrator}'::regrole
  LOOP EXECUTE change; END LOOP; END $$`;

async function withClient(url: string, work: (client: Client) => Promise<unknown>): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined); // the statement under way fails with it
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

async function end(server: ChildProcess): Promise<void> {
  if (server.pid === undefined || server.exitCode !== null || server.signalCode !== null) return;
  const exited = once(server, 'exit');
  server.kill('SIGINT');
  const deadline = startTimer(() => server.kill('SIGQUIT'), stopDeadlineMs);
  await exited;
  clearTimeout(deadline);
}

async function addressOf(files: Files, port: number, database: string): Promise<string> {
  return `postgres://${administrator}:${await readFile(files.password, 'utf8')}@${host}:${port}/${database}`;
}

function withLogin(url: string, username: string): string {
  return Object.assign(new URL(url), { username }).href;
}
