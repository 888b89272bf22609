import { AsyncLocalStorage } from 'node:async_hooks';
import { randomFillSync } from 'node:crypto';
import { INVALID_SPANID, INVALID_TRACEID, ROOT_CONTEXT, SpanStatusCode, TraceFlags, trace } from '@opentelemetry/api';
import type { Attributes, Link, Span, SpanContext, SpanKind, Tracer } from '@opentelemetry/api';
import type { RecordingOptions } from './recording.js';

export interface TracingOptions extends Omit<RecordingOptions, 'otlpUrl'> {
  /** Base address of an OTLP/HTTP collector, such as `http://collector:4318`. Undefined: no span is recorded, but trace ids are still passed on. */
  otlpUrl: string | undefined;
}

export interface Tracing {
  /** Sends the buffered spans and stops. */
  shutdown(): Promise<void>;
}

/** Undefined if there is no collector. A span is then nothing but its ids, which must still be passed on. */
let tracer: Tracer | undefined;

/** The span that the code runs in. OpenTelemetry's own context makes a map for each span, also for one that nobody records. */
const active = new AsyncLocalStorage<Span>();

/** Call it before the first span; it may be called again after {@link Tracing.shutdown}. */
export async function startTracing({ otlpUrl, ...options }: TracingOptions): Promise<Tracing> {
  if (otlpUrl === undefined) return { shutdown: async () => undefined };
  const { startRecording } = await import('./recording.js');
  const recording = startRecording({ ...options, otlpUrl });
  tracer = recording.tracer;
  return {
    shutdown: async () => {
      tracer = undefined;
      await recording.shutdown();
    },
  };
}

export interface SpanOptions {
  kind?: SpanKind;
  /** W3C `traceparent` of the parent. Default: the active span. */
  parent?: string | undefined;
  /** The `traceparent` of a span that caused this one without being its parent, such as the original run of a replay. */
  link?: string | undefined;
  /** A function is called only if the span is recorded. */
  attributes?: Attributes | (() => Attributes);
}

/** Starts a span that the caller has to end. For hot paths, since it needs no closure as {@link inSpan} does. */
export function startSpan(name: string, options: SpanOptions = {}): Span {
  const { kind, parent, link, attributes } = options;
  const around = parent === undefined ? active.getStore() : undefined;
  const above = around?.spanContext() ?? contextOf(parent);
  if (tracer === undefined || (above !== undefined && !isSampled(above))) return isUnrecorded(around) ? around : spanOfIds(above?.traceId);
  const linked = contextOf(link);
  const links: Link[] = linked === undefined ? [] : [{ context: linked }];
  const inContext = above === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, above);
  const span = tracer.startSpan(name, kind === undefined ? { links } : { kind, links }, inContext);
  if (attributes !== undefined && span.isRecording()) span.setAttributes(typeof attributes === 'function' ? attributes() : attributes);
  return span;
}

/** True for a span that its nested work can share, because nothing of either is recorded. */
function isUnrecorded(span: Span | undefined): span is Span {
  return span !== undefined && !span.isRecording();
}

function isSampled({ traceFlags }: SpanContext): boolean {
  return (traceFlags & TraceFlags.SAMPLED) !== 0;
}

function spanOfIds(traceId: string | undefined): Span {
  const ids = randomIds();
  return trace.wrapSpanContext({ traceId: traceId ?? ids.slice(16), spanId: ids.slice(0, 16), traceFlags: TraceFlags.NONE });
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
export function inSpan<T>(name: string, options: SpanOptions, work: (span: Span) => Promise<T>): Promise<T> {
  const span = startSpan(name, options);
  if (span === active.getStore()) return work(span);
  return active.run(span, () => (span.isRecording() ? recorded(span, work) : work(span)));
}

async function recorded<T>(span: Span, work: (span: Span) => Promise<T>): Promise<T> {
  try {
    return await work(span);
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

/** The span that the code runs in: the innermost one of {@link inSpan} that is recorded, or that its trace began with in this process. */
export function activeSpan(): Span | undefined {
  return active.getStore();
}

/** The W3C `traceparent` of a span, by default the active one. Undefined if there is no span. */
export function currentTraceparent(span: Span | undefined = active.getStore()): string | undefined {
  const found = span?.spanContext();
  if (found === undefined || found.traceId === INVALID_TRACEID) return undefined;
  return `00-${found.traceId}-${found.spanId}-${isSampled(found) ? '01' : '00'}`;
}

/** The trace that the code runs in. */
export function currentTraceId(): string | undefined {
  const traceId = active.getStore()?.spanContext().traceId;
  return traceId === INVALID_TRACEID ? undefined : traceId;
}

/** The trace that the code runs in, or that the span belongs to, if it is recorded. Without a collector nothing is looked up. */
export function recordedTraceId(span?: Span): string | undefined {
  if (tracer === undefined) return undefined;
  const around = span ?? active.getStore();
  return around?.isRecording() === true ? around.spanContext().traceId : undefined;
}

/** Version, trace id, span id and flags. Later versions may have more after them. */
const traceparentPattern = /^(?!ff)[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?$/;

/** The trace id in a `traceparent` (W3C Trace Context, level 1); null if the text is not a valid one. */
export function traceIdOf(traceparent: string | undefined): string | null {
  return contextOf(traceparent)?.traceId ?? null;
}

function contextOf(traceparent: string | undefined): SpanContext | undefined {
  if (traceparent === undefined || !traceparentPattern.test(traceparent)) return undefined;
  const traceId = traceparent.slice(3, 35);
  const spanId = traceparent.slice(36, 52);
  if (traceId === INVALID_TRACEID || spanId === INVALID_SPANID) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(traceparent.slice(53, 55), 16) & TraceFlags.SAMPLED, isRemote: true };
}
