import { integer, oneOf, optionalText, text } from '#libs/config';
import { logLevels } from '#libs/tracing';

/** Settings of every process: log level, traces, the time a stop may take. */
export const processSettings = {
  logLevel: oneOf('LOG_LEVEL', logLevels, { help: 'Lowest level that is written.', fallback: 'info' }),
  otlpUrl: optionalText('OTEL_EXPORTER_OTLP_ENDPOINT', { help: 'OTLP/HTTP collector that spans go to, such as http://collector:4318.' }),
  traceSamplePercent: integer(
    'TRACE_SAMPLE_PERCENT',
    { min: 0, max: 100 },
    {
      help: 'Share of new traces that are recorded; a caller’s traceparent decides for its own.',
      fallback: '100',
    },
  ),
  revision: text('MILLRACE_REVISION', {
    help: 'The commit that the build comes from, for the metric millrace_build_info. An image sets it itself.',
    fallback: 'unknown',
  }),
  stopTimeoutMs: integer(
    'STOP_TIMEOUT_MS',
    { min: 100, max: 3_600_000 },
    {
      help: 'How long a stop may take, whatever hangs, before the process ends regardless, with status 1. Shorter than the grace period of whoever stops it, which is 30 s in Kubernetes.',
      fallback: '25000',
    },
  ),
};
