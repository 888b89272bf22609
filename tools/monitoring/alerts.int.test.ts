import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { alertTests, promtoolTests } from './alert-tests.js';
import { findPrometheus, whereToGetIt } from './prometheus.js';
import { componentFolder, prometheusRule, readAlerts, rulesFile } from './rules.js';

const run = promisify(execFile);
const promtool = findPrometheus('promtool');
if (promtool === undefined) process.stdout.write(`The tests of the alerts are left out: ${whereToGetIt}\n`);

/** The anchor of a heading, by which documents link to it. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');

test('every alert has a severity, a summary, a section of the runbooks, and a test that it fires and one that it does not', async () => {
  const runbooks = await readFile('docs/runbooks.md', 'utf8');
  const anchors = new Set([...runbooks.matchAll(/^## (.+)$/gm)].map(([, heading]) => `docs/runbooks.md#${anchorOf(heading!)}`));
  const alerts = readAlerts();
  expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length);
  const faulty = alerts.filter(({ labels, annotations }) => {
    const { summary = '', runbook_url: url = '' } = annotations ?? {};
    return !['page', 'ticket'].includes(labels?.['severity'] ?? '') || !summary.endsWith('.') || !anchors.has(url);
  });
  expect(faulty).toEqual([]);
  expect(Object.keys(alertTests).toSorted()).toEqual(alerts.map(({ alert }) => alert).toSorted());
});

test('every section of the runbooks says what it means, who is hurt, what to look at and how it ends', async () => {
  const [, ...sections] = (await readFile('docs/runbooks.md', 'utf8')).split(/^## (?=Millrace)/m);
  expect(sections).toHaveLength(readAlerts().length);
  const faulty = sections.filter((section) => {
    const steps = section.match(/^\d\. /gm)?.join('');
    return steps !== '1. 2. 3. ' || !['**Means:**', '**Hurt:**', '**Ends:**'].every((part) => section.includes(part));
  });
  expect(faulty).toEqual([]);
});

test.skipIf(promtool === undefined)('promtool takes the rules', async () => {
  await run(promtool!, ['check', 'rules', '--lint-fatal', rulesFile]);
});

test.skipIf(promtool === undefined)('promtool takes the configuration of compose', async () => {
  await run(promtool!, ['check', 'config', '--syntax-only', 'tools/compose/prometheus.yaml']);
});

test('compose has the jobs that the alerts name, and every file that it mounts', async () => {
  interface Scraping {
    readonly scrape_configs: readonly {
      readonly job_name: string;
      readonly static_configs: readonly { readonly targets: readonly string[] }[];
    }[];
  }
  interface Compose {
    readonly services: Readonly<Record<string, { readonly volumes?: readonly string[]; readonly profiles?: readonly string[] }>>;
  }
  const { scrape_configs: scraped } = parse(await readFile('tools/compose/prometheus.yaml', 'utf8')) as Scraping;
  const { services } = parse(await readFile('docker-compose.yml', 'utf8'), { merge: true }) as Compose;
  expect(scraped.map((one) => one.job_name)).toEqual(['ingestion', 'ai-processing', 'connectors', 'query']);
  for (const one of scraped) expect(one.static_configs[0]!.targets[0]!.split(':')[0]).toBe(one.job_name);
  const mounted = Object.values(services).flatMap(({ volumes = [] }) => volumes.map((volume) => volume.split(':')[0]!));
  expect(mounted.filter((path) => path.startsWith('.') && !existsSync(path))).toEqual([]);
  expect(['prometheus', 'grafana'].map((name) => services[name]?.profiles)).toEqual([['watch'], ['watch']]);
});

test.skipIf(promtool === undefined)('each alert fires when it should, and not when it should not', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'alerts-'));
  try {
    const file = join(folder, 'tests.yaml');
    await writeFile(file, promtoolTests(resolve(rulesFile)));
    await run(promtool!, ['test', 'rules', file]).catch((error: { stdout: string; stderr: string }) => {
      throw new Error(`${error.stdout}\n${error.stderr}`);
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('the rule for the operator of Prometheus is generated from the rules', async () => {
  expect(await readFile(`${componentFolder}/prometheus-rule.yaml`, 'utf8')).toBe(prometheusRule());
});
