import { json } from 'node:stream/consumers';
import { serveOnLoopback } from './serve-on-loopback.js';

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the first span of a trace. */
  readonly parentSpanId: string;
  readonly name: string;
  /** `service.name` of the process that created it. */
  readonly service: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** A collector that keeps the spans it receives. */
export interface TraceReceiver {
  /** The value for `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly url: string;
  spans(): readonly ReceivedSpan[];
  stop(): Promise<void>;
}

/** OTLP over HTTP in JSON, as `@opentelemetry/exporter-trace-otlp-http` posts it. */
export async function startTraceReceiver(): Promise<TraceReceiver> {
  const spans: ReceivedSpan[] = [];
  const served = await serveOnLoopback(async (incoming, outgoing) => {
    spans.push(...spansOf((await json(incoming)) as ExportRequest));
    outgoing.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  return { ...served, spans: () => spans };
}

/** @see https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding */
interface ExportRequest {
  resourceSpans?: {
    resource?: { attributes?: Attribute[] };
    scopeSpans?: { spans?: { traceId: string; spanId: string; parentSpanId?: string; name: string; attributes?: Attribute[] }[] }[];
  }[];
}

interface Attribute {
  key: string;
  /** One field, named by its type: `stringValue`, `intValue`, … */
  value: Record<string, unknown>;
}

function spansOf({ resourceSpans = [] }: ExportRequest): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans = [] }) => {
    const service = valuesOf(resource?.attributes)['service.name'] as string;
    return scopeSpans
      .flatMap(({ spans = [] }) => spans)
      .map(({ traceId, spanId, parentSpanId = '', name, attributes }) => ({
        traceId,
        spanId,
        parentSpanId,
        name,
        service,
        attributes: valuesOf(attributes),
      }));
  });
}

function valuesOf(attributes: Attribute[] = []): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
