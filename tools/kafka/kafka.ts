import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { access, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { findPackageJSON } from 'node:module';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ensureTopics } from '#libs/messaging';

/**
 * A real Apache Kafka broker for tests and for machines like CI: one node (KRaft), on free loopback ports, small, gone when it is stopped.
 * From Docker where there is one, else from the jars on Maven Central with Java 17.
 */

/** The checkout, whether this runs from its sources or from `dist`. */
const root = findPackageJSON(import.meta.url)!.replace(/package\.json$/, '');
const here = join(root, 'tools', 'kafka');
const cache = join(root, '.kafka');
/** The jars' version stands in pom.xml; this is the image of the same release. */
const version = '4.3.1';
const image = `apache/kafka:${version}`;
const startDeadlineMs = 60_000;

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

async function succeeds(command: string, ...args: string[]): Promise<boolean> {
  return run(command, args, { timeout: 20_000 }).then(
    () => true,
    () => false,
  );
}

/** @param brokers the value of KAFKA_BROKERS, if any */
export async function findKafka(brokers: string | undefined): Promise<KafkaWay> {
  if (brokers) return 'brokers';
  if (await succeeds('docker', 'info')) return 'docker';
  const java = (await succeeds('java', '-version')) && ((await fetched()) || (await succeeds('mvn', '-version')));
  return java ? 'java' : 'none';
}

/**
 * Starts a broker and resolves when it answers.
 * @param options.directory where its data stays after a stop (Java only); left out, a new one that the stop deletes
 */
export async function startKafka(options: { way?: 'docker' | 'java'; directory?: string } = {}): Promise<RunningKafka> {
  const way = options.way ?? (await findKafka(undefined));
  if (way === 'docker') return startInDocker();
  if (way === 'java') return startInJava(options.directory);
  throw new Error('No Kafka can be started here: there is no Docker daemon, and no Java 17 with Maven 3');
}

async function startInDocker(): Promise<RunningKafka> {
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const settings = Object.entries(brokerSettings(`PLAINTEXT://:${port}`, address, 'CONTROLLER://:9093', 'localhost:9093', '/tmp/kafka'))
    .filter(([name]) => name !== 'controller.quorum.bootstrap.servers')
    .concat([['controller.quorum.voters', '1@localhost:9093']])
    .flatMap(([name, value]) => ['-e', `KAFKA_${name.toUpperCase().replaceAll('.', '_')}=${value}`]);
  const { stdout } = await run('docker', ['run', '-d', '-p', `${address}:${port}`, '-e', 'KAFKA_HEAP_OPTS=-Xmx512m', ...settings, image]);
  const container = stdout.trim();
  const stop = async (): Promise<void> => {
    await run('docker', ['rm', '-f', container]);
  };
  await answersOr(address, stop, async () => (await run('docker', ['logs', '--tail', '20', container])).stdout);
  return {
    brokers: [address],
    stop,
    restart: async () => {
      await run('docker', ['kill', container]);
      await run('docker', ['start', container]);
      await answersOr(address, stop, async () => '');
    },
  };
}

async function startInJava(kept: string | undefined): Promise<RunningKafka> {
  const jars = await fetchJars();
  const directory = kept ?? (await mkdtemp(join(cache, 'data-')));
  await mkdir(directory, { recursive: true });
  const [port, controllerPort] = [await freePort(), await freePort()];
  const address = `127.0.0.1:${port}`;
  const settings = brokerSettings(
    `PLAINTEXT://${address}`,
    address,
    `CONTROLLER://127.0.0.1:${controllerPort}`,
    `127.0.0.1:${controllerPort}`,
    join(directory, 'data'),
  );
  const settingsFile = join(directory, 'server.properties');
  await writeFile(
    settingsFile,
    Object.entries(settings)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  );
  const logging = `-Dlog4j2.configurationFile=${join(here, 'log4j2.properties')}`;
  const java = (...args: string[]): string[] => ['-Xmx512m', '-XX:+UseSerialGC', logging, '-cp', join(jars, '*'), ...args];
  if (!(await exists(join(directory, 'data', 'meta.properties')))) {
    const clusterId = 'millraceMillraceMillra';
    await run('java', java('kafka.tools.StorageTool', 'format', '--standalone', '--cluster-id', clusterId, '--config', settingsFile));
  }
  const logFile = join(directory, 'kafka.log');
  const start = (): ChildProcess => {
    const process = spawn('java', java('kafka.Kafka', settingsFile), { stdio: ['ignore', 'pipe', 'pipe'] });
    const log = createWriteStream(logFile, { flags: 'a' });
    process.stdout.pipe(log);
    process.stderr.pipe(log);
    return process;
  };
  let broker = start();
  const stop = async (): Promise<void> => {
    await end(broker, 'SIGTERM');
    if (kept === undefined) await rm(directory, { recursive: true, force: true });
  };
  const ready = (): Promise<void> =>
    answersOr(
      address,
      () => end(broker, 'SIGKILL'),
      () => readFile(logFile, 'utf8'),
    );
  await ready();
  return {
    brokers: [address],
    stop,
    restart: async () => {
      await end(broker, 'SIGKILL');
      broker = start();
      await ready();
    },
  };
}

/** One node that is broker and controller, with every internal topic unreplicated and nothing created by accident. */
function brokerSettings(
  listener: string,
  advertised: string,
  controllerListener: string,
  controller: string,
  data: string,
): Record<string, string> {
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    listeners: `${listener},${controllerListener}`,
    'advertised.listeners': `PLAINTEXT://${advertised}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'controller.quorum.bootstrap.servers': controller,
    'log.dirs': data,
    'auto.create.topics.enable': 'false',
    'offsets.topic.num.partitions': '3',
    'offsets.topic.replication.factor': '1',
    'transaction.state.log.num.partitions': '1',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'share.coordinator.state.topic.num.partitions': '1',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    // A killed broker is let back in once its old session is over; the default is 9 s.
    'broker.session.timeout.ms': '3000',
    'broker.heartbeat.interval.ms': '500',
    'log.cleaner.dedupe.buffer.size': '2097152',
    'num.network.threads': '2',
    'num.io.threads': '4',
    'background.threads': '2',
  };
}

function jarDirectory(): string {
  return join(cache, version, 'jars');
}

function fetched(): Promise<boolean> {
  return exists(jarDirectory());
}

/** Fetches the jars once; a fetch that breaks off leaves nothing that looks whole. */
async function fetchJars(): Promise<string> {
  const jars = jarDirectory();
  if (await fetched()) return jars;
  await mkdir(join(cache, version), { recursive: true });
  const draft = await mkdtemp(join(cache, version, 'fetching-'));
  const pom = join(here, 'pom.xml');
  await run('mvn', ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${draft}`, '-DincludeScope=runtime']);
  await rename(draft, jars).catch(async (error: unknown) => {
    await rm(draft, { recursive: true });
    if (!(await fetched())) throw error; // another process was faster
  });
  return jars;
}

/** Waits until the broker answers a client; ends it and says what it printed where it does not in time. */
async function answersOr(address: string, giveUp: () => Promise<void>, printed: () => Promise<string>): Promise<void> {
  const deadline = Date.now() + startDeadlineMs;
  for (;;) {
    try {
      await takesConnections(address);
      await ensureTopics({ brokers: [address], clientId: 'tools' }, []);
      return;
    } catch (error) {
      if (Date.now() > deadline) {
        const log = (await printed().catch(() => '')).slice(-2_000);
        await giveUp();
        throw new Error(`Kafka did not answer on ${address} within ${startDeadlineMs / 1_000} s. It printed:\n${log}`, { cause: error });
      }
    }
    await delay(200);
  }
}

async function takesConnections(address: string): Promise<void> {
  const [host, port] = address.split(':') as [string, string];
  const socket = connect(Number(port), host);
  try {
    await once(socket, 'connect');
  } finally {
    socket.destroy();
  }
}

async function end(process: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null) return;
  const ended = new Promise((resolve) => process.once('exit', resolve));
  process.kill(signal);
  await ended;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
