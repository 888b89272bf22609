import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { freePort } from '#libs/ports';
import { answersOr } from './answering.js';
import { startKafkaCluster } from './cluster.js';
import type { KafkaClusterOptions } from './cluster.js';
import { javaRunsKafka, kafkaVersion } from './java.js';
import { succeeds } from '../programs/program.js';
import { nodeSettings } from './settings.js';

/**
 * One Apache Kafka broker (KRaft) on loopback ports, for tests and benches. It runs in Docker where that is available, else from the jars on Maven
 * Central with Java 17. Several nodes: cluster.ts.
 */

/** The same release as that of the jars. */
const image = `apache/kafka:${kafkaVersion}`;

/** How to get a real Kafka: one that runs already (KAFKA_BROKERS), Docker, Java, or not at all. */
export type KafkaWay = 'brokers' | 'docker' | 'java' | 'none';

export interface RunningKafka {
  /** Bootstrap addresses. */
  readonly brokers: readonly string[];
  /** The process of the broker; undefined in Docker. */
  readonly pid: number | undefined;
  /** Stops the broker and deletes its data, unless a directory was given. */
  stop(): Promise<void>;
  /** Kills the broker and starts it again with the same data and port. */
  restart(): Promise<void>;
}

const run = promisify(execFile);

/** @param brokers the value of KAFKA_BROKERS, if it is set */
export async function findKafka(brokers: string | undefined): Promise<KafkaWay> {
  if (brokers) return 'brokers';
  if (await succeeds('docker', 'info')) return 'docker';
  return (await javaRunsKafka()) ? 'java' : 'none';
}

export interface KafkaOptions {
  /** Default: the first that is available. */
  way?: 'docker' | 'java';
  /** The folder of the data, which a stop keeps (Java only). Default: a new folder that the stop deletes. */
  directory?: string;
  /** Default: a free one. */
  port?: number;
}

/** Starts a broker. Resolves when it responds. */
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
    get pid() {
      return cluster.pid(1);
    },
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
    pid: undefined,
    stop,
    restart: async () => {
      await run('docker', ['kill', container]);
      await run('docker', ['start', container]);
      await ready();
    },
  };
}
