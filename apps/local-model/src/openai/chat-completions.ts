import type { ChatCompletion, ChatCompletionChunk } from 'openai/resources/chat/completions';
import { z } from 'zod';
import type { AnswerFormat } from '../answering/answer.js';
import { InvalidRequest } from './api.errors.js';
import { inputsOf, listOf, messageContent, parseRequest, schemaFormat, textOf } from './model-question.js';
import type { ModelQuestion } from './model-question.js';
import { pieces } from './api-format.js';
import type { Completion, ApiFormat, StreamEvent } from './api-format.js';

const request = z.looseObject({
  model: z.string(),
  messages: listOf(
    z.looseObject({ role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']), content: messageContent.nullish() }),
    1,
  ),
  response_format: z
    .discriminatedUnion('type', [
      z.looseObject({ type: z.literal('text') }),
      z.looseObject({ type: z.literal('json_object') }),
      z.looseObject({
        type: z.literal('json_schema'),
        json_schema: z.looseObject({ name: z.string(), schema: z.record(z.string(), z.unknown()).optional() }),
      }),
    ])
    .nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  max_tokens: z.int().min(1).nullish(),
  n: z.int().nullish(),
  tools: z.array(z.unknown()).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
});

/** `POST /chat/completions`. */
export const chatCompletions: ApiFormat = {
  name: 'chat',

  read(body: unknown): ModelQuestion {
    const asked = parseRequest(request, body);
    if ((asked.n ?? 1) !== 1) throw new InvalidRequest('local/rules-1 gives one choice only.', 'n', 'unsupported_value');
    if (asked.tools?.length) throw new InvalidRequest('local/rules-1 calls no tools.', 'tools', 'unsupported_parameter');
    const messages = asked.messages.map(({ role, content }, at) => ({ role, text: textOf(content, `messages[${at}].content`) }));
    return {
      model: asked.model,
      inputs: inputsOf(messages),
      promptLength: messages.reduce((length, { text }) => length + text.length, 0),
      format: formatOf(asked.response_format),
      maxOutputTokens: asked.max_completion_tokens ?? asked.max_tokens ?? undefined,
      stream: asked.stream ?? false,
      streamsUsage: asked.stream_options?.include_usage ?? false,
    };
  },

  whole(completion: Completion): ChatCompletion {
    const { text, refusal } = completion;
    return {
      ...envelope(completion),
      object: 'chat.completion',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: refusal === undefined ? text : null, refusal: refusal ?? null, annotations: [] },
          logprobs: null,
          finish_reason: finishOf(completion),
        },
      ],
      usage: usageOf(completion),
    };
  },

  *stream(completion: Completion, { streamsUsage }: ModelQuestion): Generator<StreamEvent> {
    const chunk = (choice: Partial<ChatCompletionChunk.Choice>): StreamEvent => {
      const data: ChatCompletionChunk = {
        ...envelope(completion),
        object: 'chat.completion.chunk',
        choices: [{ index: 0, delta: {}, logprobs: null, finish_reason: null, ...choice }],
        ...(streamsUsage ? { usage: null } : {}),
      };
      return { data };
    };
    const { text, refusal } = completion;
    yield chunk({ delta: refusal === undefined ? { role: 'assistant', content: '', refusal: null } : { role: 'assistant', refusal: '' } });
    for (const piece of pieces(refusal ?? text)) yield chunk({ delta: refusal === undefined ? { content: piece } : { refusal: piece } });
    yield chunk({ finish_reason: finishOf(completion) });
    if (streamsUsage) {
      const last: ChatCompletionChunk = {
        ...envelope(completion),
        object: 'chat.completion.chunk',
        choices: [],
        usage: usageOf(completion),
      };
      yield { data: last };
    }
    yield { data: '[DONE]' };
  },
};

function formatOf(format: z.infer<typeof request>['response_format']): AnswerFormat {
  if (format?.type === 'json_schema') return schemaFormat(format.json_schema.schema, 'response_format.json_schema');
  return { kind: format?.type === 'json_object' ? 'json' : 'text' };
}

function envelope({ id, createdAt, model }: Completion) {
  return {
    id: `chatcmpl-${id}`,
    created: Math.floor(createdAt.getTime() / 1_000),
    model,
    system_fingerprint: 'engine:rules',
    service_tier: 'default' as const,
  };
}

function finishOf({ truncated }: Completion): 'stop' | 'length' {
  return truncated ? 'length' : 'stop';
}

function usageOf({ inputTokens, outputTokens }: Completion): NonNullable<ChatCompletion['usage']> {
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0, accepted_prediction_tokens: 0, rejected_prediction_tokens: 0 },
  };
}
