import { readFileSync, readdirSync } from 'node:fs';

/** A tick is 10 ms: proc_pid_stat(5). */
const tickMs = 10;

/** Times are user and system time in ms. */
interface ProcessStat {
  readonly parent: number;
  readonly ownMs: number;
  /** Time of its children that have ended. */
  readonly endedMs: number;
}

/** @throws Error if the process is gone */
function statOf(pid: number): ProcessStat {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  return { parent: fields[1]!, ownMs: (fields[11]! + fields[12]!) * tickMs, endedMs: (fields[13]! + fields[14]!) * tickMs };
}

function findStat(pid: number): ProcessStat | undefined {
  try {
    return statOf(pid);
  } catch {
    return undefined;
  }
}

/** User and system time of a process without its children, in ms. @throws Error if it is gone */
export function cpuMs(pid: number): number {
  return statOf(pid).ownMs;
}

/**
 * Memory of a process and its children in MiB. Pages that several processes share are divided among them (proportional set size, `smaps_rollup`).
 * 0 if it is gone.
 */
export function memoryMiB(pid: number | undefined): number {
  if (pid === undefined) return 0;
  return [pid, ...childrenOf(pid)].reduce((sum, one) => sum + ownMemoryMiB(one), 0);
}

function ownMemoryMiB(pid: number): number {
  try {
    return Number(/^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) / 1_024;
  } catch {
    return 0;
  }
}

function childrenOf(parent: number): number[] {
  const pids = readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0);
  return pids.filter((pid) => findStat(pid)?.parent === parent);
}

/** User and system time in ms of a process and its children, including those that have ended. 0 if it is gone. */
export function cpuMsWithChildren(pid: number | undefined): number {
  const own = pid === undefined ? undefined : findStat(pid);
  if (own === undefined) return 0;
  const children = childrenOf(pid!).map(findStat);
  return own.ownMs + own.endedMs + children.reduce((sum, child) => sum + (child?.ownMs ?? 0), 0);
}
