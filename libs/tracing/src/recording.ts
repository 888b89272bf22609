import type { Tracer } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, ParentBasedSampler, TraceIdRatioBasedSampler, TracerProvider } from '@opentelemetry/sdk-trace';

export interface RecordingOptions {
  /** `service.name` of every span. */
  service: string;
  /** Base address of an OTLP/HTTP collector, such as `http://collector:4318`. */
  otlpUrl: string;
  /** Share of new traces that are recorded, 0 to 1. For a trace that a caller began, the flag in its `traceparent` decides. */
  sampleRatio: number;
}

/** Makes the spans that are recorded, and sends them to a collector. */
export interface Recording {
  readonly tracer: Tracer;
  /** Sends the buffered spans and stops. */
  shutdown(): Promise<void>;
}

/**
 * Loaded only where a collector is set (`import()` in `tracing.ts`), because the SDK and its exporter take memory in every process. The parts are put
 * together here, because `@opentelemetry/sdk-node` loads every exporter there is, with a gRPC client.
 */
export function startRecording({ service, otlpUrl, sampleRatio }: RecordingOptions): Recording {
  const provider = new TracerProvider({
    resource: defaultResource().merge(resourceFromAttributes({ 'service.name': service })),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(sampleRatio) }),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: new OTLPTraceExporter({ url: new URL('/v1/traces', otlpUrl).href }),
        scheduledDelayMillis: 1_000,
        maxQueueSize: 16_384,
      }),
    ],
  });
  return { tracer: provider.getTracer('millrace'), shutdown: () => provider.shutdown() };
}
