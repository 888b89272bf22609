import { setTimeout as delay } from 'node:timers/promises';
import { DomainError } from '#libs/contracts';
import { logger } from '#libs/tracing';
import type { Readiness } from './readiness.js';

const betweenTriesMs = 500;
/** Between two lines about the same part. */
const sayEveryMs = 10_000;

const log = logger('process');

/** Waits, while a process starts, for what it needs and is away: an outage is no reason to end, and ending would not mend it. */
export class StartWait {
  /** @param stopping aborted when the process is to stop, however long it would still wait */
  constructor(
    private readonly readiness: Readiness,
    private readonly stopping: AbortSignal,
  ) {}

  /**
   * Tries until it succeeds; meanwhile `/readyz`, and now and then a line of the log, say why the part is not there. Never settles once the
   * process is to stop.
   * @throws what no waiting mends
   */
  async for<T>(part: string, connect: () => Promise<T>): Promise<T> {
    let reason = 'not connected yet';
    let saidAt = -Infinity;
    this.readiness.register(part, () => {
      throw new Error(reason);
    });
    while (!this.stopping.aborted) {
      try {
        const connected = await connect();
        this.readiness.withdraw(part);
        return connected;
      } catch (error) {
        if (!isPassing(error)) throw error;
        reason = error.message;
      }
      if (performance.now() - saidAt >= sayEveryMs) {
        saidAt = performance.now();
        log.warn({ part, reason }, 'the start waits for something that is away');
      }
      await delay(betweenTriesMs);
    }
    return new Promise<never>(() => undefined);
  }
}

/** As `work`, or the signal's reason as soon as it is aborted; what becomes of the work then is not waited for. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason as Error);
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function isPassing(error: unknown): error is DomainError {
  return error instanceof DomainError && error.outcome === 'retry';
}
