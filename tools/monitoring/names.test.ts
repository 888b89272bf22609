import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import '#apps/ai-processing';
import '#apps/connectors';
import '#apps/ingestion';
import '#apps/query';
import { collectProcessMetrics, metricDescriptions, registry } from '#libs/tracing';
import { alertTests } from './alert-tests.js';
import { dashboards } from './dashboards.js';
import { readExpression } from './promql.js';
import { readRules } from './rules.js';

/** Metrics that Prometheus itself adds, and those of other exporters in a cluster. */
const foreign: Readonly<Record<string, readonly string[]>> = {
  up: [],
  kube_job_status_failed: ['job_name'],
  kubelet_volume_stats_available_bytes: ['persistentvolumeclaim'],
  kubelet_volume_stats_capacity_bytes: ['persistentvolumeclaim'],
};
const ofTarget = ['job', 'instance'];

collectProcessMetrics();
const own = new Map(metricDescriptions().map((metric) => [metric.name, metric]));
const recorded = new Set(readRules().flatMap(({ record }) => (record === undefined ? [] : [record])));
const ofNode = new Map(
  registry
    .getMetricsAsArray()
    .filter(({ name }) => !own.has(name))
    .map((metric) => [metric.name, metric as { labelNames?: readonly string[] }]),
);

/** The labels of a series, with their values where they are known; undefined if there is no such series. */
function labelsOf(series: string): Readonly<Record<string, readonly string[] | string>> | undefined {
  if (recorded.has(series)) return {};
  const known = (labels: readonly string[]): Record<string, string> => Object.fromEntries(labels.map((label) => [label, '']));
  if (series in foreign) return known(foreign[series]!);
  const base = series.replace(/_(bucket|sum|count)$/, '');
  const metric = own.get(series) ?? (own.get(base)?.type === 'histogram' ? own.get(base) : undefined);
  if (metric !== undefined) return { ...metric.labels, ...(series.endsWith('_bucket') ? { le: '' } : {}) };
  const node = ofNode.get(series) ?? ofNode.get(base);
  return node === undefined ? undefined : known(['kind', 'le', ...(node.labelNames ?? [])]);
}

function problemsOf(expression: string): string[] {
  const text = expression.replaceAll('$__rate_interval', '5m');
  const { metrics, labels } = readExpression(text);
  const problems: string[] = [];
  const available = new Set<string>(ofTarget);
  for (const { metric, matchers } of metrics) {
    const known = labelsOf(metric);
    if (known === undefined) {
      problems.push(`${metric} does not exist`);
      continue;
    }
    for (const label of Object.keys(known)) available.add(label);
    for (const { label, values } of matchers) {
      if (ofTarget.includes(label)) continue;
      const allowed = known[label];
      if (allowed === undefined) problems.push(`${metric} has no label ${label}`);
      else if (Array.isArray(allowed)) {
        for (const value of values) if (!allowed.includes(value)) problems.push(`${metric}: ${label} is never ${value}`);
      }
    }
  }
  for (const label of labels) if (!available.has(label)) problems.push(`no metric of it has the label ${label}`);
  return problems;
}

/** The problems of all expressions of a place, each with the place. */
const problemsAt = (where: string, expressions: readonly string[]): string[] =>
  expressions.flatMap((expression) => problemsOf(expression).map((problem) => `${where}: ${problem}: ${expression}`));

test('what is named wrong is found', () => {
  expect(problemsOf('sum(rate(millrace_nothing_total[5m]))')).toEqual(['millrace_nothing_total does not exist']);
  expect(problemsOf('millrace_open_records{customer="c"}')).toEqual(['millrace_open_records has no label customer']);
  expect(problemsOf('sum by (topic) (millrace_open_records)')).toEqual(['no metric of it has the label topic']);
  expect(problemsOf('millrace_dead_letters_open{kind="runs"}')).toEqual(['millrace_dead_letters_open: kind is never runs']);
  expect(() => problemsOf('millrace_open_records{topic}')).toThrow('topic compares with no value');
  expect(problemsOf('millrace_open_records_bucket')).toEqual(['millrace_open_records_bucket does not exist']);
  expect(() => problemsOf('sum(')).toThrow('PromQL');
});

test('every metric and label in the rules and in the tests of alerts exists', () => {
  const expressions = readRules().map(({ expr }) => expr);
  const series = Object.values(alertTests).flatMap(({ fires, silent }) => Object.keys({ ...fires, ...silent }));
  expect([...problemsAt('rules.yaml', expressions), ...problemsAt('alert-tests.ts', series)]).toEqual([]);
});

test('every metric and label in the dashboards exists', () => {
  for (const { title, panels, variable } of dashboards) {
    const expressions = panels.flatMap(({ queries }) => queries.map(({ expr }) => expr));
    const ofVariable = variable === undefined ? [] : [`sum by (${variable.name}) (${variable.metric})`];
    expect(problemsAt(title, [...expressions, ...ofVariable])).toEqual([]);
  }
});

test('every alert that a panel links to exists', () => {
  const linked = dashboards.flatMap(({ panels }) => panels.flatMap(({ alert }) => alert ?? []));
  expect(linked.filter((alert) => !(alert in alertTests))).toEqual([]);
});

/** Roles, databases and channels of Postgres are named in the same way as metrics. */
const ofPostgres = /^millrace_(service|query|owner|migrate|template|configuration|deliveries)$/;

/** The PromQL in the code of a line of a document. */
function expressionsIn(text: string): string[] {
  return [...text.matchAll(/`([^`\n]*\b(?:(?:millrace|nodejs|process)_|up\{)[^`\n]*)`/g)]
    .map(([, code]) => code!)
    .filter(
      (code) => !ofPostgres.test(code) && !code.includes('…') && /^[(a-z_]+[\w(]*/.test(code) && !/^[a-z]+ (?!by)|=\S*\/|[;:]/.test(code),
    );
}

test('every metric and label that a document names exists', () => {
  const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', 'docs/*.md', 'README.md'], { encoding: 'utf8' });
  const found = new Map(
    files
      .trim()
      .split('\n')
      .map((file) => [file, expressionsIn(readFileSync(file, 'utf8'))]),
  );
  expect([...found].flatMap(([file, expressions]) => problemsAt(file, expressions))).toEqual([]);
  expect(found.get('docs/runbooks.md')!.length).toBeGreaterThan(40);
  expect(found.get('docs/metrics.md')!.length).toBeGreaterThan(40);
});

interface Scaled {
  readonly kind?: string;
  readonly spec?: { readonly triggers?: readonly { readonly type: string; readonly metadata: { readonly query?: string } }[] };
}

test('every trigger that scales on a metric names one that exists', () => {
  const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', 'k8s'], { encoding: 'utf8' }).trim().split('\n');
  const problems = files
    .filter((file) => file.endsWith('.yaml'))
    .flatMap((file) => {
      const scaled = parseAllDocuments(readFileSync(file, 'utf8')).map((document) => document.toJS() as Scaled | null);
      const triggers = scaled.flatMap((one) => (one?.kind === 'ScaledObject' ? (one.spec?.triggers ?? []) : []));
      return problemsAt(
        file,
        triggers.flatMap(({ type, metadata }) => (type === 'prometheus' ? (metadata.query ?? '') : [])),
      );
    });
  expect(problems).toEqual([]);
});
