import { expect, test } from 'vitest';
import { inSpan, startTracing } from '#libs/tracing';
import { startTraceReceiver } from './index.js';

test('it keeps the spans that our exporter posts, with their parents, service and attributes', async () => {
  const receiver = await startTraceReceiver();
  const tracing = await startTracing({ service: 'mill', otlpUrl: receiver.url, sampleRatio: 1 });
  await inSpan('outer', { attributes: { 'mill.stones': 2 } }, () => inSpan('inner', {}, () => Promise.resolve()));
  await tracing.shutdown();

  const outer = receiver.spans().find((span) => span.name === 'outer');
  const inner = receiver.spans().find((span) => span.name === 'inner');
  expect(outer).toMatchObject({ service: 'mill', parentSpanId: '', attributes: { 'mill.stones': 2 } });
  expect(inner).toMatchObject({ traceId: outer?.traceId, parentSpanId: outer?.spanId });
  await receiver.stop();
});
