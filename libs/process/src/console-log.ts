import { format } from 'node:util';
import type { Log } from '#libs/tracing';

const levels = { debug: 'debug', log: 'info', info: 'info', warn: 'warn', error: 'error' } as const;

/** Writes to the log what libraries, and Node itself, would write to the console: every line of output is JSON. */
export function logConsole(log: Log): void {
  for (const [method, level] of Object.entries(levels)) {
    console[method as keyof typeof levels] = (...values: unknown[]) => {
      const err = values.find((value) => value instanceof Error);
      log[level](err === undefined ? {} : { err }, format(...values.filter((value) => value !== err)));
    };
  }
  process.removeAllListeners('warning'); // Node's own listener writes to standard error
  process.on('warning', (err) => log.warn({ err }, err.message));
}
