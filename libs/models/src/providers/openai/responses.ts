import type { OpenAI } from 'openai';
import type { ResponseCreateParamsNonStreaming } from 'openai/resources/responses/responses';
import type { ModelRequest, ModelResponse, ModelStreamEvent } from '../../model-provider.js';
import { bodyOf, contentText, parseExactly, textOf, tokensOf, unreadable, valuesIn } from './answer-body.js';
import type { Body, Parsed } from './answer-body.js';
import { errorOf } from './error-body.js';
import { formOf, turnsWithSchema } from './dialect.js';
import type { Dialect } from './dialect.js';
import type { OpenAiApi, OpenAiClients } from './openai-api.js';
import { limitsIn } from './rate-limit-headers.js';
import { failureInBody, streamCut } from './openai.failures.js';

/** `POST /responses`. Nothing is stored at the provider. */
export function responses({ whole, streaming }: OpenAiClients, dialect: Dialect): OpenAiApi {
  return {
    path: 'responses',
    complete: async (request, options) => {
      const response = await whole.responses.create(requestBody(request, dialect), options).asResponse();
      const requestId = response.headers.get('x-request-id');
      const answer = wholeIn(await valuesIn(response));
      if (answer === undefined) throw streamCut(requestId, false);
      return { ...answerOf(answer.value, request.model, requestId, () => answer.exactly()), limits: limitsIn(response.headers) };
    },
    stream: (request, options) => streamed(streaming, request, dialect, options),
    isAnswer: (value) => 'output' in bodyOf(value) || bodyOf(endIn(value))['output'] !== undefined,
  };
}

async function* streamed(
  client: OpenAI,
  request: ModelRequest,
  dialect: Dialect,
  options: OpenAI.RequestOptions,
): AsyncGenerator<ModelStreamEvent> {
  const {
    data: events,
    request_id,
    response,
  } = await client.responses.create({ ...requestBody(request, dialect), stream: true }, options).withResponse();
  let text = '';
  let ended: unknown;
  let hasBegun = false;
  for await (const event of events) {
    ended = endIn(event) ?? ended;
    hasBegun ||= textOf(bodyOf(event)['type'])?.startsWith('response.') === true;
    if (event.type !== 'response.output_text.delta') continue;
    const delta = textOf(event.delta);
    if (delta === undefined) continue;
    text += delta;
    yield { type: 'delta', text: delta };
  }
  if (ended === undefined) throw streamCut(request_id, hasBegun);
  yield { type: 'end', response: { ...answerOf(ended, request.model, request_id), text, limits: limitsIn(response.headers) } };
}

const lastEvents = new Set<unknown>(['response.completed', 'response.incomplete', 'response.failed']);

/** The response itself, or the one in the last event of a stream that was not asked for. */
function wholeIn(parts: readonly Parsed[]): { value: unknown; exactly: () => Body } | undefined {
  const [first] = parts;
  const end = parts.findLast(({ value }) => endIn(value) !== undefined);
  if (end !== undefined) return { value: endIn(end.value), exactly: () => bodyOf(endIn(parseExactly(end.text))) };
  return first === undefined || parts.length > 1 ? undefined : { value: first.value, exactly: () => parseExactly(first.text) };
}

/** The response as it ended, if the event is the last one of its stream. */
function endIn(value: unknown): unknown {
  const event = bodyOf(value);
  return lastEvents.has(event['type']) ? event['response'] : undefined;
}

function requestBody(request: ModelRequest, dialect: Dialect): ResponseCreateParamsNonStreaming {
  const { model, schema, temperature, maxOutputTokens } = request;
  const form = formOf(request, dialect);
  const [system, ...conversation] = turnsWithSchema(request, form);
  return {
    model,
    instructions: system?.content ?? null,
    input: conversation.map(({ role, content }) => ({ role, content })),
    ...(form === 'prompt' ? {} : { text: { format: form === 'object' ? { type: 'json_object' } : { type: 'json_schema', ...schema } } }),
    store: false,
    temperature,
    max_output_tokens: maxOutputTokens,
  };
}

function answerOf(value: unknown, model: string, requestId: string | null, exactly: () => Body = () => bodyOf(value)): ModelResponse {
  const providerRequestId = requestId ?? undefined;
  const body = bodyOf(value);
  const error = errorOf(value);
  if (error !== undefined) throw failureInBody(error, providerRequestId);
  if (!Array.isArray(body['output'])) throw unreadable('it has no output', { providerRequestId });
  const stop = bodyOf(body['incomplete_details'])['reason'];
  const refusal = refusalIn(body) ?? (stop === 'content_filter' ? 'the content filter stopped it' : undefined);
  return {
    text: messagesIn(body)
      .map(({ content }, at) => contentText(content, () => messagesIn(exactly())[at]!['content']))
      .join(''),
    finish: refusal === undefined ? (stop === 'max_output_tokens' ? 'truncated' : 'complete') : 'refused',
    refusal,
    responseModel: textOf(body['model']) ?? model,
    usage: usageOf(body['usage']),
    providerRequestId,
  };
}

function usageOf(value: unknown): ModelResponse['usage'] {
  const { input_tokens, output_tokens } = bodyOf(value);
  const usage = { inputTokens: tokensOf(input_tokens), outputTokens: tokensOf(output_tokens) };
  return usage.inputTokens === undefined && usage.outputTokens === undefined ? undefined : usage;
}

function messagesIn({ output }: Body): Body[] {
  return Array.isArray(output) ? (output as unknown[]).map(bodyOf).filter(({ type }) => type === 'message') : [];
}

function refusalIn(body: Body): string | undefined {
  for (const { content } of messagesIn(body)) {
    if (!Array.isArray(content)) continue;
    for (const part of content as unknown[]) {
      const { type, refusal } = bodyOf(part);
      if (type === 'refusal' && textOf(refusal) !== undefined) return textOf(refusal);
    }
  }
  return undefined;
}
