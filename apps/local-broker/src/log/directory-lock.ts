import { readFileSync } from 'node:fs';
import { open, readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';

/** Another broker writes to the directory: two would destroy each other's log. */
export class DirectoryInUse extends Error {
  constructor(directory: string, pid: number, file: string) {
    super(
      `The log in ${directory} is in use by process ${pid}. Stop that one, or give this one another directory. ` +
        `If process ${pid} is no local broker, delete ${file}.`,
    );
  }
}

const lockedHere = new Set<string>();

/** Node has no file locks, so this is a file that names its owner, which counts only while that very process lives. */
export async function lockDirectory(directory: string): Promise<{ release(): Promise<void> }> {
  const path = resolve(directory);
  const file = join(path, 'lock');
  if (lockedHere.has(path)) throw new DirectoryInUse(directory, process.pid, file);
  lockedHere.add(path);
  try {
    await writeLock(directory, file);
  } catch (error) {
    lockedHere.delete(path);
    throw error;
  }
  return {
    release: async () => {
      await rm(file, { force: true });
      lockedHere.delete(path);
    },
  };
}

async function writeLock(directory: string, file: string): Promise<void> {
  for (;;) {
    try {
      const handle = await open(file, 'wx');
      await handle.writeFile(`${process.pid} ${startOf(process.pid) ?? ''}`);
      await handle.close();
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const [pid = '', start = ''] = (await readFile(file, 'utf8').catch(() => '')).split(' ');
    if (isAlive(Number(pid), start)) throw new DirectoryInUse(directory, Number(pid), file);
    await rm(file, { force: true });
  }
}

function isAlive(pid: number, start: string): boolean {
  // This process's own number was an earlier process's, as in a restarted container: lockedHere knows better.
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  const startNow = startOf(pid);
  return startNow === undefined || start === '' || startNow === start;
}

/** When a process started, in the kernel's ticks: tells it from a later one with the same number. Undefined where there is no /proc. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
