import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cache } from '../../../tools/kafka/java.js';
import { canRun, javaWith } from '../../../tools/kafka/maven-jars.js';
import type { MavenJars } from '../../../tools/kafka/maven-jars.js';
import { succeeds } from '../../../tools/programs/program.js';
import { root } from '../../../tools/programs/root.js';
import type { ConsumerResult, ConsumerTask } from '../consumer-task.js';

/** Confluent's Parallel Consumer (https://github.com/confluentinc/parallel-consumer), which keeps the order per key as our consumer does. */

/** The version in pom.xml must be the same. */
const version = '0.5.3.3';
const source = join(root, 'test', 'bench', 'parallel-consumer');
const jars: MavenJars = { title: `Parallel Consumer ${version}`, source, target: join(cache, `parallel-consumer-${version}`, 'jars') };

/** Java starts and joins the group within this time. */
const startMs = 60_000;

/** True with a JDK, because the source is compiled when it is run, and with the jars or Maven. */
export async function parallelConsumerRuns(): Promise<boolean> {
  return (await succeeds('javac', '-version')) && (await canRun(jars));
}

/** @param readAhead its `messageBufferSize`, records; 0: its default */
export async function measureParallelConsumer(task: ConsumerTask, readAhead: number): Promise<ConsumerResult> {
  const java = await javaWith(jars);
  const { brokers, nameOnLog, groupId, concurrency, modelLatencyMs, warmUpMs, measuredMs } = task;
  const numbers = [concurrency, readAhead, modelLatencyMs, warmUpMs, measuredMs].map(String);
  const [program, args] = java(
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=error',
    join(source, 'ConsumerProcess.java'),
    brokers.join(','),
    nameOnLog,
    groupId,
    ...numbers,
  );
  const { stdout } = await promisify(execFile)(program, args, { timeout: startMs + warmUpMs + measuredMs });
  return JSON.parse(stdout) as ConsumerResult;
}
