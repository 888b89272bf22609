import { randomFillSync } from 'node:crypto';
import { trace, context, propagation, ROOT_CONTEXT, SpanStatusCode, TraceFlags, isSpanContextValid } from '@opentelemetry/api';
import type { Attributes, Context, Link, Span, SpanContext, SpanKind } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { NodeSDK } from '@opentelemetry/sdk-node';
import {
  AlwaysOffSampler,
  BatchSpanProcessor,
  NoopSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace';

export interface TracingOptions {
  /** `service.name` of every span. */
  service: string;
  /** Base address of an OTLP/HTTP collector, such as `http://collector:4318`. Undefined: no span is recorded, but trace ids are still passed on. */
  otlpUrl: string | undefined;
  /** Share of new traces that are recorded, 0 to 1. For a trace that a caller began, the flag in its `traceparent` decides. */
  sampleRatio: number;
}

export interface Tracing {
  /** Sends the buffered spans and stops. */
  shutdown(): Promise<void>;
}

const tracerName = 'millrace';
let tracer = trace.getTracer(tracerName);

/** True if there is no collector. A span is then nothing but its ids, which must still be passed on. */
let idsOnly = false;

/** Call it before the first span; it may be called again after {@link Tracing.shutdown}. */
export function startTracing(options: TracingOptions): Tracing {
  const sdk = new NodeSDK({
    serviceName: options.service,
    autoDetectResources: false,
    instrumentations: [],
    metricReaders: [],
    logRecordProcessors: [],
    ...(options.otlpUrl === undefined
      ? { sampler: new AlwaysOffSampler(), spanProcessors: [new NoopSpanProcessor()] }
      : {
          sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(options.sampleRatio) }),
          spanProcessors: [
            new BatchSpanProcessor({
              exporter: new OTLPTraceExporter({ url: new URL('/v1/traces', options.otlpUrl).href }),
              scheduledDelayMillis: 1_000,
              maxQueueSize: 16_384,
            }),
          ],
        }),
  });
  sdk.start();
  tracer = trace.getTracer(tracerName); // a tracer stays with the provider that was registered at its first span
  idsOnly = options.otlpUrl === undefined;
  return {
    shutdown: async () => {
      idsOnly = false;
      await sdk.shutdown();
      for (const api of [trace, context, propagation]) api.disable();
    },
  };
}

export interface SpanOptions {
  kind?: SpanKind;
  /** W3C `traceparent` of the parent. Default: the active span. */
  parent?: string | undefined;
  /** The `traceparent` of a span that caused this one without being its parent, such as the original run of a replay. */
  link?: string | undefined;
  attributes?: Attributes;
}

/** Starts a span that the caller has to end. For hot paths, since it needs no closure as {@link inSpan} does. */
export function startSpan(name: string, options: SpanOptions = {}): Span {
  const { kind, parent, link, attributes } = options;
  if (idsOnly) return spanOfIds(parent);
  const linked = contextOf(link);
  const links: Link[] = linked === undefined ? [] : [{ context: linked }];
  return tracer.startSpan(
    name,
    { ...(kind === undefined ? {} : { kind }), ...(attributes === undefined ? {} : { attributes }), links },
    parentContext(parent),
  );
}

function spanOfIds(parent: string | undefined): Span {
  const known = (parent === undefined ? trace.getActiveSpan()?.spanContext() : contextOf(parent))?.traceId;
  const ids = randomIds();
  return trace.wrapSpanContext({ traceId: known ?? ids.slice(16), spanId: ids.slice(0, 16), traceFlags: TraceFlags.NONE });
}

/** Bytes of one span id and one trace id. Ids of zeros only are invalid; one in 2⁶⁴ would be. */
const idBytes = 8 + 16;
/** Random bytes for 256 spans, because one request for each span costs four times as much. */
const random = Buffer.allocUnsafe(256 * idBytes);
let randomAt = random.length;

function randomIds(): string {
  if (randomAt === random.length) {
    randomFillSync(random);
    randomAt = 0;
  }
  randomAt += idBytes;
  return random.toString('hex', randomAt - idBytes, randomAt);
}

/** Runs `work` in a new span and ends the span afterwards. An error is recorded on the span and thrown again. */
export async function inSpan<T>(name: string, options: SpanOptions, work: (span: Span) => Promise<T>): Promise<T> {
  const span = startSpan(name, options);
  try {
    return await context.with(trace.setSpan(context.active(), span), work, undefined, span);
  } catch (error) {
    failSpan(span, error);
    throw error;
  } finally {
    span.end();
  }
}

/** Marks a span as failed. `error.type` is the error's `code` if it has one, else its name. */
export function failSpan(span: Span, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined;
  span.setAttribute('error.type', typeof code === 'string' ? code : error instanceof Error ? error.name : 'error');
  span.setStatus({ code: SpanStatusCode.ERROR, message });
}

/** The W3C `traceparent` of a span, by default the active one. Undefined if there is no span. */
export function currentTraceparent(span: Span | undefined = trace.getActiveSpan()): string | undefined {
  const found = span?.spanContext();
  if (found === undefined || !isSpanContextValid(found)) return undefined;
  return `00-${found.traceId}-${found.spanId}-${(found.traceFlags & TraceFlags.SAMPLED) === 0 ? '00' : '01'}`;
}

const traceparentPattern = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/;

/** The trace id in a `traceparent` (W3C Trace Context, level 1); null if the text is not a valid one. */
export function traceIdOf(traceparent: string | undefined): string | null {
  return contextOf(traceparent)?.traceId ?? null;
}

function contextOf(traceparent: string | undefined): SpanContext | undefined {
  const [, traceId, spanId, flags] = (traceparent && traceparentPattern.exec(traceparent)) || [];
  if (traceId === undefined || spanId === undefined || flags === undefined || traceparent?.startsWith('ff')) return undefined;
  const found = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED, isRemote: true };
  return isSpanContextValid(found) ? found : undefined;
}

function parentContext(traceparent: string | undefined): Context {
  if (traceparent === undefined) return context.active();
  const remote = contextOf(traceparent);
  return remote === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, remote);
}
