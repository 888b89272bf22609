import { Worker } from 'node:worker_threads';

/**
 * Added to the time of an evaluation before its process ends: within it JSONata's own check ends what it can, and the process goes on. Longer than a
 * pause of the garbage collector.
 */
const graceMs = 100;

/**
 * Limits the processor time of one evaluation after the other. A process that others keep from running uses none, so the load of the machine fails
 * nothing. A thread of its own looks at the time where the evaluation never comes to an end of a step, and ends the process.
 */
export class ProcessorTime {
  /** The processor time of this process, in µs, at which it ends; 0 while nothing is evaluated. The watch reads it. */
  private readonly endAt = new BigInt64Array(new SharedArrayBuffer(8));
  private limitMs = 0;
  private startedAt = 0;
  private usedAtStart = 0;
  private waitedMs = 0;
  private nextLookAt = 0;

  constructor() {
    new Worker(new URL('./processor-time.watch.js', import.meta.url), { workerData: this.endAt }).unref();
  }

  start(limitMs: number): void {
    this.limitMs = limitMs;
    this.startedAt = performance.now();
    this.usedAtStart = usedMs();
    this.waitedMs = 0;
    this.nextLookAt = this.startedAt + limitMs;
    Atomics.store(this.endAt, 0, BigInt(Math.ceil((this.usedAtStart + limitMs + graceMs) * 1_000)));
    Atomics.notify(this.endAt, 0);
  }

  /** Returns the processor time that the evaluation took, ms. */
  stop(): number {
    Atomics.store(this.endAt, 0, 0n);
    return usedMs() - this.usedAtStart;
  }

  /** The time by the clock, since the start, at which the limit is reached if the process runs without a pause from now on. */
  allowedMs(): number {
    const now = performance.now();
    if (now >= this.nextLookAt) {
      const used = usedMs() - this.usedAtStart;
      this.waitedMs = Math.max(now - this.startedAt - used, 0);
      this.nextLookAt = now + Math.max(this.limitMs - used, 1);
    }
    return this.limitMs + this.waitedMs;
  }
}

function usedMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}
