import { fork } from 'node:child_process';
import { once } from 'node:events';
import autocannon from 'autocannon';
import { Client } from 'pg';
import { migrate } from '#libs/migrations';
import { freePort } from '#libs/ports';
import { cpuMs, cpuMsWithChildren } from '../forms/process-cpu.js';
import { ServiceProcess } from '../forms/service-process.js';
import { applyBenchDocuments, benchKeys, issueBenchKey } from './documents.js';
import type { BenchEnvironment } from './environment.js';
import { median } from './numbers.js';
import { perSecond } from './report.js';
import type { BenchRow } from './report.js';
import { storeEvents } from './stored-events.js';

const pageSize = 20;
const storedEvents = 10_000;
const callers = 16;
const requestsPerRound = 2_500;

/** The scalars of an event and two of its customer, in the order in which the baseline writes them. */
const query = `query ($n: Int!) { events(first: $n) { nodes { id type source lane occurredAt receivedAt customer { key lastEventAt } }
  pageInfo { hasNextPage endCursor } } }`;
const body = JSON.stringify({ query, variables: { n: pageSize } });

/** A server that answers with the page, while it runs. */
interface PageServer {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
  readonly headers: Record<string, string>;
  readonly loads: PageLoad[];
  stop(): Promise<unknown>;
}

/** The result of one round. CPU is user and system time per page. */
interface PageLoad {
  pagesPerSecond: number;
  processMicros: number;
  postgresMicros: number;
}

/**
 * Measures the CPU of a GraphQL page of 20 events with their customers: the `query` service with an API key, scopes, limits and row-level security,
 * against the same answer written by hand. Both answer the same requests, by turns, over the same database.
 */
export async function benchPage(environment: BenchEnvironment, rounds: number): Promise<BenchRow[]> {
  const database = await storedPages(environment);
  const servers = [await baseline(database.databaseUrl), await millrace(environment, database)] as const;
  try {
    const bodies = await Promise.all(servers.map(requireSameAnswer));
    for (let round = 0; round <= rounds; round += 1) {
      for (const [at, server] of servers.entries()) {
        const load = await measure(server, bodies[at]!, environment.postgresPid);
        if (round > 0) server.loads.push(load); // the first warms up
      }
    }
  } finally {
    for (const server of servers) await server.stop();
  }
  return report(...servers);
}

/** A database of its own: filling one drops its indexes for a moment. */
async function storedPages(environment: BenchEnvironment): Promise<PageDatabase> {
  const client = new Client({ connectionString: environment.administratorUrl });
  await client.connect();
  await client.query('CREATE DATABASE bench_page OWNER millrace_owner');
  await client.end();
  const own = (url: string): string => Object.assign(new URL(url), { pathname: '/bench_page' }).href;
  await migrate(own(environment.ownerUrl));
  await storeEvents(own(environment.ownerUrl), storedEvents);
  const databaseUrl = own(environment.databaseUrl);
  await applyBenchDocuments(databaseUrl, 'http://127.0.0.1:9/');
  return { databaseUrl, queryDatabaseUrl: own(environment.queryDatabaseUrl) };
}

type PageDatabase = Pick<BenchEnvironment, 'databaseUrl' | 'queryDatabaseUrl'>;

async function baseline(databaseUrl: string): Promise<PageServer> {
  const child = fork(new URL('./page-baseline.js', import.meta.url), [databaseUrl, String(pageSize)]);
  const [port] = (await once(child, 'message')) as [number];
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  return { name: 'node:http + pg + JSON.stringify', url: `http://127.0.0.1:${port}/`, pid: child.pid!, headers: {}, loads: [], stop };
}

async function millrace({ logs }: BenchEnvironment, { databaseUrl, queryDatabaseUrl }: PageDatabase): Promise<PageServer> {
  const key = await issueBenchKey(databaseUrl, ['read']);
  const service = new ServiceProcess('query', await freePort(), {
    LOG_LEVEL: 'warn',
    NODE_ENV: 'production',
    DATABASE_URL: databaseUrl,
    QUERY_DATABASE_URL: queryDatabaseUrl,
    KAFKA_BROKERS: logs[0]!.brokers.join(','),
    KAFKA_ACK_COPIES: '1',
    LOG_PREFIX: 'bench-page.',
    SECRETS_KEY: benchKeys.secretsKey,
    ...profiling(),
  });
  await service.start();
  return {
    name: 'Millrace',
    url: `${service.url}/graphql`,
    pid: service.pid!,
    headers: { authorization: `Bearer ${key}` },
    loads: [],
    stop: () => service.stop(),
  };
}

/** `MILLRACE_BENCH_PROFILE=folder` writes a CPU profile of `query` there. */
function profiling(): Record<string, string> {
  const folder = process.env['MILLRACE_BENCH_PROFILE'];
  return folder === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${folder}` };
}

interface PageAnswer {
  data: { events: { nodes: readonly object[]; pageInfo: { hasNextPage: boolean; endCursor: string } } };
}

/** The answer that a server gives each time. @throws Error if it is not the page: the baseline must not be measured at less */
async function requireSameAnswer({ name, url, headers }: PageServer): Promise<string> {
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });
  const text = await response.text();
  const { data } = JSON.parse(text) as Partial<PageAnswer>;
  const isWhole = data?.events.nodes.length === pageSize && data.events.pageInfo.hasNextPage;
  if (response.status !== 200 || !isWhole) throw new Error(`${name} answers ${response.status} with ${text}`);
  return text;
}

async function measure({ url, pid, headers: own }: PageServer, expectBody: string, postgresPid: number): Promise<PageLoad> {
  const headers = { 'content-type': 'application/json', ...own };
  const before = { process: cpuMs(pid), postgres: cpuMsWithChildren(postgresPid) };
  const result = await autocannon({ url, method: 'POST', headers, body, expectBody, connections: callers, amount: requestsPerRound });
  if (result.non2xx + result.errors + result.mismatches > 0) throw new Error(`${url}: some answers were not the page`);
  return {
    pagesPerSecond: requestsPerRound / result.duration,
    processMicros: (1_000 * (cpuMs(pid) - before.process)) / requestsPerRound,
    postgresMicros: (1_000 * (cpuMsWithChildren(postgresPid) - before.postgres)) / requestsPerRound,
  };
}

function report(least: PageServer, ours: PageServer): BenchRow[] {
  const row = (what: string, figure: keyof PageLoad, target?: string): BenchRow => {
    const [a, b] = [least, ours].map(({ loads }) => median(loads.map((load) => load[figure]))) as [number, number];
    const written = figure === 'pagesPerSecond' ? perSecond : (micros: number) => `${micros.toFixed(0)} µs`;
    return {
      what: `GraphQL page of ${pageSize} events with customer, ${callers} callers: ${what}`,
      baseline: `${written(a)} (${least.name})`,
      millrace: written(b),
      ratio: (b / a).toFixed(2),
      ...(target === undefined ? {} : { target }),
    };
  };
  const rows = [
    row('CPU of the process', 'processMicros', '≤ 2.0'),
    row('CPU of Postgres', 'postgresMicros'),
    row('pages per second', 'pagesPerSecond'),
  ];
  for (const { what, baseline: of, millrace: found, ratio } of rows) console.log(`  ${what}: ${of}, Millrace ${found}: ${ratio}`);
  return rows;
}
