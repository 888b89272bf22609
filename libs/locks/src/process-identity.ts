import { readFileSync } from 'node:fs';
import { platform } from 'node:os';

/**
 * Identifies a process. The system reuses pids, so a process with the same pid and another start time is another process.
 * `birth` is null on systems without `/proc`; then only the pid is compared.
 */
export interface ProcessIdentity {
  readonly pid: number;
  readonly birth: string | null;
}

export function identityOf(pid: number): ProcessIdentity {
  return { pid, birth: birthOf(pid) };
}

/** False for a process that has ended, even if its parent has not collected it yet. */
export function isAlive({ pid, birth }: ProcessIdentity): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  if (platform() === 'linux') return birthOf(pid) !== null && birthOf(pid) === birth;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The start time in clock ticks since boot, field 22 of `/proc/<pid>/stat`; null for a zombie. */
function birthOf(pid: number): string | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null;
  }
  const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // the command name before it may contain spaces and brackets
  return state === 'Z' || state === 'X' ? null : (rest[18] ?? null);
}
