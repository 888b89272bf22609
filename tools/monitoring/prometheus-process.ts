import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { freePort } from '#libs/ports';
import { waitFor } from '#libs/testing';
import { Program, endsWithParent, flagsOf } from '../programs/program.js';
import type { SentQuery } from './dashboards.js';
import { rulesFile } from './rules.js';

interface QueryResult {
  readonly metric: Readonly<Record<string, string>>;
}

/** A Prometheus with the rules of Millrace, on loopback. */
export interface PrometheusProcess {
  /** The series that an expression gives now. @throws Error with Prometheus' reason if it does not take the expression */
  query(expression: string): Promise<readonly QueryResult[]>;
  /** The answer of an address of its API below `/api/v1/`. */
  api<T>(address: string): Promise<T>;
  stop(): Promise<void>;
}

/** Scrapes the targets every second. @param targets addresses, by the name of their job */
export async function startPrometheus(program: string, targets: Readonly<Record<string, readonly string[]>>): Promise<PrometheusProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-prometheus-'));
  const port = await freePort();
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '5s' },
    rule_files: [resolve(rulesFile)],
    scrape_configs: Object.entries(targets).map(([job_name, urls]) => ({
      job_name,
      static_configs: [{ targets: urls.map((url) => new URL(url).host) }],
    })),
  };
  await writeFile(join(folder, 'prometheus.yaml'), stringify(config));
  const flags = {
    'config.file': join(folder, 'prometheus.yaml'),
    'storage.tsdb.path': join(folder, 'data'),
    'web.listen-address': `127.0.0.1:${port}`,
    'enable-feature': 'exemplar-storage',
    'log.level': 'error',
  };
  const running = new Program(await endsWithParent([program, flagsOf(flags)]), join(folder, 'prometheus.log'));
  const base = `http://127.0.0.1:${port}`;
  const api = async <T>(address: string): Promise<T> => {
    const { data, error } = (await (await fetch(`${base}/api/v1/${address}`)).json()) as { data: T; error?: string };
    if (error !== undefined) throw new Error(error);
    return data;
  };
  await waitFor(async () => (await fetch(`${base}/-/ready`)).ok, { what: 'Prometheus', deadlineMs: 30_000 });
  return {
    api,
    query: async (expression) => (await api<{ result: readonly QueryResult[] }>(`query?query=${encodeURIComponent(expression)}`)).result,
    async stop() {
      await running.end('SIGTERM');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Waits until every query has given series. @returns those that had none until the deadline */
export async function queriesWithoutSeries(
  prometheus: PrometheusProcess,
  queries: readonly SentQuery[],
  deadlineMs: number,
): Promise<readonly SentQuery[]> {
  let missing = queries;
  const hasAll = async (): Promise<boolean> => {
    const found = await Promise.all(missing.map(async ({ expr }) => (await prometheus.query(expr)).length > 0));
    missing = missing.filter((_, at) => !found[at]);
    return missing.length === 0;
  };
  await waitFor(hasAll, { what: 'series for every query', deadlineMs }).catch(() => undefined);
  return missing;
}
