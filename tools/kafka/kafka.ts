import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { freePort } from '#libs/ports';
import { answersOr } from './answering.js';
import { startKafkaCluster } from './cluster.js';
import type { KafkaClusterOptions } from './cluster.js';
import { javaRunsKafka, kafkaVersion, succeeds } from './java.js';
import { nodeSettings } from './settings.js';

/**
 * A real Apache Kafka broker for tests and for machines like CI: one node (KRaft), on loopback ports, small, gone when it is stopped.
 * From Docker where there is one, else from the jars on Maven Central with Java 17. Several nodes: cluster.ts.
 */

/** The jars' release. */
const image = `apache/kafka:${kafkaVersion}`;

/** Where a real Kafka can come from: one that runs already (KAFKA_BROKERS), Docker, or Java; `none` where nothing is there. */
export type KafkaWay = 'brokers' | 'docker' | 'java' | 'none';

export interface RunningKafka {
  /** Bootstrap addresses. */
  readonly brokers: readonly string[];
  /** Ends the broker and deletes its data, unless a directory was given. */
  stop(): Promise<void>;
  /** Ends the broker as a power cut would, and starts it again on the same data and port. */
  restart(): Promise<void>;
}

const run = promisify(execFile);

/** @param brokers the value of KAFKA_BROKERS, if any */
export async function findKafka(brokers: string | undefined): Promise<KafkaWay> {
  if (brokers) return 'brokers';
  if (await succeeds('docker', 'info')) return 'docker';
  return (await javaRunsKafka()) ? 'java' : 'none';
}

export interface KafkaOptions {
  /** Left out, the first there is. */
  way?: 'docker' | 'java';
  /** Where its data stays after a stop (Java only); left out, a new one that the stop deletes. */
  directory?: string;
  /** Left out, a free one. */
  port?: number;
}

/** Starts a broker and resolves when it answers. */
export async function startKafka({ way, directory, port }: KafkaOptions = {}): Promise<RunningKafka> {
  const chosen = way ?? (await findKafka(undefined));
  if (chosen === 'docker') return startInDocker(port ?? (await freePort()));
  if (chosen === 'java') return startInJava({ nodes: 1, ...(directory && { directory }), ...(port && { port }) });
  throw new Error('No Kafka can be started here: there is no Docker daemon, and no Java 17 with Maven 3');
}

async function startInJava(options: KafkaClusterOptions): Promise<RunningKafka> {
  const cluster = await startKafkaCluster(options);
  return {
    brokers: cluster.brokers,
    stop: () => cluster.stop(),
    restart: async () => {
      await cluster.kill(1);
      await cluster.start(1);
    },
  };
}

async function startInDocker(port: number): Promise<RunningKafka> {
  const address = `127.0.0.1:${port}`;
  const listeners = { broker: `:${port}`, controller: ':9093' };
  const settings = Object.entries(nodeSettings([{ broker: address, controller: 'localhost:9093' }], 1, '/tmp/kafka', listeners)).flatMap(
    ([name, value]) => ['-e', `KAFKA_${name.toUpperCase().replaceAll('.', '_')}=${value}`],
  );
  const { stdout } = await run('docker', ['run', '-d', '-p', `${address}:${port}`, '-e', 'KAFKA_HEAP_OPTS=-Xmx384m', ...settings, image]);
  const container = stdout.trim();
  const stop = async (): Promise<void> => {
    await run('docker', ['rm', '-f', container]);
  };
  const ready = (): Promise<void> =>
    answersOr(address, async () => (await run('docker', ['logs', '--tail', '20', container])).stdout).catch(async (error: unknown) => {
      await stop();
      throw error;
    });
  await ready();
  return {
    brokers: [address],
    stop,
    restart: async () => {
      await run('docker', ['kill', container]);
      await run('docker', ['start', container]);
      await ready();
    },
  };
}
