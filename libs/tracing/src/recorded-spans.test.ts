import { afterEach, beforeEach, expect, test } from 'vitest';
import { startTraceReceiver } from '#libs/testing';
import type { TraceReceiver } from '#libs/testing';
import { activeSpan, currentTraceId, currentTraceparent, inSpan, startTracing } from './tracing.js';
import type { Tracing } from './tracing.js';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';
const sampled = `00-${traceId}-${spanId}-01`;
const unsampled = `00-${traceId}-${spanId}-00`;

let receiver: TraceReceiver;
let tracing: Tracing;
beforeEach(async () => {
  receiver = await startTraceReceiver();
  tracing = await startTracing({ service: 'test', otlpUrl: receiver.url, sampleRatio: 1 });
});
afterEach(() => receiver.stop());

const nested = (parent: string | undefined): Promise<string | undefined> =>
  inSpan('outer', { parent, attributes: () => ({ at: 'outer' }) }, () =>
    inSpan('inner', { attributes: { at: 'inner' } }, async () => {
      activeSpan()!.setAttribute('set', 'inside');
      return currentTraceparent();
    }),
  );

test('the spans of a sampled trace are sent with their attributes, each below the one that it ran in', async () => {
  const traceparent = await nested(sampled);
  await tracing.shutdown();
  const spans = receiver.spans();
  const [inner, outer] = ['inner', 'outer'].map((name) => spans.find((span) => span.name === name)!);
  expect(spans).toHaveLength(2);
  expect(outer).toMatchObject({ traceId, parentSpanId: spanId, attributes: { at: 'outer' } });
  expect(inner).toMatchObject({ traceId, parentSpanId: outer!.spanId, attributes: { at: 'inner', set: 'inside' } });
  expect(traceparent).toBe(`00-${traceId}-${inner!.spanId}-01`);
});

test('of a trace that its caller does not sample nothing is sent, and its id is passed on', async () => {
  const traceparent = await nested(unsampled);
  await tracing.shutdown();
  expect(receiver.spans()).toEqual([]);
  expect(traceparent).toMatch(new RegExp(`^00-${traceId}-(?!${spanId})[0-9a-f]{16}-00$`));
});

test('a failure is recorded on its span, and a new trace begins where no caller gave one', async () => {
  await expect(nested(undefined)).resolves.toMatch(/-01$/);
  await expect(inSpan('failing', {}, () => Promise.reject(new RangeError('no')))).rejects.toThrow('no');
  expect(currentTraceId()).toBeUndefined();
  await tracing.shutdown();
  const spans = receiver.spans();
  expect(spans.find(({ name }) => name === 'failing')).toMatchObject({ parentSpanId: '', attributes: { 'error.type': 'RangeError' } });
  expect(new Set(spans.map((span) => span.traceId)).size).toBe(2);
});
