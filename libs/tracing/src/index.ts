export { SpanKind } from '@opentelemetry/api';
export type { Span } from '@opentelemetry/api';
export { activeSpan, currentTraceparent, failSpan, inSpan, startSpan, startTracing, traceIdOf } from './tracing.js';
export type { SpanOptions, Tracing } from './tracing.js';
export { collectProcessMetrics, counter, gauge, histogram, registry } from './metrics.js';
export { logLevels, logger, setLogLevel, workDone } from './log.js';
export type { Log, LogLevel, Work } from './log.js';
