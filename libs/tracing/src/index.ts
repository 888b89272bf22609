export { SpanKind } from '@opentelemetry/api';
export type { Span } from '@opentelemetry/api';
export { activeSpan, currentTraceparent, failSpan, inSpan, recordedTraceId, startSpan, startTracing, traceIdOf } from './tracing.js';
export type { SpanOptions, Tracing } from './tracing.js';
export {
  collectProcessMetrics,
  counter,
  durationBucketsToAnHour,
  exposition,
  gauge,
  histogram,
  metricDescriptions,
  registry,
  startAtZero,
} from './metrics.js';
export type { MetricDescription } from './metrics.js';
export { noteCertificate } from './certificates.js';
export { logLevels, logger, nameLogWriter, setLogLevel, workDone } from './log.js';
export type { Log, LogLevel, Work } from './log.js';
