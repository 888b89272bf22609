import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import type { Metric } from 'prom-client';
import { Histogram } from './histogram.js';

/** The process's one registry; what `/metrics` prints. */
export const registry = new Registry();

/** CPU, memory and event-loop metrics of the process; call once at its start. */
export function collectProcessMetrics(): void {
  collectDefaultMetrics({ register: registry });
}

/** Seconds, from a millisecond to a minute: one set for all durations, so that they can be laid over each other. */
export const durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/**
 * A counter named by Prometheus' rules: `millrace_…_total`. Declared where it is counted; labels are few and low in number: never a customer.
 * Declaring the same metric twice (two instances of a module in one process) gives the same counter.
 */
export function counter<L extends string>(name: `millrace_${string}_total`, help: string, labels: readonly L[]): Counter<L> {
  return (
    (registry.getSingleMetric(name) as Counter<L> | undefined) ?? new Counter({ name, help, labelNames: labels, registers: [registry] })
  );
}

export function gauge<L extends string>(name: `millrace_${string}`, help: string, labels: readonly L[]): Gauge<L> {
  return (registry.getSingleMetric(name) as Gauge<L> | undefined) ?? new Gauge({ name, help, labelNames: labels, registers: [registry] });
}

/** Durations are in seconds, with {@link durationBuckets} unless others are given. */
export function histogram<L extends string>(
  name: `millrace_${string}`,
  help: string,
  labels: readonly L[],
  buckets: readonly number[] = durationBuckets,
): Histogram<L> {
  return (registry.getSingleMetric(name) as unknown as Histogram<L> | undefined) ?? registered(new Histogram(name, help, labels, buckets));
}

/** The registry asks a metric for no more than its name and its values. */
function registered<L extends string>(made: Histogram<L>): Histogram<L> {
  registry.registerMetric(made as unknown as Metric);
  return made;
}
