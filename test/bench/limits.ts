import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { freePort } from '#libs/ports';
import { hasRedis, startRedis } from '#libs/testing';
import { sleep } from '#libs/time';
import { ServiceProcess } from '../forms/service-process.js';
import type { LimitsCount } from './limits-worker.js';
import type { BenchRow } from './report.js';

const perMinute = 600;
const workers = 4;
const warmUpMs = 10_000;
const measuredMs = 60_000;

/**
 * Measures how much of a provider's rate four processes use that share it over Redis, how often they are refused, and how their lanes share it. The
 * provider is the local model, which enforces the limit.
 */
export async function benchLimits(): Promise<BenchRow[]> {
  if (!hasRedis()) return [];
  const redis = await startRedis();
  const port = await freePort();
  const model = new ServiceProcess('local-model', port, { LOCAL_MODEL_REQUESTS_PER_MINUTE: String(perMinute), LOG_LEVEL: 'error' });
  await model.start();
  const children = Array.from({ length: workers }, () =>
    fork(new URL('./limits-worker.js', import.meta.url), [`http://127.0.0.1:${port}/local-model/v1`, redis.url]),
  );
  await Promise.all(children.map((child) => once(child, 'message')));
  await sleep(warmUpMs);
  for (const child of children) child.send('count');
  await sleep(measuredMs);
  const counts = await Promise.all(children.map(countOf));
  await model.stop();
  await redis.stop();
  return [rowOf(counts)];
}

async function countOf(child: ChildProcess): Promise<LimitsCount> {
  const answered = once(child, 'message') as Promise<[LimitsCount]>;
  child.send('stop');
  const [count] = await answered;
  return count;
}

function rowOf(counts: readonly LimitsCount[]): BenchRow {
  const sum = (of: (count: LimitsCount) => number): number => counts.reduce((total, count) => total + of(count), 0);
  const [high, normal, low] = [sum((one) => one.answered.high), sum((one) => one.answered.normal), sum((one) => one.answered.low)];
  const refused = sum((one) => one.refused);
  const answered = high + normal + low;
  const allowed = (perMinute * measuredMs) / 60_000;
  const row = {
    what: `${workers} processes share ${perMinute} requests a minute over Redis, for ${measuredMs / 1_000} s`,
    baseline: `${allowed} allowed`,
    millrace: `${answered} answered (high ${high}, normal ${normal}, low ${low}), ${refused} refused with 429`,
    ratio: `${((100 * answered) / allowed).toFixed(1)} % used, ${((100 * refused) / Math.max(1, answered + refused)).toFixed(2)} % refused`,
    target: '≥ 95 % used, < 0.5 % refused',
  };
  console.log(`${row.what}: ${row.millrace}: ${row.ratio}`);
  return row;
}
