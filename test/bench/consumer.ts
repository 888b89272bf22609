import { fork } from 'node:child_process';
import { once } from 'node:events';
import { z } from 'zod';
import { customerKey, name, recordType, topics } from '#libs/contracts';
import type { Topic } from '#libs/contracts';
import { RecordProducer, ensureTopics } from '#libs/messaging';
import type { LogOptions } from '#libs/messaging';
import type { ConsumerResult, ConsumerTask } from './consumer-task.js';
import type { BenchEnvironment } from './environment.js';
import { measureParallelConsumer, parallelConsumerRuns } from './parallel-consumer/parallel-consumer.js';
import { perSecond } from './report.js';
import type { BenchRow } from './report.js';

const modelLatencyMs = 300;
const partitions = 4;
const customers = 200;
/** Records at once, for the contestants that have such a setting. */
const concurrency = 200;
/** Records per customer; more than the fastest consumer handles in the measured time. */
const recordsOfEach = 80;
const warmUpMs = 2_000;
const measuredMs = 12_000;

export const Noted = recordType('bench-noted.v1', z.object({ tenant: name, customer: customerKey, n: z.number() }));
export const benchPrefix = 'bench-consumer.';

/** The consumer under test: ours, kafkajs with one record per partition at a time, or Nest's own transport with its defaults. */
export type NodeConsumerKind = 'millrace' | 'onePerPartition' | 'nest';
/** Also Confluent's Parallel Consumer, which runs in Java: with its defaults, and reading as far ahead as ours. */
type JavaConsumerKind = 'parallelConsumer' | 'parallelConsumerAhead';
type ConsumerKind = NodeConsumerKind | JavaConsumerKind;
/** Records that the Parallel Consumer reads ahead; 0: its default. Ours reads a partition until 2 000 of its records wait. */
const readAhead: Record<JavaConsumerKind, number> = { parallelConsumer: 0, parallelConsumerAhead: 2_000 * partitions };

/** The message that the parent sends to a consumer's process, which answers with a {@link ConsumerResult}. */
export interface NodeConsumerTask extends ConsumerTask {
  kind: NodeConsumerKind;
  topic: Pick<Topic, 'name' | 'partitions' | 'retentionMs'>;
}

const titles: Record<ConsumerKind, string> = {
  onePerPartition: 'kafkajs, one record per partition',
  nest: 'Nest’s own Kafka transport',
  parallelConsumer: 'Parallel Consumer, its defaults',
  parallelConsumerAhead: 'Parallel Consumer, reading ahead',
  millrace: 'Millrace',
};

/**
 * Measures how many records per second one process handles when each takes as long as a model call, and whether the records of each customer stay in
 * order. The consumers read the same topic one after the other, each in a process and a group of its own.
 */
export async function benchConsumer({ logs }: BenchEnvironment): Promise<BenchRow[]> {
  const { name: logName, brokers } = logs.at(-1)!;
  const log: LogOptions = { brokers, clientId: 'bench', prefix: benchPrefix };
  const topic: Topic = { name: `noted-${process.pid}`, partitions, retentionMs: 3_600_000, types: [Noted] };
  await ensureTopics(log, [topic, topics.deadLetters]);
  await fill(log, topic);
  console.log(
    `${modelLatencyMs} ms of model latency, ${partitions} partitions, ${customers} customers, ${logName}, ${measuredMs / 1_000} s each`,
  );
  const kinds: ConsumerKind[] = ['onePerPartition', 'nest', 'millrace'];
  if (logs.length > 1 && (await parallelConsumerRuns())) kinds.splice(2, 0, 'parallelConsumer', 'parallelConsumerAhead');
  else console.log('Without Confluent’s Parallel Consumer, which needs Kafka, a JDK 17 and Maven.');
  const results = new Map<ConsumerKind, ConsumerResult>();
  for (const kind of kinds) {
    const nameOnLog = `${benchPrefix}${topic.name}`;
    const groupId = `${nameOnLog}.${kind}`;
    const task: ConsumerTask = { brokers, nameOnLog, groupId, concurrency, modelLatencyMs, warmUpMs, measuredMs };
    const result = await (isJava(kind) ? measureParallelConsumer(task, readAhead[kind]) : measureInNode({ ...task, kind, topic }));
    results.set(kind, result);
    console.log(
      `  ${titles[kind].padEnd(36)} ${perSecond(result.perSecond).padStart(10)}   order violations ${result.orderViolations}, repeats ${result.repeats}, CPU ${result.cpuMillisPerSecond.toFixed(0)} ms/s`,
    );
  }
  const ours = results.get('millrace')!;
  return [...results].filter(([kind]) => kind !== 'millrace').map(([kind, result]) => rowAgainst(kind, result, ours));
}

function isJava(kind: ConsumerKind): kind is JavaConsumerKind {
  return kind in readAhead;
}

const targets: Partial<Record<ConsumerKind, string>> = {
  onePerPartition: '≥ 20 ×, 0 violations',
  parallelConsumer: '≥ 1.0 ×',
  parallelConsumerAhead: '≥ 1.0 ×',
};

function rowAgainst(kind: ConsumerKind, baseline: ConsumerResult, ours: ConsumerResult): BenchRow {
  const ratio = ours.perSecond / baseline.perSecond;
  const target = targets[kind];
  return {
    what: `records/s at ${modelLatencyMs} ms model latency, ${partitions} partitions, ${customers} customers`,
    baseline: `${perSecond(baseline.perSecond)} (${titles[kind]}), ${baseline.orderViolations} order violations`,
    millrace: `${perSecond(ours.perSecond)}, ${ours.orderViolations} order violations`,
    ratio: `${ratio.toFixed(ratio < 10 ? 3 : 0)} ×`,
    ...(target === undefined ? {} : { target }),
  };
}

async function fill(log: LogOptions, topic: Topic): Promise<void> {
  const producer = new RecordProducer({ ...log, ackTimeoutMs: 30_000 });
  await producer.connect();
  const all = Array.from({ length: customers * recordsOfEach }, (_, index) => index);
  await Promise.all(
    all.map((index) =>
      producer.append(topic, Noted, { tenant: 'bench', customer: `customer-${index % customers}`, n: Math.floor(index / customers) }),
    ),
  );
  await producer.disconnect();
}

async function measureInNode(task: NodeConsumerTask): Promise<ConsumerResult> {
  const child = fork(new URL('./consumer-process.js', import.meta.url));
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the consumer ${task.kind} ended with ${code}`);
  });
  const answered = once(child, 'message');
  child.send(task);
  try {
    const [result] = await Promise.race([answered, ended]);
    return result as ConsumerResult;
  } finally {
    ended.catch(() => undefined);
    child.kill('SIGKILL');
  }
}
