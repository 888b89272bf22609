import { Kafka, logLevel } from 'kafkajs';
import type { LogEntry, RetryOptions } from 'kafkajs';
import { logger } from '#libs/tracing';
import './kafkajs-repairs.js';

/** Where the log is, and under which name this process appears in its quotas and logs. */
export interface LogOptions {
  /** Bootstrap addresses, `host:port`. */
  brokers: readonly string[];
  clientId: string;
}

interface ClientOptions extends LogOptions {
  /** How long a broker may take over one request, ms. */
  requestTimeoutMs: number;
  retry: RetryOptions;
}

const log = logger('kafkajs');

/** RecordProducer bounds its retries on purpose: it takes a new producer id whenever it gives a batch up. */
const expectedWarning = 'Limiting retries for the idempotent producer may invalidate EoS guarantees';

export function kafkaClient(options: ClientOptions): Kafka {
  return new Kafka({
    brokers: [...options.brokers],
    clientId: options.clientId,
    connectionTimeout: 3_000,
    requestTimeout: options.requestTimeoutMs,
    retry: options.retry,
    logLevel: logLevel.INFO,
    logCreator: () => writeLine,
  });
}

/** kafkajs retries most of what it calls an error, so its errors are our warnings; what it cannot mend comes back to us as a rejection. */
function writeLine({ level, namespace, log: { message, timestamp: _, logger: __, ...fields } }: LogEntry): void {
  if (message === expectedWarning) return;
  const line = namespace ? `${namespace}: ${message}` : message;
  if (level === logLevel.ERROR || level === logLevel.WARN) log.warn(fields, line);
  else log.debug(fields, line);
}
