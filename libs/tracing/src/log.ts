import { pino } from 'pino';
import type { Logger } from 'pino';
import { currentTraceId } from './tracing.js';

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** One JSON line per call, on standard output. */
export type Log = Logger;

const root = pino({
  base: null,
  timestamp: pino.stdTimeFunctions.isoTime,
  messageKey: 'message',
  formatters: { level: (level) => ({ level }) },
  mixin: () => {
    const traceId = currentTraceId();
    return traceId === undefined ? {} : { traceId };
  },
  redact: { paths: ['*.authorization', '*.secret', '*.secrets', '*.apiKey', '*.key'], censor: '[redacted]' },
});

const loggers = new Set<Logger>();

/** Returns the log of a component. Its lines carry the component's name. */
export function logger(component: string): Log {
  const log = root.child({ component });
  loggers.add(log);
  return log;
}

/**
 * Puts fields on every line that is written from now on, such as the service that writes. Call it once per process. They become part of the text that
 * each log writes as it is, so a line costs no more with them.
 */
export function nameLogWriter(fields: Readonly<Record<string, string>>): void {
  for (const log of [root, ...loggers]) log.setBindings(fields);
}

/** Sets the level of every log of the process, including those created before. */
export function setLogLevel(level: LogLevel): void {
  root.level = level;
  for (const log of loggers) log.level = level;
}

/** The result of a unit of work. Further fields are written as they are. */
export interface Work {
  /** `ok`, or the failure's code. */
  outcome: string;
  durationMs: number;
  [field: string]: unknown;
}

/**
 * Writes the canonical line of a unit of work. Call it once, when the work has ended, with everything worth searching for: ids, outcome, attempt,
 * duration.
 * @param details gives further fields that take time to find out; it is called only if the line is written
 * @param level default: `info` if the outcome is `ok`, else `warn`
 */
export function workDone(
  log: Log,
  unit: string,
  work: Work,
  details?: () => Readonly<Record<string, unknown>>,
  level: 'info' | 'warn' = work.outcome === 'ok' ? 'info' : 'warn',
): void {
  if (!log.isLevelEnabled(level)) return;
  log[level]({ unit, ...details?.(), ...work, durationMs: Math.round(work.durationMs * 10) / 10 }, unit);
}
