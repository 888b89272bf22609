import type {
  Response,
  ResponseOutputMessage,
  ResponseOutputRefusal,
  ResponseOutputText,
  ResponseStreamEvent,
  ResponseUsage,
} from 'openai/resources/responses/responses';
import { z } from 'zod';
import type { AnswerFormat } from '../answering/answer.js';
import { InvalidRequest } from './api.errors.js';
import { inputsOf, listOf, messageContent, parseRequest, schemaFormat, textOf } from './model-question.js';
import type { Message, ModelQuestion } from './model-question.js';
import { pieces } from './api-format.js';
import type { Completion, ApiFormat, StreamEvent } from './api-format.js';

const inputItem = z.looseObject({
  type: z.literal('message').optional(),
  role: z.enum(['system', 'developer', 'user', 'assistant']),
  content: messageContent,
});

const request = z.looseObject({
  model: z.string(),
  input: z.union([z.string(), listOf(inputItem, 1)]),
  instructions: z.string().nullish(),
  text: z
    .looseObject({
      format: z
        .discriminatedUnion('type', [
          z.looseObject({ type: z.literal('text') }),
          z.looseObject({ type: z.literal('json_object') }),
          z.looseObject({ type: z.literal('json_schema'), name: z.string(), schema: z.record(z.string(), z.unknown()).optional() }),
        ])
        .nullish(),
    })
    .nullish(),
  max_output_tokens: z.int().min(1).nullish(),
  previous_response_id: z.string().nullish(),
  tools: z.array(z.unknown()).nullish(),
  stream: z.boolean().nullish(),
});

/** `POST /responses`. Nothing is stored, so no request can refer to an earlier response. */
export const responses: ApiFormat = {
  name: 'responses',

  read(body: unknown): ModelQuestion {
    const asked = parseRequest(request, body);
    if (asked.tools?.length) throw new InvalidRequest('local/rules-1 calls no tools.', 'tools', 'unsupported_parameter');
    if (asked.previous_response_id)
      throw new InvalidRequest('Responses are not stored here.', 'previous_response_id', 'unsupported_parameter');
    const messages = messagesOf(asked.input);
    return {
      model: asked.model,
      inputs: inputsOf(messages),
      promptLength: messages.reduce((length, { text }) => length + text.length, asked.instructions?.length ?? 0),
      format: formatOf(asked.text?.format),
      maxOutputTokens: asked.max_output_tokens ?? undefined,
      stream: asked.stream ?? false,
      streamsUsage: true,
    };
  },

  whole(completion: Completion): Omit<Response, 'output_text'> {
    return finished(completion);
  },

  *stream(completion: Completion): Generator<StreamEvent> {
    let sequence = 0;
    // The type distributes over the union, so each event is checked against its own type.
    const event = (data: WithoutNumber<ResponseStreamEvent>): StreamEvent => {
      return { event: data.type, data: { ...data, sequence_number: sequence++ } };
    };
    const started = envelope(completion, 'in_progress') as Response;
    const item_id = itemId(completion);
    const place = { item_id, output_index: 0, content_index: 0 };
    const whole = contentOf(completion);
    yield event({ type: 'response.created', response: started });
    yield event({ type: 'response.in_progress', response: started });
    yield event({
      type: 'response.output_item.added',
      output_index: 0,
      item: { ...message(completion), status: 'in_progress', content: [] },
    });
    yield event({
      type: 'response.content_part.added',
      ...place,
      part: whole.type === 'refusal' ? { ...whole, refusal: '' } : { ...whole, text: '' },
    });
    if (whole.type === 'refusal') {
      for (const delta of pieces(whole.refusal)) yield event({ type: 'response.refusal.delta', ...place, delta });
      yield event({ type: 'response.refusal.done', ...place, refusal: whole.refusal });
    } else {
      for (const delta of pieces(whole.text)) yield event({ type: 'response.output_text.delta', ...place, delta, logprobs: [] });
      yield event({ type: 'response.output_text.done', ...place, text: whole.text, logprobs: [] });
    }
    yield event({ type: 'response.content_part.done', ...place, part: whole });
    yield event({ type: 'response.output_item.done', output_index: 0, item: message(completion) });
    yield event({ type: completion.truncated ? 'response.incomplete' : 'response.completed', response: finished(completion) as Response });
  },
};

type WithoutNumber<Event> = Event extends { sequence_number: number } ? Omit<Event, 'sequence_number'> : Event;

function messagesOf(input: z.infer<typeof request>['input']): Message[] {
  if (typeof input === 'string') return [{ role: 'user', text: input }];
  return input.map(({ role, content }, at) => ({ role, text: textOf(content, `input[${at}].content`) }));
}

function formatOf(format: NonNullable<z.infer<typeof request>['text']>['format']): AnswerFormat {
  if (format?.type === 'json_schema') return schemaFormat(format.schema, 'text.format');
  return { kind: format?.type === 'json_object' ? 'json' : 'text' };
}

function finished(completion: Completion): Omit<Response, 'output_text'> {
  return {
    ...envelope(completion, completion.truncated ? 'incomplete' : 'completed'),
    incomplete_details: completion.truncated ? { reason: 'max_output_tokens' } : null,
    output: [message(completion)],
    usage: usageOf(completion),
  };
}

function envelope({ id, createdAt, model }: Completion, status: 'in_progress' | 'completed' | 'incomplete'): Omit<Response, 'output_text'> {
  return {
    id: `resp_${id}`,
    object: 'response',
    created_at: Math.floor(createdAt.getTime() / 1_000),
    status,
    model,
    access_programs: null,
    error: null,
    incomplete_details: null,
    instructions: null,
    metadata: { engine: 'rules' },
    output: [],
    parallel_tool_calls: false,
    temperature: null,
    tool_choice: 'none',
    tools: [],
    top_p: null,
  };
}

function message(completion: Completion): ResponseOutputMessage {
  return {
    id: itemId(completion),
    type: 'message',
    role: 'assistant',
    status: completion.truncated ? 'incomplete' : 'completed',
    content: [contentOf(completion)],
  };
}

function contentOf({ text, refusal }: Completion): ResponseOutputText | ResponseOutputRefusal {
  return refusal === undefined ? { type: 'output_text', text, annotations: [] } : { type: 'refusal', refusal };
}

function itemId({ id }: Completion): string {
  return `msg_${id}`;
}

function usageOf({ inputTokens, outputTokens }: Completion): ResponseUsage {
  return {
    input_tokens: inputTokens,
    input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
    output_tokens: outputTokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: inputTokens + outputTokens,
  };
}
