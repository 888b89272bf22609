import { Histogram as PromHistogram, Registry } from 'prom-client';
import type { Metric } from 'prom-client';
import { expect, test } from 'vitest';
import { Histogram } from './histogram.js';

const name = 'millrace_test_seconds';
const help = 'What took how long.';
const bounds = [0.001, 0.5, 2];

test('it is printed as prom-client prints its own', async () => {
  const [ours, theirs] = [new Registry(), new Registry()];
  const own = new Histogram(name, help, ['door', 'status'], bounds);
  ours.registerMetric(own as unknown as Metric);
  const prom = new PromHistogram({ name, help, labelNames: ['door', 'status'], buckets: [...bounds], registers: [theirs] });
  for (const [door, status, value] of [
    ['a', 200, 0.0005],
    ['a', 200, 0.001],
    ['a', 200, 0.3],
    ['b', 200, 1],
    ['a', 503, 7],
    ['a', 200, 7],
  ] as const) {
    own.observe({ door, status }, value);
    prom.observe({ door, status }, value);
  }
  expect(await ours.metrics()).toBe(await theirs.metrics());
});
