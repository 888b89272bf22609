import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
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
