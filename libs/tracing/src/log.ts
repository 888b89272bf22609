import { pino } from 'pino';
import type { Logger } from 'pino';
import { currentTraceparent, traceIdOf } from './tracing.js';

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
    const traceId = traceIdOf(currentTraceparent());
    return traceId === null ? {} : { traceId };
  },
  redact: { paths: ['*.authorization', '*.secret', '*.secrets', '*.apiKey', '*.key'], censor: '[redacted]' },
});

const made = new Set<Logger>();

/** A component's log; its lines carry the component's name. */
export function logger(component: string): Log {
  const log = root.child({ component });
  made.add(log);
  return log;
}

/** Sets the level of every log of the process, those already made included. */
export function setLogLevel(level: LogLevel): void {
  root.level = level;
  for (const log of made) log.level = level;
}

/** How a unit of work ended. */
export interface Work {
  /** `ok`, or the failure's code. */
  outcome: string;
  durationMs: number;
  [field: string]: unknown;
}

/**
 * The canonical line of a unit of work: emitted once, when it is over, with everything one would grep for (ids, outcome, attempt, duration).
 * What ended well is `info`, what did not is `warn`.
 */
export function workDone(log: Log, unit: string, work: Work): void {
  const line = { unit, ...work, durationMs: Math.round(work.durationMs * 10) / 10 };
  if (work.outcome === 'ok') log.info(line, unit);
  else log.warn(line, unit);
}
