import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** What the demo, the CLI and a curious newcomer need to knock at the doors; in `credentials.json`, readable by its owner only. */
export interface Credentials {
  url: string;
  tenant: string;
  apiKey: string;
  operatorKey: string;
  /** The signing secret of each sample source and destination, by name. */
  secrets: Record<string, string>;
}

/** Another process works on the same data. */
export class AlreadyRunning extends Error {
  constructor(pid: number, url: string, path: string) {
    super(`Millrace already runs on ${path}: ${url} (process ${pid}). Stop it with Ctrl-C where it runs, or with: kill ${pid}`);
    this.name = 'AlreadyRunning';
  }
}

/** The folder is another user's: what this process would write there, its owner could not read again. */
export class OwnedByAnother extends Error {
  constructor(path: string, uid: number) {
    super(`${path} belongs to another user (uid ${uid}). Start as that user, or use another folder: MILLRACE_DIRECTORY=… npm start`);
    this.name = 'OwnedByAnother';
  }
}

/** The folder that holds everything the one-process form keeps: Postgres, the log, keys. Only its owner may enter, and one process at a time owns it. */
export class DataDirectory {
  readonly path: string;

  /** @throws OwnedByAnother root included: it could, but the folder would be of no use to its owner any more */
  constructor(path: string) {
    this.path = resolve(path);
    mkdirSync(this.path, { recursive: true, mode: 0o700 });
    const { uid } = statSync(this.path);
    if (process.geteuid !== undefined && uid !== process.geteuid()) throw new OwnedByAnother(this.path, uid);
  }

  get postgres(): string {
    return join(this.path, 'postgres');
  }

  get log(): string {
    return join(this.path, 'log');
  }

  /** @throws AlreadyRunning while the process that took it before lives */
  lock(url: string): void {
    const path = join(this.path, 'lock.json');
    const owner = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as { pid: number; started: string; url: string }) : undefined;
    if (owner !== undefined && owner.pid !== process.pid && startOf(owner.pid) === owner.started) {
      throw new AlreadyRunning(owner.pid, owner.url, this.path);
    }
    rmSync(path, { force: true });
    const file = openSync(path, 'wx'); // of two that start at once, one fails here
    writeSync(file, JSON.stringify({ pid: process.pid, started: startOf(process.pid), url }));
    closeSync(file);
  }

  unlock(): void {
    rmSync(join(this.path, 'lock.json'), { force: true });
  }

  /** A key that is made once and kept; 32 bytes. */
  key(name: string): Buffer {
    const path = join(this.path, `${name}.key`);
    if (!existsSync(path)) writePrivately(path, randomBytes(32).toString('base64'));
    return Buffer.from(readFileSync(path, 'utf8'), 'base64');
  }

  credentials(): Credentials | undefined {
    const path = join(this.path, 'credentials.json');
    return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Credentials) : undefined;
  }

  saveCredentials(credentials: Credentials): void {
    writePrivately(join(this.path, 'credentials.json'), `${JSON.stringify(credentials, null, 2)}\n`);
  }
}

/** Written whole or not at all, so that a crash in between leaves the old one. */
function writePrivately(path: string, content: string): void {
  writeFileSync(`${path}.new`, content, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
}

/**
 * When a process began, as its kernel tells it, so that a process id used again by another program is not taken for ours. Where there is no
 * /proc, the id alone has to do. Undefined: no such process.
 */
function startOf(pid: number): string | undefined {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return undefined;
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]; // field 22, starttime, proc_pid_stat(5)
  } catch {
    return 'running';
  }
}
