import { setLogLevel } from '#libs/tracing';
import type { LogLevel } from '#libs/tracing';

/** A run writes a hundred thousand lines of one record each otherwise. `TEST_LOG_LEVEL=info` shows them. */
setLogLevel((process.env['TEST_LOG_LEVEL'] ?? 'warn') as LogLevel);
