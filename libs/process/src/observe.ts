import type { Settings } from '#libs/config';
import { collectProcessMetrics, gauge, logger, nameLogWriter, setLogLevel, startTracing } from '#libs/tracing';
import type { Tracing } from '#libs/tracing';
import { logConsole } from './console-log.js';
import type { processSettings } from './process.settings.js';
import { releaseVersion } from './release.js';

const build = gauge('millrace_build_info', '1, with the build that runs.', {
  version: 'the version of Millrace',
  revision: 'the commit that it was built from, or unknown',
});

/** A reader of the output that goes away (`| head`, a log collector that is restarted) costs the lines that it would have read, not the process. */
function outliveReaders(): void {
  for (const output of [process.stdout, process.stderr]) output.on('error', () => undefined);
}

/** Sets the log level of the process and starts its metrics and tracing. Call it once, first. */
export async function observe(service: string, settings: Settings<typeof processSettings>): Promise<Tracing> {
  outliveReaders();
  setLogLevel(settings.logLevel);
  const version = releaseVersion();
  nameLogWriter({ service, version });
  logConsole(logger('console'));
  collectProcessMetrics();
  build.set({ version, revision: settings.revision }, 1);
  return startTracing({ service: `millrace-${service}`, otlpUrl: settings.otlpUrl, sampleRatio: settings.traceSamplePercent / 100 });
}
