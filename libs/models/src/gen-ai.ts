import type { Span, SpanOptions } from '#libs/tracing';
import { SpanKind, counter, histogram, recordedTraceId } from '#libs/tracing';
import { outputGates } from './model.errors.js';
import type { OutputGateName } from './model.errors.js';
import type { ModelProvider, ModelRequest, ModelResponse } from './model-provider.js';

/**
 * Holds the names of OpenTelemetry's GenAI conventions, which are still in development. Prompts and answers are never recorded.
 * @see https://github.com/open-telemetry/semantic-conventions-genai
 */
export function callSpan(provider: ModelProvider, request: ModelRequest): SpanOptions & { name: string; attributes: () => object } {
  return {
    name: `chat ${request.model}`,
    kind: SpanKind.CLIENT,
    attributes: () => ({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': provider.name,
      'gen_ai.output.type': 'json',
      'gen_ai.request.model': request.model,
      'server.address': provider.server.hostname,
      ...provider.attributes,
      ...(request.temperature === undefined ? {} : { 'gen_ai.request.temperature': request.temperature }),
      ...(request.maxOutputTokens === undefined ? {} : { 'gen_ai.request.max_tokens': request.maxOutputTokens }),
    }),
  };
}

export function describeResponse(span: Span, { responseModel, finish, usage, providerRequestId }: ModelResponse): void {
  if (!span.isRecording()) return;
  span.setAttributes({
    'gen_ai.response.model': responseModel,
    'gen_ai.response.finish_reasons': [finish],
    ...(usage?.inputTokens === undefined ? {} : { 'gen_ai.usage.input_tokens': usage.inputTokens }),
    ...(usage?.outputTokens === undefined ? {} : { 'gen_ai.usage.output_tokens': usage.outputTokens }),
    ...(providerRequestId === undefined ? {} : { 'millrace.model.provider_request_id': providerRequestId }),
  });
}

/** Bounds in seconds, as the conventions recommend: 10 ms, doubled up to 82 s. */
const durationBounds = Array.from({ length: 14 }, (_, at) => 0.01 * 2 ** at);

const durations = histogram(
  'millrace_model_call_duration_seconds',
  'Duration of calls to a model, by how they ended.',
  { model: 'the model, as the flow names it', api: '`chat` or `responses`', outcome: '`ok`, or a code of failures.md' },
  durationBounds,
);
const tokens = counter('millrace_model_tokens_total', 'Tokens as the provider counts them.', {
  model: 'the model, as the flow names it',
  direction: '`input` or `output`',
});

const firstChunks = histogram(
  'millrace_model_first_chunk_seconds',
  'From the start of a call that is answered in pieces to the first piece of its text.',
  { model: 'the model, as the flow names it', api: '`chat` or `responses`' },
  durationBounds,
);

/** The metric is `gen_ai.client.operation.time_to_first_chunk` of the conventions. */
export function noteFirstChunk(model: string, { api }: ModelProvider, span: Span, afterMs: number): void {
  firstChunks.observe({ model, api }, afterMs / 1_000, recordedTraceId());
  if (span.isRecording()) span.setAttribute('gen_ai.response.time_to_first_chunk', afterMs / 1_000);
}

const refusals = counter(
  'millrace_model_output_refusals_total',
  'Outputs of models that a gate refused, before they were repaired or given up.',
  {
    model: 'the model, as the flow names it',
    gate: outputGates,
  },
);

export function countRefusal(model: string, gate: OutputGateName): void {
  refusals.inc({ model, gate });
}

/** @param outcome `ok`, or the failure's code */
export function countCall(
  model: string,
  { api }: ModelProvider,
  outcome: string,
  durationMs: number,
  response: ModelResponse | undefined,
): void {
  durations.observe({ model, api, outcome }, durationMs / 1_000, recordedTraceId());
  const { inputTokens = 0, outputTokens = 0 } = response?.usage ?? {};
  if (inputTokens > 0) tokens.inc({ model, direction: 'input' }, inputTokens);
  if (outputTokens > 0) tokens.inc({ model, direction: 'output' }, outputTokens);
}
