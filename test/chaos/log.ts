import { setTimeout as pause } from 'node:timers/promises';
import { join } from 'node:path';
import { freePort, takesConnections } from '#libs/ports';
import { startKafkaCluster } from '../../tools/kafka/cluster.js';
import { cpuMsWithChildren } from '../forms/process-cpu.js';
import { KeptProcess } from './kept-process.js';
import type { LogKind } from './options.js';

/** The log of a run. A broker of it can be killed and comes back with everything that it had acknowledged. */
export interface ChaosLog {
  readonly brokers: readonly string[];
  /** User and system time of the brokers so far. */
  readonly cpuMs: number;
  /** Copies of each partition. */
  readonly replication: number;
  /** Unexpected ends of the local broker. */
  readonly surprises: readonly string[];
  /** Kills a broker, each time the next one, keeps it down for `awayMs`, and resolves when it responds again. */
  restart(awayMs: number): Promise<void>;
  stop(): Promise<void>;
}

export async function startLog(kind: LogKind, directory: string, root: string): Promise<ChaosLog> {
  if (kind === 'local') return startLocalBroker(directory, root);
  return startKafka(kind === 'kafka3' ? 3 : 1);
}

async function startKafka(nodes: number): Promise<ChaosLog> {
  const cluster = await startKafkaCluster({ nodes });
  process.once('exit', () => {
    for (const pid of all.map((node) => cluster.pid(node))) if (pid !== undefined) process.kill(pid, 'SIGKILL');
  });
  let restarts = 0;
  let earlierCpuMs = 0;
  const all = Array.from({ length: nodes }, (_, index) => index + 1);
  return {
    brokers: cluster.brokers,
    get cpuMs() {
      return all.reduce((sum, node) => sum + cpuMsWithChildren(cluster.pid(node)), earlierCpuMs);
    },
    replication: nodes,
    surprises: [],
    async restart(awayMs) {
      const node = (restarts % nodes) + 1;
      restarts += 1;
      earlierCpuMs += cpuMsWithChildren(cluster.pid(node));
      await cluster.kill(node);
      await pause(awayMs);
      await cluster.start(node);
    },
    stop: () => cluster.stop(),
  };
}

async function startLocalBroker(directory: string, root: string): Promise<ChaosLog> {
  const port = await freePort();
  const broker = await KeptProcess.create({
    name: 'local-broker',
    service: 'local-broker',
    environment: { LOCAL_BROKER_PORT: String(port), LOCAL_BROKER_DIRECTORY: join(directory, 'log') },
    root,
    outputFile: join(directory, 'output', 'local-broker.log'),
    probe: takesConnections,
    port,
  });
  broker.up();
  await broker.ready();
  return {
    brokers: [`127.0.0.1:${port}`],
    get cpuMs() {
      return broker.cpuMs;
    },
    replication: 1,
    surprises: broker.surprises,
    async restart(awayMs) {
      await broker.kill();
      await pause(awayMs);
      broker.up();
      await broker.ready();
    },
    stop: async () => void (await broker.stop()),
  };
}
