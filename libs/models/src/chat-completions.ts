import type { OpenAI } from 'openai';
import type { ChatCompletion } from 'openai/resources/chat/completions';
import type { Answer, ModelApi, Question } from './model-api.js';
import { ModelUnavailable } from './model.errors.js';

/** `POST /chat/completions`: what nearly every provider and local server speaks. */
export function chatCompletions(client: OpenAI): ModelApi {
  return {
    name: 'chat',
    ask: async ({ model, turns, schema, temperature, maxOutputTokens }: Question, options) => {
      const { data, request_id } = await client.chat.completions
        .create(
          {
            model,
            messages: [...turns],
            response_format: { type: 'json_schema', json_schema: schema },
            temperature,
            max_completion_tokens: maxOutputTokens,
          },
          options,
        )
        .withResponse();
      return answerOf(data, request_id ?? undefined);
    },
  };
}

function answerOf(completion: ChatCompletion, providerRequestId: string | undefined): Answer {
  const choice = completion?.choices?.[0];
  if (choice?.message === undefined) throw new ModelUnavailable('The provider answered without a choice');
  const refusal = choice.message.refusal ?? (choice.finish_reason === 'content_filter' ? 'the content filter stopped it' : undefined);
  const { usage } = completion;
  return {
    text: choice.message.content ?? '',
    finish: refusal === undefined ? (choice.finish_reason === 'length' ? 'truncated' : 'complete') : 'refused',
    refusal,
    responseModel: completion.model,
    usage: usage && { inputTokens: usage.prompt_tokens, outputTokens: usage.completion_tokens },
    providerRequestId,
  };
}
