import type { Settings } from '#libs/config';
import { collectProcessMetrics, setLogLevel, startTracing } from '#libs/tracing';
import type { Tracing } from '#libs/tracing';
import type { processSettings } from './process.settings.js';

/** Sets the log level of the process and starts its metrics and tracing. */
export function observe(service: string, settings: Settings<typeof processSettings>): Tracing {
  setLogLevel(settings.logLevel);
  collectProcessMetrics();
  return startTracing({ service: `millrace-${service}`, otlpUrl: settings.otlpUrl, sampleRatio: settings.traceSamplePercent / 100 });
}
