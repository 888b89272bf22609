import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort, isFree } from '#libs/ports';
import { Program } from '../programs/program.js';
import { answersOr } from './answering.js';
import { cache, javaCommand } from './java.js';
import { exists } from './maven-jars.js';
import type { JavaCommand } from './maven-jars.js';
import { nodeSettings } from './settings.js';
import type { NodeAddresses } from './settings.js';

export interface KafkaClusterOptions {
  nodes: number;
  /** The folder of the data, which a stop keeps. Default: a new folder that the stop deletes. */
  directory?: string;
  /** Port of the first broker. The other brokers and then the controllers take the next ones. Default: free ports. */
  port?: number;
  /** Settings of a node beside its own, or in place of them. */
  settings?: (node: NodeAddresses) => Readonly<Record<string, string>>;
  /** The identity of a new cluster, 16 bytes in base64url. Two clusters of one test need different ones. */
  clusterId?: string;
  /** Users that a new cluster knows, by name, each with its password for SCRAM. */
  users?: Readonly<Record<string, string>>;
}

/** Nodes are numbered from 1, as their ids are. A node keeps its ports and data when it is started again. */
export interface KafkaCluster {
  /** Bootstrap addresses, one of each node. */
  readonly brokers: readonly string[];
  /** Undefined if the node is not running. */
  pid(node: number): number | undefined;
  /** Sends SIGKILL. */
  kill(node: number): Promise<void>;
  /** Starts a node that was killed. Resolves when it responds. */
  start(node: number): Promise<void>;
  stop(): Promise<void>;
}

const run = promisify(execFile);
const defaultClusterId = 'millraceMillraceMillra';

/** Starts Apache Kafka (KRaft) on loopback ports, from its jars with Java 17. Three nodes survive the loss of one. */
export async function startKafkaCluster(options: KafkaClusterOptions): Promise<KafkaCluster> {
  const java = await javaCommand();
  const addresses = await chooseAddresses(options);
  const directory = options.directory ?? (await mkdtemp(join(cache, 'data-')));
  const nodes = addresses.map((_, index) => new KafkaNode(java, addresses, index + 1, join(directory, `node-${index + 1}`), options));
  const nodeOf = (id: number): KafkaNode => {
    const node = nodes[id - 1];
    if (node === undefined) throw new RangeError(`there is no node ${id} of ${nodes.length}`);
    return node;
  };
  const kept = options.directory !== undefined;
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.end(kept ? 'SIGTERM' : 'SIGKILL')));
    if (!kept) await rm(directory, { recursive: true, force: true });
  };
  try {
    await Promise.all(nodes.map((node) => node.start()));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    brokers: addresses.map(({ broker }) => broker),
    pid: (id) => nodeOf(id).pid,
    kill: (id) => nodeOf(id).end('SIGKILL'),
    start: (id) => nodeOf(id).start(),
    stop,
  };
}

async function chooseAddresses({ nodes, port }: KafkaClusterOptions): Promise<NodeAddresses[]> {
  const all = Array.from({ length: 2 * nodes }, (_, index) => index);
  const ports = await Promise.all(all.map(async (index) => (port === undefined ? freePort() : port + index)));
  for (const wanted of ports) if (!(await isFree(wanted))) throw new PortTaken(wanted);
  const addresses = ports.map((one) => `127.0.0.1:${one}`);
  return all.slice(0, nodes).map((index) => ({ broker: addresses[index]!, controller: addresses[nodes + index]! }));
}

/** Another process listens on the port of a broker. */
export class PortTaken extends Error {
  constructor(readonly port: number) {
    super(`Port ${port} is taken, by another Kafka perhaps. End what listens there, or choose another port: npm run kafka -- --port 19092`);
  }
}

/** One node: broker and controller in one process, with a data folder of its own. */
class KafkaNode {
  private readonly settingsFile: string;
  private readonly logFile: string;
  private program: Program | undefined;

  constructor(
    private readonly java: JavaCommand,
    private readonly nodes: readonly NodeAddresses[],
    private readonly id: number,
    private readonly directory: string,
    private readonly options: Pick<KafkaClusterOptions, 'settings' | 'users' | 'clusterId'>,
  ) {
    this.settingsFile = join(directory, 'server.properties');
    this.logFile = join(directory, 'kafka.log');
  }

  get pid(): number | undefined {
    return this.program?.pid;
  }

  /** Resolves when it responds to a client. */
  async start(): Promise<void> {
    await this.prepare();
    const program = new Program(this.java('kafka.Kafka', this.settingsFile), this.logFile);
    this.program = program;
    await answersOr(
      this.nodes[this.id - 1]!.broker,
      () => program.printed(),
      () => program.hasEnded,
    ).catch(async (error: unknown) => {
      await this.end('SIGKILL');
      throw error;
    });
  }

  /** Does nothing if it is not running. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const { program } = this;
    this.program = undefined;
    await program?.end(signal);
  }

  private async prepare(): Promise<void> {
    const data = join(this.directory, 'data');
    await mkdir(this.directory, { recursive: true });
    const settings = { ...nodeSettings(this.nodes, this.id, data), ...this.options.settings?.(this.nodes[this.id - 1]!) };
    const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
    await writeFile(this.settingsFile, lines.join(''));
    if (await exists(join(data, 'meta.properties'))) return;
    const users = Object.entries(this.options.users ?? {}).flatMap(([name, password]) =>
      ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => ['--add-scram', `${mechanism}=[name=${name},password=${password}]`]),
    );
    const { clusterId = defaultClusterId } = this.options;
    await run(...this.java('kafka.tools.StorageTool', 'format', '--cluster-id', clusterId, '--config', this.settingsFile, ...users));
  }
}
