import type { OpenAI } from 'openai';
import type { Response, ResponseError } from 'openai/resources/responses/responses';
import type { Answer, ModelApi, Question } from './model-api.js';
import { ModelLimited, ModelRefused, ModelUnavailable } from './model.errors.js';
import type { ModelFailure } from './model.errors.js';

/** `POST /responses`: OpenAI's newer API. Nothing is stored at the provider. */
export function responses(client: OpenAI): ModelApi {
  return {
    name: 'responses',
    ask: async ({ model, turns, schema, temperature, maxOutputTokens }: Question, options) => {
      const [system, ...conversation] = turns;
      const { data, request_id } = await client.responses
        .create(
          {
            model,
            instructions: system?.content ?? null,
            input: conversation.map(({ role, content }) => ({ role, content })),
            text: { format: { type: 'json_schema', ...schema } },
            store: false,
            temperature,
            max_output_tokens: maxOutputTokens,
          },
          options,
        )
        .withResponse();
      return answerOf(data, request_id ?? undefined);
    },
  };
}

function answerOf(response: Response, providerRequestId: string | undefined): Answer {
  if (response?.error) throw failureOf(response.error);
  if (!Array.isArray(response?.output)) throw new ModelUnavailable('The provider answered without an output');
  const stop = response.incomplete_details?.reason;
  const refusal = refusalIn(response) ?? (stop === 'content_filter' ? 'the content filter stopped it' : undefined);
  const { usage } = response;
  return {
    text: response.output_text,
    finish: refusal === undefined ? (stop === 'max_output_tokens' ? 'truncated' : 'complete') : 'refused',
    refusal,
    responseModel: response.model,
    usage: usage && { inputTokens: usage.input_tokens, outputTokens: usage.output_tokens },
    providerRequestId,
  };
}

function refusalIn(response: Response): string | undefined {
  for (const item of response.output) {
    if (item.type !== 'message') continue;
    for (const part of item.content) if (part.type === 'refusal') return part.refusal;
  }
  return undefined;
}

/** A response can fail after its 200: the error then stands in the body. */
function failureOf({ code, message }: ResponseError): ModelFailure {
  const text = `The provider answered ${code}: ${message}`;
  if (code === 'rate_limit_exceeded') return new ModelLimited(text);
  return code === 'server_error' || code === 'vector_store_timeout' ? new ModelUnavailable(text) : new ModelRefused(text);
}
