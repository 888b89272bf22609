import { readFileSync, readdirSync } from 'node:fs';

/** proc_pid_stat(5): ticks of 10 ms. */
const tickMs = 10;

interface Stat {
  readonly parent: number;
  readonly ownMs: number;
  /** Of its children that ended. */
  readonly endedMs: number;
}

/** @throws Error where the process is gone */
function statOf(pid: number): Stat {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  return { parent: fields[1]!, ownMs: (fields[11]! + fields[12]!) * tickMs, endedMs: (fields[13]! + fields[14]!) * tickMs };
}

function findStat(pid: number): Stat | undefined {
  try {
    return statOf(pid);
  } catch {
    return undefined;
  }
}

/** User and system time of a process alone, ms. @throws Error where it is gone */
export function cpuMs(pid: number): number {
  return statOf(pid).ownMs;
}

/** User and system time of a process and of its children, those that ended too, ms; 0 where it is gone. */
export function cpuMsWithChildren(pid: number | undefined): number {
  const own = pid === undefined ? undefined : findStat(pid);
  if (own === undefined) return 0;
  const children = readdirSync('/proc')
    .map((entry) => findStat(Number(entry)))
    .filter((stat) => stat?.parent === pid);
  return own.ownMs + own.endedMs + children.reduce((sum, child) => sum + child!.ownMs, 0);
}
