import { messageOf } from '#libs/contracts';
import { readSettings } from '#libs/config';
import type { Settings, SettingsTable } from '#libs/config';
import { collectProcessMetrics, logger, setLogLevel, startTracing } from '#libs/tracing';
import type { Tracing } from '#libs/tracing';
import type { processSettings } from './service.settings.js';
import { start } from './start.js';
import type { Composition } from './start.js';

/**
 * Runs a service, called by its `main.ts`: reads the settings, starts tracing and the service, stops it on SIGTERM and SIGINT.
 * If the start fails, the reason is printed to standard error and the process ends with status 1.
 */
export async function serve<T extends SettingsTable>(
  service: string,
  table: T & typeof processSettings,
  compose: (settings: Settings<T>) => Omit<Composition, 'service'>,
): Promise<void> {
  const log = logger(service);
  try {
    const settings = readSettings<T>(service, table, process.env);
    const tracing = observe(service, settings as unknown as Settings<typeof processSettings>);
    const running = await runUntilStopped((stopping) => start({ service, ...compose(settings) }, stopping), {
      timeoutMs: (settings as unknown as Settings<typeof processSettings>).stopTimeoutMs,
      onStop: () => log.info(`${service} stops`),
      afterwards: () => tracing.shutdown(),
    });
    log.info({ url: running.url, pid: process.pid }, `${service} is ready`);
  } catch (error) {
    reportFailedStart(service, error);
    process.exit(1);
  }
}

/** Sets the log level of the process and starts its metrics and tracing. */
export function observe(service: string, settings: Settings<typeof processSettings>): Tracing {
  setLogLevel(settings.logLevel);
  collectProcessMetrics();
  return startTracing({ service: `millrace-${service}`, otlpUrl: settings.otlpUrl, sampleRatio: settings.traceSamplePercent / 100 });
}

/**
 * Starts something that is stopped by SIGTERM or SIGINT. If the signal arrives during the start, the promise never settles and the process ends.
 * @param begin its signal is aborted when the process has to stop
 * @param options.timeoutMs the longest that a stop may take
 * @param options.afterwards runs after the stop
 * @throws the errors of `begin`
 */
export async function runUntilStopped<T extends { stop(): Promise<void> }>(
  begin: (stopping: AbortSignal) => Promise<T>,
  { timeoutMs, onStop, afterwards }: { timeoutMs: number; onStop: () => void; afterwards: () => Promise<void> },
): Promise<T> {
  const stopping = new AbortController();
  const beginning = begin(stopping.signal);
  onStopSignal(async () => {
    onStop();
    stopping.abort(new Error('The process stops'));
    const running = await beginning.catch(() => undefined);
    await running?.stop();
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
export function onStopSignal(stop: () => Promise<void>, timeoutMs: number): void {
  let stoppingSince: number | undefined;
  const handle = (): void => {
    if (stoppingSince !== undefined) {
      if (performance.now() - stoppingSince > echoMs) process.exit(1);
      return;
    }
    stoppingSince = performance.now();
    setTimeout(() => {
      logger('process').error(
        { timeoutMs },
        'the stop takes too long; the process ends now, and unfinished work is repeated after the restart',
      );
      process.exit(1);
    }, timeoutMs).unref();
    stop().then(
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

function reportFailedStart(service: string, error: unknown): void {
  const message = messageOf(error);
  process.stderr.write(`${service} did not start: ${message}\n`);
  logger(service).debug({ err: error }, 'start failed');
}
