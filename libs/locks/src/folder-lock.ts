import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { identityOf, isAlive } from './process-identity.js';
import type { ProcessIdentity } from './process-identity.js';

/** Another process works in this folder. It is left alone. */
export class FolderInUse extends Error {
  override readonly name = 'FolderInUse';

  constructor(
    readonly directory: string,
    readonly pid: number,
    /** What the holder wrote of itself. */
    readonly note: string,
  ) {
    super(`${directory} is in use by the running process ${pid}. Stop that one first, or use another folder.`);
  }
}

export interface FolderLock {
  release(): void;
}

interface Holder extends ProcessIdentity {
  readonly note?: string;
}

/** The lock files of this process: where births are unknown, one that names this process and is not here was left by an earlier one. */
const held = new Set<string>();

/**
 * Takes a folder for this process. Node has no file locks, so this is a file that names its holder, which counts only while that very process
 * lives: a killed process leaves nothing to clean up by hand.
 * @param file the lock file
 * @param note what whoever finds the folder taken is told of the holder, in {@link FolderInUse}
 * @throws FolderInUse
 */
export function lockFolder(directory: string, file: string, note = ''): FolderLock {
  const key = resolve(file);
  for (;;) {
    try {
      const handle = openSync(file, 'wx');
      writeSync(handle, JSON.stringify({ ...identityOf(process.pid), note }));
      closeSync(handle);
      held.add(key);
      return {
        release: () => {
          rmSync(file, { force: true });
          held.delete(key);
        },
      };
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EACCES')
        throw new Error(`${directory} belongs to another user. Start as that user, or use another folder.`, { cause: error });
      if (code !== 'EEXIST') throw error;
    }
    const holder = holderOf(file);
    if (holder !== null && isAlive(holder) && (holder.pid !== process.pid || held.has(key))) {
      throw new FolderInUse(directory, holder.pid, holder.note ?? '');
    }
    rmSync(file, { force: true });
  }
}

/** Null where the file is gone, or its writer died before it had written. */
function holderOf(file: string): Holder | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Holder | null;
  } catch {
    return null;
  }
}
