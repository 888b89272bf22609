import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import type { Metric } from 'prom-client';
import { Histogram } from './histogram.js';
import { openMetrics, openMetricsType } from './open-metrics.js';

/** The metrics of the process, as `/metrics` prints them. */
export const registry = new Registry();

/** Gauges that are named as counters are. What they count is in `nodejs_active_handles` and its siblings, too. */
const misnamed = ['nodejs_active_resources_total', 'nodejs_active_handles_total', 'nodejs_active_requests_total'];

/** One of those that prom-client collects. */
const processMetric = 'process_cpu_user_seconds_total';

/** Starts to collect CPU, memory and event-loop metrics of the process. Does nothing if they are collected already. */
export function collectProcessMetrics(): void {
  if (registry.getSingleMetric(processMetric) !== undefined) return;
  collectDefaultMetrics({ register: registry });
  for (const name of misnamed) registry.removeSingleMetric(name);
}

/** The metrics in the exposition format that a scraper asks for: OpenMetrics, which has exemplars, or Prometheus' own text. */
export async function exposition(accept = ''): Promise<{ contentType: string; text: string }> {
  if (!accept.includes('application/openmetrics-text')) return { contentType: registry.contentType, text: await registry.metrics() };
  return { contentType: openMetricsType, text: openMetrics(await registry.getMetricsAsJSON()) };
}

/** Upper bounds in seconds, from a millisecond to a minute. All durations share them, so that they can be compared. */
export const durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** The same, up to an hour: for durations that contain the waits of an outage. */
export const durationBucketsToAnHour = [...durationBuckets, 120, 300, 900, 3_600];

/**
 * The labels of a metric. Of each: its values, if they are known beforehand, else what they are. Each must have few values, so a customer cannot be
 * one. Series whose values are all known exist from the start, because `increase()` sees no change from nothing to one.
 */
export type Labels<L extends string> = Readonly<Record<L, readonly string[] | string>>;

/** A metric as its module declares it. */
export interface MetricDescription {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: Labels<string>;
}

const descriptions = new Map<string, MetricDescription>();

/** The metrics that the code loaded so far declares, by name. */
export function metricDescriptions(): MetricDescription[] {
  return [...descriptions.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Returns the counter of this name, and creates it on the first call. The module that counts declares it. */
export function counter<L extends string>(name: `millrace_${string}_total`, help: string, labels: Labels<L>): Counter<L> {
  const known = registry.getSingleMetric(name) as Counter<L> | undefined;
  if (known !== undefined) return known;
  descriptions.set(name, { name, type: 'counter', help, labels });
  const created = new Counter({ name, help, labelNames: namesOf(labels), registers: [registry] });
  for (const one of combinations(labels)) created.inc(one, 0);
  return created;
}

/** @param collect sets the values whenever they are read; default: whoever declares the gauge sets them */
export function gauge<L extends string>(
  name: `millrace_${string}`,
  help: string,
  labels: Labels<L>,
  collect?: (gauge: Gauge<L>) => void,
): Gauge<L> {
  const known = registry.getSingleMetric(name) as Gauge<L> | undefined;
  if (known !== undefined) return known;
  descriptions.set(name, { name, type: 'gauge', help, labels });
  const created: Gauge<L> = new Gauge({
    name,
    help,
    labelNames: namesOf(labels),
    registers: [registry],
    ...(collect === undefined ? {} : { collect: () => collect(created) }),
  });
  return created;
}

/** Returns the histogram of this name, and creates it on the first call. Durations are in seconds. Default buckets: {@link durationBuckets}. */
export function histogram<L extends string>(
  name: `millrace_${string}`,
  help: string,
  labels: Labels<L>,
  buckets: readonly number[] = durationBuckets,
): Histogram<L> {
  const known = registry.getSingleMetric(name) as unknown as Histogram<L> | undefined;
  if (known !== undefined) return known;
  descriptions.set(name, { name, type: 'histogram', help, labels });
  const created = new Histogram(name, help, namesOf(labels), buckets);
  for (const one of combinations(labels)) created.begin(one);
  registry.registerMetric(created as unknown as Metric); // safe: the registry uses only the name and the values of a metric
  return created;
}

/** Makes series of a counter exist whose values a part of the process knows only when it starts, such as the group of a consumer. */
export function startAtZero<L extends string>(
  metric: Pick<Counter<L>, 'inc'>,
  values: Readonly<Record<L, string | readonly string[]>>,
): void {
  const lists = Object.entries<string | readonly string[]>(values).map(([name, one]) => [name, typeof one === 'string' ? [one] : one]);
  for (const one of combinations(Object.fromEntries(lists) as Labels<L>)) metric.inc(one, 0);
}

function namesOf<L extends string>(labels: Labels<L>): L[] {
  return Object.keys(labels) as L[];
}

/** Every combination of the labels' values. None if there are no labels, or the values of one are not known. */
function combinations<L extends string>(labels: Labels<L>): Record<L, string>[] {
  const lists = Object.entries<readonly string[] | string>(labels);
  if (lists.length === 0) return [];
  let found: Record<string, string>[] = [{}];
  for (const [name, values] of lists) {
    if (typeof values === 'string') return [];
    found = found.flatMap((one) => values.map((value) => ({ ...one, [name]: value })));
  }
  return found;
}
