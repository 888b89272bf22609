import { execFileSync } from 'node:child_process';
import type { MetricDescription } from '#libs/tracing';

const services = ['ingestion', 'ai-processing', 'connectors', 'query'] as const;

interface OfProcess {
  readonly own: readonly MetricDescription[];
  readonly others: readonly { readonly name: string; readonly type: string; readonly help: string }[];
}

/** Loads the code of one service in a process of its own, because all services in one process would share what each declares. */
function metricsOf(service: string): OfProcess {
  const script = `
    const { collectProcessMetrics, metricDescriptions, registry } = await import('#libs/tracing');
    await import('#libs/service');
    await import('#apps/${service}');
    const own = metricDescriptions();
    collectProcessMetrics();
    const names = new Set(own.map(({ name }) => name));
    const others = (await registry.getMetricsAsJSON()).filter(({ name }) => !names.has(name)).map(({ name, type, help }) => ({ name, type, help }));
    process.stdout.write(JSON.stringify({ own, others }), () => process.exit(0));`;
  return JSON.parse(
    execFileSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8', timeout: 60_000, maxBuffer: 16_777_216 }),
  ) as OfProcess;
}

/** `docs/metrics.md`: every metric that a service declares, from the declarations themselves. */
export function metricsPage(generated: string): string {
  const found = new Map<string, { metric: MetricDescription; services: string[] }>();
  let others: OfProcess['others'] = [];
  for (const service of services) {
    const ofProcess = metricsOf(service);
    others = ofProcess.others;
    for (const metric of ofProcess.own) {
      const known = found.get(metric.name) ?? { metric, services: [] };
      known.services.push(service);
      found.set(metric.name, known);
    }
  }
  const rows = [...found.values()]
    .toSorted((a, b) => (a.metric.name < b.metric.name ? -1 : 1))
    .map(({ metric: { name, type, help, labels }, services: of }) => {
      const by = of.length === services.length ? 'all' : of.join(', ');
      return `| \`${name}\` | ${type} | ${unitOf(name)} | ${labelsText(labels)} | ${by} | ${cell(help)} |`;
    });
  const intro = [
    'Every metric of the services, as `/metrics` answers it: as Prometheus text, and as OpenMetrics with exemplars where the scraper asks for `application/openmetrics-text`. The label `trace_id` of an exemplar is that of the trace in your tracing system; there are exemplars only where traces are recorded (`OTEL_EXPORTER_OTLP_ENDPOINT`). A counter is named without `_total` in the `# TYPE` line of OpenMetrics, and its series have the same name in both formats.',
    'The label `tenant` stands only where the number of series stays in proportion to the tenants; no metric has a customer, an event or a destination as a label. Series whose label values are known beforehand exist from the start with 0. Gauges that are about all processes have the same value in each of them: take `max`, not `sum`. What alerts and dashboards make of the metrics: [runbooks.md](runbooks.md).',
  ];
  const table = ['| metric | type | unit | labels | service | what it is |', '| --- | --- | --- | --- | --- | --- |', ...rows];
  const otherRows = others
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, type, help }) => `| \`${name}\` | ${type} | ${unitOf(name)} | ${cell(help)} |`);
  const otherTable = ['| metric | type | unit | what it is |', '| --- | --- | --- | --- |', ...otherRows];
  return [
    '# Metrics',
    '',
    generated,
    '',
    intro.join('\n\n'),
    '',
    ...table,
    '',
    '## Of the process and of Node',
    '',
    ...otherTable,
    '',
  ].join('\n');
}

function labelsText(labels: MetricDescription['labels']): string {
  const parts = Object.entries(labels).map(([name, values]) => {
    const text = typeof values === 'string' ? values : values.map((value) => `\`${value}\``).join(', ');
    return `\`${name}\`: ${cell(text)}`;
  });
  return parts.length === 0 ? '–' : parts.join('; ');
}

const units: readonly (readonly [ending: RegExp, unit: string])[] = [
  [/_timestamp_seconds$/, 'Unix time'],
  [/_seconds(_total)?$/, 's'],
  [/_bytes$/, 'bytes'],
];

function unitOf(name: string): string {
  return units.find(([ending]) => ending.test(name))?.[1] ?? 'count';
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
