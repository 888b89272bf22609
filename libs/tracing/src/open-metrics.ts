import type { Exemplar } from './histogram.js';

export const openMetricsType = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

interface Family {
  readonly name: string;
  readonly help: string;
  /** A name of prom-client's, or its number in an enumeration. */
  readonly type: unknown;
  readonly values: readonly {
    readonly value: number;
    readonly labels: Readonly<Record<string, string | number | undefined>>;
    readonly metricName?: string;
    /** Null in the histograms of prom-client. */
    readonly exemplar?: Exemplar | null | undefined;
  }[];
}

/**
 * Prints metrics as OpenMetrics 1.0. prom-client's own printer renames the counters of its registry for good, so that Prometheus' text would lack their
 * `_total` afterwards.
 * @see https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md
 */
export function openMetrics(families: readonly unknown[]): string {
  return `${(families as readonly Family[]).map(printed).join('')}# EOF\n`;
}

function printed({ name, help, type, values }: Family): string {
  const family = type === 'counter' ? name.replace(/_total$/, '') : name;
  let text = `# HELP ${family} ${escaped(help)}\n# TYPE ${family} ${String(type)}\n`;
  for (const { metricName = name, labels, value, exemplar } of values) {
    const sample = type === 'counter' ? `${family}_total` : metricName;
    text += `${sample}${labelSet(labels)} ${numeral(value)}${exemplar ? exemplarText(exemplar) : ''}\n`;
  }
  return text;
}

function exemplarText({ traceId, value, timestampMs }: Exemplar): string {
  return ` # {trace_id="${traceId}"} ${numeral(value)} ${timestampMs / 1_000}`;
}

function labelSet(labels: Readonly<Record<string, string | number | undefined>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(String(value)).replaceAll('"', '\\"')}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function numeral(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}
