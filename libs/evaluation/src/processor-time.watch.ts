import { workerData } from 'node:worker_threads';
import { timeUsedUp } from './evaluation-messages.js';

// A thread of the process that evaluates expressions. It ends the process when its time is used up, and soon after its parent has ended, whatever the
// main thread is doing.

const endAt = workerData as BigInt64Array;
const parent = process.ppid;
/** How often the parent is looked for, in ms. */
const lookMs = 1_000;
const pause = new Int32Array(new SharedArrayBuffer(4));

for (;;) {
  if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL');
  const end = Number(Atomics.load(endAt, 0));
  if (end === 0) {
    Atomics.wait(endAt, 0, 0n, lookMs);
    continue;
  }
  const { user, system } = process.cpuUsage();
  const leftMs = (end - user - system) / 1_000;
  if (leftMs <= 0) process.kill(process.pid, timeUsedUp);
  // The next evaluation does not end this pause: its end is later than the one that the pause is for.
  Atomics.wait(pause, 0, 0, Math.min(Math.max(leftMs, 5), lookMs));
}
