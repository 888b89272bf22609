import type { OpenAI } from 'openai';
import type { ChatCompletionCreateParamsNonStreaming } from 'openai/resources/chat/completions';
import type { ModelRequest, ModelResponse, ModelStreamEvent, Usage } from '../../model-provider.js';
import { ModelUnavailable } from '../../model.errors.js';
import { bodyOf, contentText, parseExactly, textOf, tokensOf, unreadable, valuesIn } from './answer-body.js';
import type { Body, Parsed } from './answer-body.js';
import { errorFrom, errorOf } from './error-body.js';
import { formOf, turnsWithSchema } from './dialect.js';
import type { Dialect } from './dialect.js';
import type { OpenAiApi, OpenAiClients } from './openai-api.js';
import { limitsIn } from './rate-limit-headers.js';
import { failureInBody, streamCut } from './openai.failures.js';

/** `POST /chat/completions`. */
export function chatCompletions({ whole, streaming }: OpenAiClients, dialect: Dialect): OpenAiApi {
  return {
    path: 'chat/completions',
    complete: async (request, options) => {
      const response = await whole.chat.completions.create(requestBody(request, dialect), options).asResponse();
      return {
        ...answerOf(await valuesIn(response), request.model, response.headers.get('x-request-id')),
        limits: limitsIn(response.headers),
      };
    },
    stream: (request, options) => streamed(streaming, request, dialect, options),
    isAnswer: (value) => 'choices' in bodyOf(value),
  };
}

async function* streamed(
  client: OpenAI,
  request: ModelRequest,
  dialect: Dialect,
  options: OpenAI.RequestOptions,
): AsyncGenerator<ModelStreamEvent> {
  const body = { ...requestBody(request, dialect), stream: true, stream_options: { include_usage: true } } as const;
  const { data: chunks, request_id, response } = await client.chat.completions.create(body, options).withResponse();
  const answer = new ChatAnswer(request.model, request_id);
  for await (const chunk of chunks) {
    const text = answer.add({ value: chunk, text: undefined });
    if (text !== '') yield { type: 'delta', text };
  }
  if (!answer.hasChoice) throw streamCut(request_id, false);
  yield { type: 'end', response: { ...answer.end(), limits: limitsIn(response.headers) } };
}

/** @param values the completion, or the chunks of a stream that was not asked for */
function answerOf(values: readonly Parsed[], model: string, requestId: string | null): ModelResponse {
  const answer = new ChatAnswer(model, requestId);
  for (const value of values) answer.add(value);
  if (!answer.hasChoice) throw unreadable('it has no choice', { providerRequestId: requestId ?? undefined });
  return answer.end();
}

/** Limits of output tokens, as servers name them. */
const truncatedReasons = new Set(['length', 'max_tokens', 'MAX_TOKENS', 'model_length', 'model_context_window_exceeded']);
const filteredReasons = new Set(['content_filter', 'SAFETY', 'RECITATION', 'PROHIBITED_CONTENT', 'sensitive', 'refusal']);
/** The provider, or the one behind it, ended the answer early. */
const brokenReasons = new Set(['error', 'network_error', 'abort', 'insufficient_system_resource']);

/** A completion, or the chunks of one as they arrive. */
class ChatAnswer {
  hasChoice = false;
  private text = '';
  private refusal = '';
  private finishReason: string | undefined;
  private usage: Usage | undefined;
  private isChunked = false;

  constructor(
    private model: string,
    private readonly requestId: string | null,
  ) {}

  /** Returns the text that the completion or chunk adds. @throws ModelFailure for an error in it */
  add({ value, text: source }: { value: unknown; text: string | undefined }): string {
    const body = bodyOf(value);
    const choice = firstChoice(body);
    const error = choice?.['error'] ? errorFrom(choice['error']) : errorOf(value);
    if (error !== undefined) throw failureInBody(error, this.requestId ?? undefined);
    this.model = textOf(body['model']) ?? this.model;
    this.usage = usageOf(body['usage']) ?? this.usage;
    if (choice === undefined) return ''; // such as the chunk that brings the usage
    this.hasChoice = true;
    this.isChunked ||= 'delta' in choice;
    this.finishReason = textOf(choice['finish_reason']) ?? this.finishReason;
    const { content, refusal } = messageOf(choice);
    this.refusal += textOf(refusal) ?? '';
    const text = contentText(content, () => (source === undefined ? content : messageOf(firstChoice(parseExactly(source))!)['content']));
    this.text += text;
    return text;
  }

  end(): ModelResponse {
    if (this.isChunked && this.finishReason === undefined) throw streamCut(this.requestId, true);
    const reason = this.finishReason ?? 'stop';
    const providerRequestId = this.requestId ?? undefined;
    if (brokenReasons.has(reason)) throw new ModelUnavailable(`The provider ended the answer early: ${reason}`, { providerRequestId });
    const refusal = textOf(this.refusal) ?? (filteredReasons.has(reason) ? 'the content filter stopped it' : undefined);
    return {
      text: this.text,
      finish: refusal === undefined ? (truncatedReasons.has(reason) ? 'truncated' : 'complete') : 'refused',
      ...(refusal === undefined ? {} : { refusal }),
      responseModel: this.model,
      usage: this.usage,
      providerRequestId,
    };
  }
}

function firstChoice({ choices }: Body): Body | undefined {
  const [choice] = Array.isArray(choices) ? (choices as unknown[]) : [];
  return choice === undefined || choice === null ? undefined : bodyOf(choice);
}

function messageOf(choice: Body): Body {
  return bodyOf(choice['message'] ?? choice['delta']);
}

function requestBody(request: ModelRequest, dialect: Dialect): ChatCompletionCreateParamsNonStreaming {
  const { model, schema, temperature, maxOutputTokens } = request;
  const form = formOf(request, dialect);
  return {
    model,
    messages: [...turnsWithSchema(request, form)],
    ...(form === 'prompt'
      ? {}
      : { response_format: form === 'object' ? { type: 'json_object' } : { type: 'json_schema', json_schema: schema } }),
    temperature,
    [dialect.outputLimit]: maxOutputTokens,
  };
}

function usageOf(value: unknown): Usage | undefined {
  const { prompt_tokens, completion_tokens } = bodyOf(value);
  const usage = { inputTokens: tokensOf(prompt_tokens), outputTokens: tokensOf(completion_tokens) };
  return usage.inputTokens === undefined && usage.outputTokens === undefined ? undefined : usage;
}
