/**
 * `npm run footprint`: starts each service over an embedded Postgres and the local broker, and prints how many modules it loads and how much
 * memory it takes when it has been ready for a while. `-- --root DIR` measures the build of another checkout.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { EmbeddedPostgres } from '#libs/embedded-postgres';
import { migrate } from '#libs/migrations';
import { freePort, takesConnections } from '#libs/ports';
import { sleep } from '#libs/time';
import { ServiceProcess } from '../../test/forms/service-process.js';

/** A service still allocates memory after it is ready, such as its first prepared statements. */
const settleMs = 5_000;
/** The median of them is shown: garbage collection alone moves the memory of one start by some MiB. */
const starts = 3;
/** Shown in columns of their own; every other module counts in the total only. */
const packages = ['typeorm', 'kafkajs', '@nestjs', 'graphql'];

interface Footprint {
  readonly service: string;
  readonly moduleUrls: readonly string[];
  readonly rssMiB: number;
}

const { values } = parseArgs({ options: { root: { type: 'string', default: process.cwd() } } });
const directory = mkdtempSync(join(tmpdir(), 'millrace-footprint-'));
const preload = new URL('count-modules.js', import.meta.url).href;

console.log(table(await measureAll(resolve(values.root))));

async function measureAll(root: string): Promise<Footprint[]> {
  const postgres = await EmbeddedPostgres.start({ directory: join(directory, 'postgres'), durable: false });
  try {
    await migrate(postgres.ownerUrl);
    return await measureServices(root, postgres);
  } finally {
    await postgres.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measureServices(root: string, postgres: EmbeddedPostgres): Promise<Footprint[]> {
  const brokerPort = await freePort();
  const brokerSettings = { LOCAL_BROKER_PORT: String(brokerPort), LOCAL_BROKER_DIRECTORY: join(directory, 'log') };
  const broker = new ServiceProcess('local-broker', brokerPort, brokerSettings, takesConnections);
  await broker.start();
  const shared = {
    DATABASE_URL: postgres.serviceUrl,
    KAFKA_BROKERS: `127.0.0.1:${brokerPort}`,
    KAFKA_ACK_COPIES: '1',
    SECRETS_KEY: randomBytes(32).toString('base64'),
  };
  try {
    return [
      await measure(root, 'ingestion', shared),
      await measure(root, 'ai-processing', { ...shared, MODEL_BASE_URL: 'http://127.0.0.1:9/v1', MODEL_API_KEY: 'none' }),
      await measure(root, 'connectors', shared),
      await measure(root, 'query', {
        ...shared,
        QUERY_DATABASE_URL: postgres.queryUrl,
        OPERATOR_KEY: 'mr_test_operator_0123456789abcdef0123456789abcdef',
      }),
      await measure(root, 'standalone', { MILLRACE_DIRECTORY: join(directory, 'standalone') }),
    ];
  } finally {
    await broker.stop();
  }
}

async function measure(root: string, service: string, settings: Record<string, string>): Promise<Footprint> {
  const measured: Footprint[] = [];
  for (let at = 0; at < starts; at += 1) measured.push(await measureStart(root, service, settings));
  return measured.toSorted((a, b) => a.rssMiB - b.rssMiB)[Math.floor(starts / 2)]!;
}

async function measureStart(root: string, service: string, settings: Record<string, string>): Promise<Footprint> {
  const file = join(directory, `${service}.json`);
  const environment = { ...settings, NODE_OPTIONS: `--import=${preload}`, FOOTPRINT_FILE: file };
  const running = new ServiceProcess(service, await freePort(), environment, undefined, root);
  try {
    await running.start();
    await sleep(settleMs);
    const rssKiB = Number(execFileSync('ps', ['-o', 'rss=', '-p', String(running.pid)], { encoding: 'utf8' }));
    await running.stop();
    return { service, moduleUrls: JSON.parse(readFileSync(file, 'utf8')) as string[], rssMiB: Math.round(rssKiB / 1024) };
  } finally {
    await running.stop();
  }
}

function table(footprints: readonly Footprint[]): string {
  const head = ['service', 'modules', 'ours', ...packages, 'RSS, MiB'];
  const rows = footprints.map(({ service, moduleUrls, rssMiB }) => {
    const count = (part: string): number => moduleUrls.filter((url) => url.includes(part)).length;
    const own = moduleUrls.filter((url) => !url.includes('/node_modules/')).length;
    return [service, moduleUrls.length, own, ...packages.map((name) => count(`/node_modules/${name}/`)), rssMiB];
  });
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
