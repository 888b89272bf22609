import { DomainError } from '#libs/contracts';
import { sleep } from '#libs/time';
import { logger } from '#libs/tracing';
import type { Readiness } from './readiness.js';

const betweenTriesMs = 500;
/** Interval between two log lines about the same part. */
const logEveryMs = 10_000;

const log = logger('process');

/** Waits during the start for a dependency that is away or not ready, such as a schema that is not migrated. A process that ended instead would only be restarted into the same outage. */
export class StartWait {
  /** @param stopping aborted when the process has to stop */
  constructor(
    private readonly readiness: Readiness,
    private readonly stopping: AbortSignal,
  ) {}

  /**
   * Calls `connect` every 500 ms until it succeeds. Meanwhile `/readyz` reports the reason, and so does a log line every 10 s.
   * Never settles after the process was told to stop.
   * @throws every error of `connect` other than a failure with the outcome `retry`
   */
  async for<T>(part: string, connect: () => Promise<T>): Promise<T> {
    let reason = 'not connected yet';
    let loggedAt = -Infinity;
    this.readiness.register(part, () => {
      throw new Error(reason);
    });
    while (!this.stopping.aborted) {
      try {
        const connected = await connect();
        this.readiness.withdraw(part);
        return connected;
      } catch (error) {
        if (!isTransient(error)) throw error;
        reason = error.message;
      }
      if (performance.now() - loggedAt >= logEveryMs) {
        loggedAt = performance.now();
        log.warn({ part, reason }, 'the start waits for a dependency');
      }
      await sleep(betweenTriesMs);
    }
    return new Promise<never>(() => undefined);
  }
}

/** Settles as `work` does; rejects with the signal's reason if it is aborted first. The work itself is not cancelled. */
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

function isTransient(error: unknown): error is DomainError {
  return error instanceof DomainError && error.outcome === 'retry';
}
