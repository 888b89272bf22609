import type { Span, SpanOptions } from '#libs/tracing';
import { SpanKind, counter, histogram } from '#libs/tracing';
import type { Answer, ModelApi, Question } from './model-api.js';

/**
 * The only place with names of OpenTelemetry's GenAI conventions, which are still in development. Prompts and answers are never recorded.
 * @see https://github.com/open-telemetry/semantic-conventions-genai
 */
export function callSpan(api: ModelApi, question: Question, server: URL): SpanOptions & { name: string } {
  return {
    name: `chat ${question.model}`,
    kind: SpanKind.CLIENT,
    attributes: {
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'openai',
      'gen_ai.output.type': 'json',
      'gen_ai.request.model': question.model,
      'openai.api.type': api.name === 'chat' ? 'chat_completions' : 'responses',
      'server.address': server.hostname,
      ...(question.temperature === undefined ? {} : { 'gen_ai.request.temperature': question.temperature }),
      ...(question.maxOutputTokens === undefined ? {} : { 'gen_ai.request.max_tokens': question.maxOutputTokens }),
    },
  };
}

export function describeAnswer(span: Span, { responseModel, finish, usage, providerRequestId }: Answer): void {
  span.setAttributes({
    'gen_ai.response.model': responseModel,
    'gen_ai.response.finish_reasons': [finish],
    ...(usage === undefined ? {} : { 'gen_ai.usage.input_tokens': usage.inputTokens, 'gen_ai.usage.output_tokens': usage.outputTokens }),
    ...(providerRequestId === undefined ? {} : { 'millrace.model.provider_request_id': providerRequestId }),
  });
}

/** The conventions' bounds: 10 ms, doubled up to 82 s. */
const durationBounds = Array.from({ length: 14 }, (_, at) => 0.01 * 2 ** at);

const durations = histogram(
  'millrace_model_call_duration_seconds',
  'Duration of calls to a model, by how they ended.',
  ['model', 'api', 'outcome'],
  durationBounds,
);
const tokens = counter('millrace_model_tokens_total', 'Tokens as the provider counts them.', ['model', 'direction']);

/** @param outcome `ok`, or the failure's code */
export function countCall(model: string, api: ModelApi, outcome: string, durationMs: number, answer: Answer | undefined): void {
  durations.observe({ model, api: api.name, outcome }, durationMs / 1_000);
  if (answer?.usage === undefined) return;
  tokens.inc({ model, direction: 'input' }, answer.usage.inputTokens);
  tokens.inc({ model, direction: 'output' }, answer.usage.outputTokens);
}
