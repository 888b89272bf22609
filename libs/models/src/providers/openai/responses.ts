import type { OpenAI } from 'openai';
import type { Response, ResponseCreateParamsNonStreaming, ResponseStreamEvent } from 'openai/resources/responses/responses';
import type { ModelRequest, ModelResponse, ModelStreamEvent } from '../../model-provider.js';
import { ModelUnavailable } from '../../model.errors.js';
import type { OpenAiApi } from './openai-api.js';
import { failureInResponse, streamCut } from './openai.failures.js';

/** `POST /responses`. Nothing is stored at the provider. */
export function responses(client: OpenAI): OpenAiApi {
  return {
    complete: async (request, options) => {
      const { data, request_id } = await client.responses.create(bodyOf(request), options).withResponse();
      return responseOf(data, data?.output_text, request_id ?? undefined);
    },
    stream: (request, options) => streamed(client, request, options),
  };
}

async function* streamed(client: OpenAI, request: ModelRequest, options: OpenAI.RequestOptions): AsyncGenerator<ModelStreamEvent> {
  const { data: events, request_id } = await client.responses.create({ ...bodyOf(request), stream: true }, options).withResponse();
  let text = '';
  let ended: Response | undefined;
  for await (const event of events) {
    ended = endIn(event) ?? ended;
    if (event.type !== 'response.output_text.delta') continue;
    text += event.delta;
    yield { type: 'delta', text: event.delta };
  }
  if (ended === undefined) throw streamCut(request_id);
  yield { type: 'end', response: responseOf(ended, text, request_id ?? undefined) };
}

/** The response as it ended, if the event is the last one of its stream. */
function endIn(event: ResponseStreamEvent): Response | undefined {
  const isEnd = event.type === 'response.completed' || event.type === 'response.incomplete' || event.type === 'response.failed';
  return isEnd ? event.response : undefined;
}

function bodyOf({ model, turns, schema, temperature, maxOutputTokens }: ModelRequest): ResponseCreateParamsNonStreaming {
  const [system, ...conversation] = turns;
  return {
    model,
    instructions: system?.content ?? null,
    input: conversation.map(({ role, content }) => ({ role, content })),
    text: { format: { type: 'json_schema', ...schema } },
    store: false,
    temperature,
    max_output_tokens: maxOutputTokens,
  };
}

function responseOf(response: Response, text: string, providerRequestId: string | undefined): ModelResponse {
  if (response?.error) throw failureInResponse(response.error, providerRequestId);
  if (!Array.isArray(response?.output)) throw new ModelUnavailable('The provider answered without an output', { providerRequestId });
  const stop = response.incomplete_details?.reason;
  const refusal = refusalIn(response) ?? (stop === 'content_filter' ? 'the content filter stopped it' : undefined);
  const { usage } = response;
  return {
    text,
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
