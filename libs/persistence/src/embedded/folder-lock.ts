import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { identityOf, isAlive } from './processes.js';
import type { ProcessIdentity } from './processes.js';

/** Another process works in this folder. It is left alone. */
export class FolderInUse extends Error {
  override readonly name = 'FolderInUse';

  constructor(
    readonly directory: string,
    readonly pid: number,
  ) {
    super(`${directory} is in use by the running process ${pid}. Stop that one first, or use another folder.`);
  }
}

export interface FolderLock {
  release(): void;
}

/**
 * Takes a folder for this process. A lock whose holder is dead is taken over, so a killed process leaves nothing to clean up by hand.
 * @param file the lock file; it names its holder
 * @throws FolderInUse
 */
export function lockFolder(directory: string, file: string): FolderLock {
  for (;;) {
    try {
      const handle = openSync(file, 'wx');
      writeSync(handle, JSON.stringify(identityOf(process.pid)));
      closeSync(handle);
      return { release: () => rmSync(file, { force: true }) };
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EACCES')
        throw new Error(`${directory} belongs to another user. Start as that user, or use another folder.`, { cause: error });
      if (code !== 'EEXIST') throw error;
    }
    const holder = holderOf(file);
    if (holder !== null && isAlive(holder)) throw new FolderInUse(directory, holder.pid);
    rmSync(file, { force: true });
  }
}

/** Null where the file is gone, or its writer died before it had written. */
function holderOf(file: string): ProcessIdentity | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as ProcessIdentity;
  } catch {
    return null;
  }
}
