import { Kafka, logLevel } from 'kafkajs';
import type { LogEntry, RetryOptions } from 'kafkajs';
import type { Topic } from '#libs/contracts';
import { logger } from '#libs/tracing';
import './kafkajs-repairs.js';
import { RepeatedLines } from './repeated-lines.js';

/** Where the log is, and under which name this process appears in its quotas and logs. */
export interface LogOptions {
  /** Bootstrap addresses, `host:port`. */
  brokers: readonly string[];
  clientId: string;
  /** What the name of every topic and consumer group begins with: two installations on one Kafka have two. Default `millrace.`. */
  prefix?: string;
}

/** The name that a topic or a consumer group has on the log. */
export function nameOnLog({ prefix = 'millrace.' }: LogOptions, name: string): string {
  return `${prefix}${name}`;
}

/** The topic under the name it has on the log. */
export function topicOnLog(options: LogOptions, topic: Topic): Topic {
  return { ...topic, name: nameOnLog(options, topic.name) };
}

interface ClientOptions extends LogOptions {
  /** How long a broker may take over one request, ms. */
  requestTimeoutMs: number;
  retry: RetryOptions;
}

const log = logger('kafkajs');

/** What kafkajs calls an error or a warning and is none here. */
const routine = new Set<unknown>([
  'The group is rebalancing, so a rejoin is needed',
  // RecordProducer bounds its retries on purpose: it takes a new producer id whenever it gives a batch up.
  'Limiting retries for the idempotent producer may invalidate EoS guarantees',
]);

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

const warnings = new RepeatedLines(5_000);

/** kafkajs retries most of what it calls an error, so its errors are our warnings; what it cannot mend comes back to us as a rejection. */
function writeLine({ level, namespace, log: { message, timestamp: _, logger: __, ...fields } }: LogEntry): void {
  const line = namespace ? `${namespace}: ${message}` : message;
  if (level > logLevel.WARN || routine.has(message) || routine.has(fields['error'])) return log.debug(fields, line);
  const heldBack = warnings.admit(line);
  if (heldBack !== null) log.warn(heldBack === 0 ? fields : { ...fields, heldBack }, line);
}
