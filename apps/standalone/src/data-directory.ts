import { randomBytes } from 'node:crypto';
import { accessSync, chmodSync, constants, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseStoredJson } from '#libs/json';
import { FolderInUse, lockFolder } from '#libs/locks';
import type { FolderLock } from '#libs/locks';
import type { SampleSystemPorts } from './sample-systems/sample-systems.js';

/** The contents of `credentials.json` for the demo, the CLI and a newcomer. Readable by its owner only. */
export interface SampleCredentials {
  url: string;
  tenant: string;
  apiKey: string;
  operatorKey: string;
  /** The signing secret of each sample source and destination, by name; `systems` is the token of the sample systems. */
  secrets: Record<string, string>;
  /** The ports of the sample systems. Missing until a start of a release that has them. */
  systems?: SampleSystemPorts;
}

/** Another process uses the data directory. */
export class AlreadyRunning extends Error {
  constructor(pid: number, url: string, path: string) {
    super(`Millrace already runs on ${path}: ${url} (process ${pid}). Stop it with Ctrl-C where it runs, or with: kill ${pid}`);
    this.name = 'AlreadyRunning';
  }
}

/** The folder belongs to another user, who could not read what this process would write there. */
export class OwnedByAnother extends Error {
  constructor(path: string, uid: number) {
    super(`${path} belongs to another user (uid ${uid}). Start as that user, or use another folder: MILLRACE_DIRECTORY=… npm start`);
    this.name = 'OwnedByAnother';
  }
}

/** The data directory cannot be created, is not a folder, or cannot be written to. */
export class DataDirectoryUnusable extends Error {
  constructor(path: string, cause: NodeJS.ErrnoException) {
    const isFile = cause.code === 'EEXIST' || cause.code === 'ENOTDIR';
    const what = isFile ? 'or a part of that path is a file, and the data needs a folder' : `cannot be written to (${cause.code})`;
    super(`${path} ${what}. Use another folder: MILLRACE_DIRECTORY=… npm start`, { cause });
    this.name = 'DataDirectoryUnusable';
  }
}

/** The folder with all data of the one-process form: Postgres, the log, keys. Only its owner may enter, and one process at a time uses it. */
export class DataDirectory {
  readonly path: string;
  private folderLock: FolderLock | undefined;

  /** @throws DataDirectoryUnusable, OwnedByAnother root included: it could, but the folder would be of no use to its owner any more */
  constructor(path: string) {
    this.path = resolve(path);
    try {
      makeFolder(this.path);
    } catch (error) {
      throw new DataDirectoryUnusable(this.path, error as NodeJS.ErrnoException);
    }
    const { uid, mode } = statSync(this.path);
    if (process.geteuid !== undefined && uid !== process.geteuid()) throw new OwnedByAnother(this.path, uid);
    try {
      if ((mode & 0o077) !== 0) chmodSync(this.path, 0o700); // one that was there before, such as a mounted volume
      accessSync(this.path, constants.W_OK | constants.X_OK);
    } catch (error) {
      throw new DataDirectoryUnusable(this.path, error as NodeJS.ErrnoException);
    }
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

  /** A random key of 32 bytes, generated at the first call and kept. */
  key(name: string): Buffer {
    const path = join(this.path, `${name}.key`);
    if (!existsSync(path)) writePrivately(path, randomBytes(32).toString('base64'));
    return Buffer.from(readFileSync(path, 'utf8'), 'base64');
  }

  credentials(): SampleCredentials | undefined {
    const path = join(this.path, 'credentials.json');
    return existsSync(path) ? (parseStoredJson(readFileSync(path, 'utf8')) as unknown as SampleCredentials) : undefined;
  }

  saveCredentials(credentials: SampleCredentials): void {
    writePrivately(join(this.path, 'credentials.json'), `${JSON.stringify(credentials, null, 2)}\n`);
  }
}

/** Replaces the file atomically, so that a crash leaves either the old content or the new one. */
function writePrivately(path: string, content: string): void {
  writeFileSync(`${path}.new`, content, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
}

/**
 * Makes the folder and its missing parents. The recursive `mkdirSync` of Node never returns where a file system refuses new entries with ENOENT, as
 * /proc does.
 */
function makeFolder(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  const parent = dirname(path);
  if (!existsSync(parent)) makeFolder(parent);
  mkdirSync(path, { mode: 0o700 });
}
