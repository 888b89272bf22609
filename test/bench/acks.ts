import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import autocannon from 'autocannon';
import { freePort, takesConnections } from '#libs/ports';
import { waitFor } from '#libs/testing';
import { cpuMs } from '../forms/process-cpu.js';
import { ServiceProcess } from '../forms/service-process.js';
import { applyBenchDocuments, benchKeys } from './documents.js';
import type { BenchEnvironment } from './environment.js';
import { median } from './numbers.js';
import { perSecond } from './report.js';
import type { BenchRow } from './report.js';

const rounds = 3;
const secondsPerRound = 4;
const connections = 256;
/** Trials per log. The baseline does not distinguish customers and runs with the first count only. */
const customerCounts = [100, 1, 1_000] as const;

/** A server under load: the baseline, or ingestion on one log. */
export interface AckServer {
  name: string;
  url: string;
  pid: number;
  stop(): Promise<unknown>;
}

/** The result of one round of load. */
interface AckLoad {
  acksPerSecond: number;
  /** User and system time of the server's process; the log's is not included. */
  cpuMicrosPerAck: number;
}

/** The measurements of one server with a given number of customers. */
interface Trial {
  name: string;
  server: AckServer;
  customers: number;
  loads: AckLoad[];
}

/**
 * Measures durable acks per second with signed 1 kB webhooks, each a new event, of 1, 100 and 1 000 customers. AckLoad, server and log run on this one
 * machine. The trials alternate within each round, so a disturbance of the machine affects all of them. The CPU time per ack of the server's process
 * is measured too, because other processes affect it less.
 */
export async function benchAcks(environment: BenchEnvironment): Promise<BenchRow[]> {
  const floor = trial(await baseline(), customerCounts[0]);
  const millraces = await Promise.all(environment.logs.map((log) => millrace(environment, log.name, log.brokers)));
  const ours = millraces.flatMap((server) => customerCounts.map((customers) => trial(server, customers)));
  const trials = [floor, ...ours];
  for (const { server, customers } of trials) await load(server, customers, 2); // warm-up, not counted
  for (let round = 0; round < rounds; round += 1) {
    for (const { server, customers, loads } of trials) loads.push(await load(server, customers, secondsPerRound));
  }
  for (const server of [floor.server, ...millraces]) await server.stop();

  console.log(`Durable acks (signed 1 kB webhook, ${connections} connections, median of ${rounds} rounds of ${secondsPerRound} s)`);
  const least = medians(floor.loads);
  console.log(`  ${floor.name.padEnd(44)} ${describe(least)}`);
  return ours.map(({ name, loads }) => {
    const found = medians(loads);
    const share = (found.acksPerSecond / least.acksPerSecond).toFixed(2);
    console.log(`  ${name.padEnd(44)} ${describe(found)}   ${share} of the baseline`);
    return { what: `durable acks: ${name}`, baseline: describe(least), millrace: describe(found), ratio: share, target: '≥ 0.50' };
  });
}

function trial(server: AckServer, customers: number): Trial {
  return { name: `${server.name}, ${customers} customer${customers === 1 ? '' : 's'}`, server, customers, loads: [] };
}

function describe({ acksPerSecond, cpuMicrosPerAck }: AckLoad): string {
  return `${perSecond(acksPerSecond)}, ${cpuMicrosPerAck.toFixed(0)} µs of CPU each`;
}

function medians(measured: readonly AckLoad[]): AckLoad {
  return {
    acksPerSecond: median(measured.map((one) => one.acksPerSecond)),
    cpuMicrosPerAck: median(measured.map((one) => one.cpuMicrosPerAck)),
  };
}

function baseline(): Promise<AckServer> {
  return spawnServer('Fastify + HMAC alone', 'dist/test/bench/baseline-server.js', benchKeys.github);
}

/** A program that takes the port to listen on as its first argument, in a process of its own. */
export async function spawnServer(name: string, program: string, ...more: readonly string[]): Promise<AckServer> {
  const port = await freePort();
  const child = spawn(process.execPath, [program, String(port), ...more], { stdio: ['ignore', 'ignore', 'inherit'] });
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  await waitFor(() => takesConnections(port), { deadlineMs: 10_000, what: `${name} to listen` });
  return { name, url: `http://127.0.0.1:${port}`, pid: child.pid!, stop };
}

async function millrace(environment: BenchEnvironment, log: string, brokers: readonly string[]): Promise<AckServer> {
  await applyBenchDocuments(environment.databaseUrl, 'http://127.0.0.1:9/');
  const ingestion = await startIngestion(environment, brokers);
  return { name: `Millrace on ${log}`, url: ingestion.url, pid: ingestion.pid!, stop: () => ingestion.stop() };
}

/** A process of ingestion alone, with the bench's documents. */
export async function startIngestion(environment: BenchEnvironment, brokers: readonly string[]): Promise<ServiceProcess> {
  const ingestion = new ServiceProcess('ingestion', await freePort(), {
    LOG_LEVEL: 'warn',
    DATABASE_URL: environment.databaseUrl,
    KAFKA_BROKERS: brokers.join(','),
    KAFKA_ACK_COPIES: '1',
    LOG_PREFIX: 'bench-acks.',
    SECRETS_KEY: benchKeys.secretsKey,
    NODE_ENV: 'production',
  });
  await ingestion.start();
  return ingestion;
}

/** The most acks per second, over as many connections as the bench of acks has: the median of its rounds, after one that warms up. */
export async function maxAckRate(server: AckServer, customers: number): Promise<number> {
  await load(server, customers, 2);
  const rates: number[] = [];
  for (let round = 0; round < rounds; round += 1) rates.push((await load(server, customers, secondsPerRound)).acksPerSecond);
  return median(rates);
}

/** Measures requests answered with 2xx per second. Any other response fails the bench. */
async function load({ url, pid }: AckServer, customers: number, seconds: number): Promise<AckLoad> {
  const webhooks = Array.from({ length: customers }, (_, index) => signedWebhook(`customer-${index}`));
  const run = `${process.pid}-${performance.now()}`;
  let sent = 0;
  const setupRequest = (request: autocannon.Request): autocannon.Request => {
    const { body, headers } = webhooks[sent % customers]!;
    return { ...request, body, headers: { ...headers, 'x-github-delivery': `${run}-${(sent += 1)}` } };
  };
  const requests = [{ method: 'POST' as const, path: '/webhooks/bench.github', setupRequest }];
  const cpuBeforeMs = cpuMs(pid);
  const result = await autocannon({ url, connections, duration: seconds, requests });
  if (result.non2xx > 0 || result.errors > 0)
    throw new Error(`${url}: ${result.non2xx} answers were not 2xx, ${result.errors} requests failed`);
  return { acksPerSecond: result['2xx'] / result.duration, cpuMicrosPerAck: (1_000 * (cpuMs(pid) - cpuBeforeMs)) / result['2xx'] };
}

/** Signs one body per customer in advance: the load generator shares the machine with the server and must not spend its CPU on signing. */
export function signedWebhook(login: string): { body: string; headers: Record<string, string> } {
  const body = JSON.stringify({ action: 'opened', repository: { owner: { login } }, issue: { title: 'Crash', body: 'x'.repeat(900) } });
  const signature = `sha256=${createHmac('sha256', benchKeys.github).update(body).digest('hex')}`;
  return { body, headers: { 'content-type': 'application/json', 'x-github-event': 'issues', 'x-hub-signature-256': signature } };
}
