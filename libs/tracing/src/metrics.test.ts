import { expect, test } from 'vitest';
import { startTraceReceiver } from '#libs/testing';
import { collectProcessMetrics, counter, exposition, histogram, metricDescriptions, registry, startAtZero } from './metrics.js';
import { inSpan, recordedTraceId, startTracing } from './tracing.js';

const openMetrics = async (): Promise<string> => (await exposition('application/openmetrics-text')).text;
const lines = (text: string, start: string): string[] => text.split('\n').filter((line) => line.startsWith(start));

test('series whose values are known exist before the first count', async () => {
  counter('millrace_test_known_total', 'Known.', { state: ['a', 'b'] });
  const partly = counter('millrace_test_partly_total', 'Partly known.', { group: 'the group', outcome: ['ok', 'failed'] });
  histogram('millrace_test_known_seconds', 'Known.', { door: ['one'] }, [1]);
  const before = (await exposition()).text;
  expect(lines(before, 'millrace_test_known_total')).toEqual([
    'millrace_test_known_total{state="a"} 0',
    'millrace_test_known_total{state="b"} 0',
  ]);
  expect(lines(before, 'millrace_test_known_seconds_count')).toEqual(['millrace_test_known_seconds_count{door="one"} 0']);
  expect(lines(before, 'millrace_test_partly_total')).toEqual([]);
  startAtZero(partly, { group: 'g', outcome: ['ok', 'failed'] });
  expect(lines((await exposition()).text, 'millrace_test_partly_total')).toHaveLength(2);
});

test('OpenMetrics names a counter without its ending, its samples with it, and the text stays as it is', async () => {
  counter('millrace_test_named_total', 'Named "so"\nand so.', { tenant: 'the tenant' }).inc({ tenant: 'a"b\\c\nd' }, 2);
  const text = await openMetrics();
  expect(lines(text, '# TYPE millrace_test_named')).toEqual(['# TYPE millrace_test_named counter']);
  expect(lines(text, '# HELP millrace_test_named')).toEqual(['# HELP millrace_test_named Named "so"\\nand so.']);
  expect(lines(text, 'millrace_test_named')).toEqual(['millrace_test_named_total{tenant="a\\"b\\\\c\\nd"} 2']);
  expect(text.endsWith('\n# EOF\n')).toBe(true);
  expect(lines((await exposition()).text, '# TYPE millrace_test_named')).toEqual(['# TYPE millrace_test_named_total counter']);
});

test('a value of a recorded trace is the example of its bucket, and one without a trace leaves it', async () => {
  const duration = histogram('millrace_test_traced_seconds', 'Traced.', {}, [1, 2]);
  const observe = (value: number): void => duration.observe({}, value, recordedTraceId());
  observe(0.5);
  expect(await openMetrics()).not.toContain('trace_id');
  const receiver = await startTraceReceiver();
  const tracing = await startTracing({ service: 'test', otlpUrl: receiver.url, sampleRatio: 1 });
  const traceId = await inSpan('work', {}, async (span) => {
    observe(1.5);
    return span.spanContext().traceId;
  });
  await inSpan('unsampled', { parent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00` }, async () => observe(1.7));
  await tracing.shutdown();
  await receiver.stop();
  const buckets = lines(await openMetrics(), 'millrace_test_traced_seconds_bucket');
  expect(buckets.filter((line) => line.includes('trace_id'))).toEqual([
    expect.stringMatching(new RegExp(`^millrace_test_traced_seconds_bucket\\{le="2"\\} 3 # \\{trace_id="${traceId}"\\} 1.5 \\d+`)),
  ]);
  expect((await exposition()).text).not.toContain('trace_id');
});

test('the metrics of the process come as OpenMetrics, too', async () => {
  const before = new Set(registry.getMetricsAsArray().map(({ name }) => name));
  collectProcessMetrics();
  collectProcessMetrics();
  const text = await openMetrics();
  expect(text).toContain('# TYPE nodejs_gc_duration_seconds histogram');
  expect(text).toContain('# TYPE process_cpu_seconds counter');
  expect(text).not.toMatch(/nodejs_active_\w+_total/);
  for (const { name } of registry.getMetricsAsArray()) if (!before.has(name)) registry.removeSingleMetric(name);
});

test('each metric is described once, with its labels', () => {
  counter('millrace_test_known_total', 'Again.', { state: ['c'] });
  expect(metricDescriptions().filter(({ name }) => name === 'millrace_test_known_total')).toEqual([
    { name: 'millrace_test_known_total', type: 'counter', help: 'Known.', labels: { state: ['a', 'b'] } },
  ]);
});
