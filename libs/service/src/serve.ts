import { messageOf } from '#libs/contracts';
import { readSettings } from '#libs/config';
import type { Settings, SettingsTable } from '#libs/config';
import { collectProcessMetrics, logger, setLogLevel, startTracing } from '#libs/tracing';
import type { Tracing } from '#libs/tracing';
import type { processSettings } from './service.settings.js';
import { start } from './start.js';
import type { Composition } from './start.js';

/**
 * The whole of a service's `main.ts`: reads its settings, starts tracing and the service, and stops it on SIGTERM and SIGINT.
 * A start that fails prints why, in words for whoever runs it, and ends with status 1.
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

/** Sets up what a process is observed by: its log's level, its metrics, its traces. */
export function observe(service: string, settings: Settings<typeof processSettings>): Tracing {
  setLogLevel(settings.logLevel);
  collectProcessMetrics();
  return startTracing({ service: `millrace-${service}`, otlpUrl: settings.otlpUrl, sampleRatio: settings.traceSamplePercent / 100 });
}

/**
 * Starts something that a stop signal stops, also while it starts: then this never settles, and the process ends.
 * @throws what the start throws
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

/** One Ctrl-C comes twice where npm runs the process: from the terminal, and passed on by npm. */
const echoMs = 500;

/** Runs `stop` once on the first SIGTERM or SIGINT, then ends the process: 0 when it stopped in time, else 1. A later signal ends it at once. */
export function onStopSignal(stop: () => Promise<void>, timeoutMs: number): void {
  let stoppingSince: number | undefined;
  const handle = (): void => {
    if (stoppingSince !== undefined) {
      if (performance.now() - stoppingSince > echoMs) process.exit(1);
      return;
    }
    stoppingSince = performance.now();
    setTimeout(() => {
      logger('process').error({ timeoutMs }, 'the stop takes too long; the process ends as it is, and what was under way is done again');
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
