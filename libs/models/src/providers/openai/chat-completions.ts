import type { OpenAI } from 'openai';
import type { ChatCompletion, ChatCompletionCreateParamsNonStreaming } from 'openai/resources/chat/completions';
import type { CompletionUsage } from 'openai/resources/completions';
import type { ModelRequest, ModelResponse, ModelStreamEvent, Usage } from '../../model-provider.js';
import { ModelUnavailable } from '../../model.errors.js';
import type { OpenAiApi } from './openai-api.js';
import { streamCut } from './openai.failures.js';

type FinishReason = ChatCompletion.Choice['finish_reason'];

/** `POST /chat/completions`. */
export function chatCompletions(client: OpenAI): OpenAiApi {
  return {
    complete: async (request, options) => {
      const { data, request_id } = await client.chat.completions.create(bodyOf(request), options).withResponse();
      return responseOf(data, request_id ?? undefined);
    },
    stream: (request, options) => streamed(client, request, options),
  };
}

async function* streamed(client: OpenAI, request: ModelRequest, options: OpenAI.RequestOptions): AsyncGenerator<ModelStreamEvent> {
  const body = { ...bodyOf(request), stream: true, stream_options: { include_usage: true } } as const;
  const { data: chunks, request_id } = await client.chat.completions.create(body, options).withResponse();
  let text = '';
  let refusal = '';
  let finishReason: FinishReason | null = null;
  let model = request.model;
  let usage: CompletionUsage | undefined;
  for await (const chunk of chunks) {
    model = chunk.model;
    usage = chunk.usage ?? usage;
    const choice = chunk.choices[0]; // none in the chunk that brings the usage
    if (choice === undefined) continue;
    finishReason = choice.finish_reason ?? finishReason;
    refusal += choice.delta.refusal ?? '';
    const delta = choice.delta.content ?? '';
    if (delta === '') continue;
    text += delta;
    yield { type: 'delta', text: delta };
  }
  if (finishReason === null) throw streamCut(request_id);
  yield {
    type: 'end',
    response: {
      text,
      ...finishOf(finishReason, refusal || null),
      responseModel: model,
      usage: usageOf(usage),
      providerRequestId: request_id ?? undefined,
    },
  };
}

function bodyOf({ model, turns, schema, temperature, maxOutputTokens }: ModelRequest): ChatCompletionCreateParamsNonStreaming {
  return {
    model,
    messages: [...turns],
    response_format: { type: 'json_schema', json_schema: schema },
    temperature,
    max_completion_tokens: maxOutputTokens,
  };
}

function responseOf(completion: ChatCompletion, providerRequestId: string | undefined): ModelResponse {
  const choice = completion?.choices?.[0];
  if (choice?.message === undefined) throw new ModelUnavailable('The provider answered without a choice', { providerRequestId });
  return {
    text: choice.message.content ?? '',
    ...finishOf(choice.finish_reason, choice.message.refusal),
    responseModel: completion.model,
    usage: usageOf(completion.usage),
    providerRequestId,
  };
}

function finishOf(reason: FinishReason, refused: string | null | undefined): Pick<ModelResponse, 'finish' | 'refusal'> {
  const refusal = refused ?? (reason === 'content_filter' ? 'the content filter stopped it' : undefined);
  if (refusal !== undefined) return { finish: 'refused', refusal };
  return { finish: reason === 'length' ? 'truncated' : 'complete' };
}

function usageOf(usage: CompletionUsage | undefined): Usage | undefined {
  return usage && { inputTokens: usage.prompt_tokens, outputTokens: usage.completion_tokens };
}
