import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import type { Metric } from 'prom-client';
import { Histogram } from './histogram.js';

/** The metrics of the process, as `/metrics` prints them. */
export const registry = new Registry();

/** Starts to collect CPU, memory and event-loop metrics of the process. Call it once. */
export function collectProcessMetrics(): void {
  collectDefaultMetrics({ register: registry });
}

/** Upper bounds in seconds, from a millisecond to a minute. All durations share them, so that they can be compared. */
export const durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/**
 * Returns the counter of this name, and creates it on the first call. The module that counts declares it. Each label must have few values, so a
 * customer cannot be one.
 */
export function counter<L extends string>(name: `millrace_${string}_total`, help: string, labels: readonly L[]): Counter<L> {
  return (
    (registry.getSingleMetric(name) as Counter<L> | undefined) ?? new Counter({ name, help, labelNames: labels, registers: [registry] })
  );
}

export function gauge<L extends string>(name: `millrace_${string}`, help: string, labels: readonly L[]): Gauge<L> {
  return (registry.getSingleMetric(name) as Gauge<L> | undefined) ?? new Gauge({ name, help, labelNames: labels, registers: [registry] });
}

/** Returns the histogram of this name, and creates it on the first call. Durations are in seconds. Default buckets: {@link durationBuckets}. */
export function histogram<L extends string>(
  name: `millrace_${string}`,
  help: string,
  labels: readonly L[],
  buckets: readonly number[] = durationBuckets,
): Histogram<L> {
  return (registry.getSingleMetric(name) as unknown as Histogram<L> | undefined) ?? registered(new Histogram(name, help, labels, buckets));
}

/** The cast is safe: the registry uses only the name and the values of a metric. */
function registered<L extends string>(metric: Histogram<L>): Histogram<L> {
  registry.registerMetric(metric as unknown as Metric);
  return metric;
}
