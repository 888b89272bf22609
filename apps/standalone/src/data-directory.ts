import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { FolderInUse, lockFolder } from '#libs/locks';
import type { FolderLock } from '#libs/locks';

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
  private folderLock: FolderLock | undefined;

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
    try {
      this.folderLock = lockFolder(this.path, join(this.path, 'lock.json'), url);
    } catch (error) {
      throw error instanceof FolderInUse ? new AlreadyRunning(error.pid, error.note, this.path) : error;
    }
  }

  unlock(): void {
    this.folderLock?.release();
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
