import { messageOf } from '#libs/contracts';
import { readSettings } from '#libs/config';
import type { Settings, SettingsTable } from '#libs/config';
import { observe, runUntilStopped } from '#libs/process';
import type { processSettings } from '#libs/process';
import { logger } from '#libs/tracing';
import type { httpSettings } from './service.settings.js';
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
    const tracing = await observe(service, settings as unknown as Settings<typeof processSettings>);
    const { operationsKey } = settings as Partial<Settings<typeof httpSettings>>;
    const running = await runUntilStopped((stopping) => start({ service, operationsKey, ...compose(settings) }, stopping), {
      timeoutMs: (settings as unknown as Settings<typeof processSettings>).stopTimeoutMs,
      onStop: () => log.info(`${service} stops`),
      afterwards: () => tracing.shutdown(),
    });
    log.info({ url: running.url, operationsUrl: running.operationsUrl, pid: process.pid }, `${service} is ready`);
  } catch (error) {
    reportFailedStart(service, error);
    process.exit(1);
  }
}

function reportFailedStart(service: string, error: unknown): void {
  const message = messageOf(error);
  process.stderr.write(`${service} did not start: ${message}\n`);
  logger(service).debug({ err: error }, 'start failed');
}
