import { startTimer } from '#libs/time';
import { logger } from '#libs/tracing';

/**
 * Starts something that is stopped by SIGTERM or SIGINT. If the signal arrives during the start, the promise never settles and the process ends.
 * @param begin its signal is aborted when the process has to stop
 * @param options.timeoutMs the longest that a stop may take
 * @param options.afterwards runs after the stop
 * @throws the errors of `begin`
 */
export async function runUntilStopped<T extends { stop(options: { isUrgent: boolean }): Promise<void> }>(
  begin: (stopping: AbortSignal) => Promise<T>,
  { timeoutMs, onStop, afterwards }: { timeoutMs: number; onStop: () => void; afterwards: () => Promise<void> },
): Promise<T> {
  const stopping = new AbortController();
  const beginning = begin(stopping.signal);
  onStopSignal(async (signal) => {
    onStop();
    stopping.abort(new Error('The process stops'));
    const running = await beginning.catch(() => undefined);
    await running?.stop({ isUrgent: signal === 'SIGINT' }); // somebody at a terminal waits for it
    await afterwards();
  }, timeoutMs);
  return beginning.catch((error: unknown) => {
    if (!stopping.signal.aborted) throw error;
    return new Promise<never>(() => undefined);
  });
}

/** A second signal within this time is the same Ctrl-C: under npm it arrives from the terminal and again from npm. */
const echoMs = 500;

/** Runs `stop` on the first SIGTERM or SIGINT, then ends the process: status 0 if it stopped in time, else 1. A second signal ends it at once. */
export function onStopSignal(stop: (signal: NodeJS.Signals) => Promise<void>, timeoutMs: number): void {
  let stoppingSince: number | undefined;
  const handle = (signal: NodeJS.Signals): void => {
    if (stoppingSince !== undefined) {
      if (performance.now() - stoppingSince > echoMs) process.exit(1);
      return;
    }
    stoppingSince = performance.now();
    startTimer(() => {
      logger('process').error(
        { timeoutMs },
        'the stop takes too long; the process ends now, and unfinished work is repeated after the restart',
      );
      process.exit(1);
    }, timeoutMs).unref();
    stop(signal).then(
      () => process.exit(0),
      (error: unknown) => {
        logger('process').error({ err: error }, 'the stop failed');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', handle);
  process.on('SIGINT', handle);
}
