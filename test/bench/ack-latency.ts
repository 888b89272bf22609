import { applyBenchDocuments } from './documents.js';
import { maxAckRate, signedWebhook, spawnServer, startIngestion } from './acks.js';
import type { AckServer } from './acks.js';
import type { BenchEnvironment } from './environment.js';
import { percentile } from './numbers.js';
import { openLoop } from './open-loop.js';
import { perSecond } from './report.js';
import type { BenchRow } from './report.js';

const seconds = 5;
const customers = 100;
const shares = [0.5, 0.99, 0.999] as const;

/**
 * Measures how long an acknowledgement takes at half of the highest rate, which is found first, in the same run and with the same webhooks. Requests come at
 * their times whether or not those before them were answered (open loop), and wait from the time at which they were due, so that a stall counts for all
 * that it delays. The baseline answers the same requests at the same rate. Both take turns.
 */
export async function benchAckLatency(environment: BenchEnvironment, rounds: number): Promise<BenchRow[]> {
  await applyBenchDocuments(environment.databaseUrl, 'http://127.0.0.1:9/');
  const bare = await spawnServer('node:http that reads the body and answers 202', 'dist/test/bench/bare-server.js');
  const rows: BenchRow[] = [];
  try {
    for (const log of environment.logs) {
      const ingestion = await startIngestion(environment, log.brokers);
      try {
        rows.push(await benchLog({ name: log.name, url: ingestion.url, pid: ingestion.pid!, stop: () => ingestion.stop() }, bare, rounds));
      } finally {
        await ingestion.stop();
      }
    }
  } finally {
    await bare.stop();
  }
  return rows;
}

async function benchLog(ours: AckServer, bare: AckServer, rounds: number): Promise<BenchRow> {
  const highest = await maxAckRate(ours, customers);
  const rate = highest / 2;
  const latencies = new Map<AckServer, number[]>([bare, ours].map((server) => [server, []]));
  for (const server of [bare, ours]) await run(server, rate, 2); // warm-up, not counted
  for (let round = 0; round < rounds; round += 1) {
    for (const server of [bare, ours]) latencies.get(server)!.push(...(await run(server, rate, seconds)));
  }
  const [least, found] = [bare, ours].map((server) => shares.map((share) => percentile(latencies.get(server)!, share)));
  const ratio = found!.map((ms, at) => (ms / least![at]!).toFixed(1)).join(' / ');
  console.log(
    `Latency of the ack, ${ours.name}: highest rate ${perSecond(highest)}, measured at ${perSecond(rate)}, ${latencies.get(ours)!.length} requests each`,
  );
  console.log(`  ${bare.name.padEnd(46)} p50, p99, p99.9: ${described(least!)}`);
  console.log(`  ${'Millrace'.padEnd(46)} p50, p99, p99.9: ${described(found!)}   ${ratio} × the baseline`);
  return {
    what: `latency of the ack at ${perSecond(rate)}, half of the highest rate, ${ours.name}: p50, p99, p99.9`,
    baseline: `${described(least!)} (node:http that reads the body and answers 202)`,
    millrace: described(found!),
    ratio,
  };
}

const described = (values: readonly number[]): string => `${values.map((ms) => ms.toFixed(1)).join(', ')} ms`;

async function run(server: AckServer, rate: number, forSeconds: number): Promise<readonly number[]> {
  const webhooks = Array.from({ length: customers }, (_, at) => signedWebhook(`customer-${at}`));
  const heads = webhooks.map(({ body, headers }) =>
    [
      'POST /webhooks/bench.github HTTP/1.1',
      'host: bench',
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      `content-length: ${Buffer.byteLength(body)}`,
      'x-github-delivery: ',
    ].join('\r\n'),
  );
  const name = `${process.pid}-${performance.now()}`;
  const requestAt = (index: number): string => `${heads[index % customers]}${name}-${index}\r\n\r\n${webhooks[index % customers]!.body}`;
  const { latenciesMs } = await openLoop(server.url, { perSecond: rate, seconds: forSeconds, requestAt });
  return latenciesMs;
}
