import { Kafka, logLevel } from 'kafkajs';
import type { LogEntry, RetryOptions } from 'kafkajs';
import type { Topic } from '#libs/contracts';
import { logger } from '#libs/tracing';
import './kafkajs-repairs.js';
import { securityOptions } from './log-security.js';
import type { LogSecurity } from './log-security.js';
import { RepeatedLines } from './repeated-lines.js';
import { requestTopicIds } from './topic-ids.js';

/** How a process connects to the log. */
export interface LogOptions {
  /** Bootstrap addresses, `host:port`. */
  brokers: readonly string[];
  /** The name of this process in Kafka's quotas and logs. */
  clientId: string;
  /** Prefix of every topic and consumer group. Two installations on one Kafka need two prefixes. Default `millrace.`. */
  prefix?: string;
  /** Default: connections are not encrypted, and the log asks for no name. */
  security?: LogSecurity | undefined;
}

/** Prefixes the name of a topic or a consumer group. */
export function nameOnLog({ prefix = 'millrace.' }: LogOptions, name: string): string {
  return `${prefix}${name}`;
}

/** The topic with its prefixed name. */
export function topicOnLog(options: LogOptions, topic: Topic): Topic {
  return { ...topic, name: nameOnLog(options, topic.name) };
}

/** An OAuth token may have to be fetched first. */
const authenticationTimeoutMs = 15_000;

interface ClientOptions extends LogOptions {
  /** How long a broker may take over one request, ms. */
  requestTimeoutMs: number;
  retry: RetryOptions;
}

const log = logger('kafkajs');

/** Errors and warnings of kafkajs that are expected and logged at debug level. */
const routine = new Set<unknown>([
  'The group is rebalancing, so a rejoin is needed',
  // RecordProducer bounds its retries on purpose: it takes a new producer id whenever it gives a batch up.
  'Limiting retries for the idempotent producer may invalidate EoS guarantees',
]);

requestTopicIds();

export function kafkaClient(options: ClientOptions): Kafka {
  return new Kafka({
    brokers: [...options.brokers],
    clientId: options.clientId,
    connectionTimeout: 3_000,
    authenticationTimeout: authenticationTimeoutMs,
    ...securityOptions(options.security),
    requestTimeout: options.requestTimeoutMs,
    retry: options.retry,
    logLevel: logLevel.INFO,
    logCreator: () => writeLine,
  });
}

const warnings = new RepeatedLines(5_000);

/** Logs errors of kafkajs as warnings: it retries most of them, and rejects the call for the others. */
function writeLine({ level, namespace, log: { message, timestamp: _, logger: __, ...fields } }: LogEntry): void {
  const line = namespace ? `${namespace}: ${message}` : message;
  if (level > logLevel.WARN || routine.has(message) || routine.has(fields['error'])) return log.debug(fields, line);
  const heldBack = warnings.admit(line);
  if (heldBack !== null) log.warn(heldBack === 0 ? fields : { ...fields, heldBack }, line);
}
