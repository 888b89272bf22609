import type { LoggerService } from '@nestjs/common';
import { logger } from '#libs/tracing';

const log = logger('nest');

/** Writes Nest's own messages to the log. Its messages about the start have level `debug`. */
export class NestLog implements LoggerService {
  log(message: unknown, context?: unknown): void {
    log.debug({ context }, String(message));
  }
  debug(message: unknown, context?: unknown): void {
    log.debug({ context }, String(message));
  }
  verbose(message: unknown, context?: unknown): void {
    log.debug({ context }, String(message));
  }
  warn(message: unknown, context?: unknown): void {
    log.warn({ context }, String(message));
  }
  error(message: unknown, stack?: unknown): void {
    log.error({ stack }, String(message));
  }
  fatal(message: unknown, stack?: unknown): void {
    log.fatal({ stack }, String(message));
  }
}
