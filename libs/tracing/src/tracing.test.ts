import { afterAll, beforeAll, expect, test } from 'vitest';
import { activeSpan, currentTraceparent, inSpan, startSpan, startTracing, traceIdOf } from './tracing.js';
import type { Tracing } from './tracing.js';

const incoming = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
let tracing: Tracing;
beforeAll(async () => {
  tracing = await startTracing({ service: 'test', otlpUrl: undefined, sampleRatio: 1 });
});
afterAll(() => tracing.shutdown());

test('work joins the trace it is given, as a span of its own, and nested work joins the same trace', async () => {
  await inSpan('outer', { parent: incoming }, async () => {
    const outer = currentTraceparent();
    expect(traceIdOf(outer)).toBe('4bf92f3577b34da6a3ce929d0e0e4736');
    expect(outer).not.toContain('00f067aa0ba902b7');
    await inSpan('inner', {}, async () => expect(traceIdOf(currentTraceparent())).toBe('4bf92f3577b34da6a3ce929d0e0e4736'));
  });
});

test('without a collector a new trace still has an id that can travel', async () => {
  await inSpan('root', {}, async () => expect(traceIdOf(currentTraceparent())).toMatch(/^[0-9a-f]{32}$/));
  expect(currentTraceparent()).toBeUndefined();
});

test('without a collector ten thousand spans have an id each, and so have their traces', () => {
  const spans = Array.from({ length: 10_000 }, () => currentTraceparent(startSpan('root'))!.split('-'));
  expect(new Set(spans.map(([, traceId]) => traceId)).size).toBe(10_000);
  expect(new Set(spans.map(([, , spanId]) => spanId)).size).toBe(10_000);
  expect(currentTraceparent(startSpan('root'))).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
});

test.each([
  '',
  'garbage',
  '00-00000000000000000000000000000000-00f067aa0ba902b7-01',
  'ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
])('a traceparent that is none starts a new trace: %j', async (bad) => {
  expect(traceIdOf(bad)).toBeNull();
  await inSpan('root', { parent: bad }, async () => expect(traceIdOf(currentTraceparent())).not.toBe('4bf92f3577b34da6a3ce929d0e0e4736'));
});

test('a failure is thrown on as it was', async () => {
  const failure = new Error('no');
  await expect(inSpan('failing', {}, () => Promise.reject(failure))).rejects.toBe(failure);
});

test('work that nobody records asks for no attributes, and shares the span that it runs in', async () => {
  const attributes = (): never => {
    throw new Error('asked');
  };
  await inSpan('outer', { parent: incoming, attributes }, (outer) =>
    inSpan('inner', { attributes }, async (inner) => {
      expect(inner).toBe(outer);
      expect(activeSpan()).toBe(outer);
    }),
  );
});
