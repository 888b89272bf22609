import { join } from 'node:path';
import { FolderInUse, lockFolder } from '#libs/locks';
import type { FolderLock } from '#libs/locks';

/** Another broker writes to the directory. Two brokers would destroy the log. */
export class DirectoryInUse extends Error {
  constructor(directory: string, pid: number, file: string, cause: unknown) {
    super(
      `The log in ${directory} is in use by process ${pid}. Stop that one, or give this one another directory. ` +
        `If process ${pid} is no local broker, delete ${file}.`,
      { cause },
    );
  }
}

/** @throws DirectoryInUse */
export function lockDirectory(directory: string): FolderLock {
  const file = join(directory, 'lock');
  try {
    return lockFolder(directory, file);
  } catch (error) {
    throw error instanceof FolderInUse ? new DirectoryInUse(directory, error.pid, file, error) : error;
  }
}
