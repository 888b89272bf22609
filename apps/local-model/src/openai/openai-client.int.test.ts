import OpenAI from 'openai';
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { start } from '#libs/service';
import type { RunningService } from '#libs/service';
import { LocalModelModule } from '../local-model.module.js';
import { localModelBasePath } from './completions.controller.js';

const complaint = 'I was charged twice for order #A-10293. Please refund $129.99, this is the third time I write.';
const triage = z.object({
  summary: z.string(),
  sentiment: z.enum(['negative', 'neutral', 'positive']),
  topic: z.enum(['billing', 'delivery', 'engineering', 'other']),
});
const expected = { summary: expect.stringContaining('charged twice'), sentiment: 'negative', topic: 'billing' };

/** The official client against the local model. */
let service: RunningService;
let client: OpenAI;

beforeAll(async () => {
  const options = { apiKey: 'sk-local', requestsPerMinute: 1_000_000, tokensPerMinute: 1_000_000_000, faults: true };
  service = await start({ service: 'local-model', host: '127.0.0.1', port: 0, modules: [LocalModelModule.register(options)] });
  client = clientWith('sk-local');
});
afterAll(() => service.stop());

function clientWith(apiKey: string): OpenAI {
  return new OpenAI({ baseURL: `${service.url}${localModelBasePath}`, apiKey, maxRetries: 0, logLevel: 'off' });
}

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of stream) all.push(one);
  return all;
}

const messages = [{ role: 'user', content: complaint }] as const;
const chat = { model: 'local/rules-1', messages: [...messages] };

describe('chat completions', () => {
  it('answers in words, and says what it is', async () => {
    const { data: completion, request_id } = await client.chat.completions.create(chat).withResponse();
    expect(completion).toMatchObject({ object: 'chat.completion', model: 'local/rules-1', system_fingerprint: 'engine:rules' });
    expect(completion.choices[0]).toMatchObject({
      finish_reason: 'stop',
      message: { content: expect.stringContaining('Sentiment: negative') },
    });
    expect(completion.usage!.total_tokens).toBe(completion.usage!.prompt_tokens + completion.usage!.completion_tokens);
    expect(request_id).toMatch(/^req_/);
  });

  it('can be parsed into a type of the caller’s', async () => {
    const completion = await client.chat.completions.parse({ ...chat, response_format: zodResponseFormat(triage, 'triage') });
    expect(completion.choices[0]!.message.parsed).toEqual(expected);
  });

  it('answers with JSON of its own where only JSON is asked for', async () => {
    const completion = await client.chat.completions.create({ ...chat, response_format: { type: 'json_object' } });
    expect(JSON.parse(completion.choices[0]!.message.content!)).toMatchObject({
      topic: { label: 'billing' },
      sentiment: { label: 'negative' },
    });
  });

  it('streams the same text in pieces, with usage in the last chunk where that is asked for', async () => {
    const stream = await client.chat.completions.create({ ...chat, stream: true, stream_options: { include_usage: true } });
    const chunks = await collect(stream);
    const whole = await client.chat.completions.create(chat);
    expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe(whole.choices[0]!.message.content);
    expect(chunks[0]!.choices[0]!.delta.role).toBe('assistant');
    expect(chunks.at(-2)!.choices[0]!.finish_reason).toBe('stop');
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: whole.usage });
    expect(chunks.length).toBeGreaterThan(4);
  });

  it('streams without usage where none is asked for', async () => {
    const chunks = await collect(await client.chat.completions.create({ ...chat, stream: true }));
    expect(chunks.every((chunk) => !('usage' in chunk))).toBe(true);
  });

  it('works with the client’s streaming helper and its parsing', async () => {
    const stream = client.chat.completions.stream({ ...chat, response_format: zodResponseFormat(triage, 'triage') });
    expect((await stream.finalChatCompletion()).choices[0]!.message.parsed).toEqual(expected);
  });

  it('ends each stream with [DONE]', async () => {
    const body = await (await client.chat.completions.create({ ...chat, stream: true }).asResponse()).text();
    expect(body.endsWith('data: [DONE]\n\n')).toBe(true);
  });

  it('cuts off at the limit of output tokens and says so', async () => {
    const completion = await client.chat.completions.create({ ...chat, max_completion_tokens: 5 });
    expect(completion.choices[0]!.finish_reason).toBe('length');
    expect(completion.usage!.completion_tokens).toBe(5);
  });

  it('refuses, as a model does, where a schema asks for what the text does not hold', async () => {
    const schema = { type: 'object', properties: { code: { type: 'string', pattern: '^Q{7}$' } }, required: ['code'] };
    const completion = await client.chat.completions.create({
      ...chat,
      response_format: { type: 'json_schema', json_schema: { name: 'x', schema } },
    });
    expect(completion.choices[0]!.message).toMatchObject({ content: null, refusal: expect.stringContaining('/code must match pattern') });
  });
});

describe('responses', () => {
  const question = { model: 'local/rules-1', input: complaint };

  it('answers in words', async () => {
    const response = await client.responses.create({ ...question, instructions: 'Sum it up.' });
    expect(response).toMatchObject({
      object: 'response',
      status: 'completed',
      model: 'local/rules-1',
      output_text: expect.stringContaining('charged twice'),
    });
    expect(response.usage!.total_tokens).toBe(response.usage!.input_tokens + response.usage!.output_tokens);
  });

  it('can be parsed into a type of the caller’s', async () => {
    const response = await client.responses.parse({ ...question, text: { format: zodTextFormat(triage, 'triage') } });
    expect(response.output_parsed).toEqual(expected);
  });

  it('streams events that add up to the whole response', async () => {
    const events = await collect(await client.responses.create({ ...question, stream: true }));
    const types = events.map(({ type }) => type);
    expect(types.slice(0, 4)).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
    ]);
    expect(types.slice(-4)).toEqual([
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ]);
    expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, at) => at));
    const text = events.map((event) => (event.type === 'response.output_text.delta' ? event.delta : '')).join('');
    expect(text).toBe((await client.responses.create(question)).output_text);
  });

  it('works with the client’s streaming helper', async () => {
    const stream = client.responses.stream({ ...question, text: { format: zodTextFormat(triage, 'triage') } });
    expect((await stream.finalResponse()).output_parsed).toEqual(expected);
  });

  it('reads a list of messages, and is incomplete at the limit of output tokens', async () => {
    const input = [{ role: 'user' as const, content: [{ type: 'input_text' as const, text: complaint }] }];
    const response = await client.responses.create({ model: 'local/rules-1', input, max_output_tokens: 4 });
    expect(response).toMatchObject({ status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } });
  });
});

it('lists and shows its one model', async () => {
  expect((await client.models.list()).data.map(({ id }) => id)).toEqual(['local/rules-1']);
  expect(await client.models.retrieve('local/rules-1')).toMatchObject({ id: 'local/rules-1', owned_by: 'millrace' });
});

it('gives the same answer to the same question', async () => {
  const [one, other] = await Promise.all([
    client.responses.create({ model: 'local/rules-1', input: complaint }),
    client.responses.create({ model: 'local/rules-1', input: complaint }),
  ]);
  expect(one.output_text).toBe(other.output_text);
});

describe('a request that cannot be answered', () => {
  it.each<[string, () => Promise<unknown>, object]>([
    [
      'another model',
      () => client.chat.completions.create({ ...chat, model: 'gpt-9' }),
      { status: 404, code: 'model_not_found', param: 'model' },
    ],
    ['another model to show', () => client.models.retrieve('gpt-9'), { status: 404, code: 'model_not_found' }],
    [
      'no messages',
      () => client.chat.completions.create({ ...chat, messages: [] }),
      { status: 400, param: 'messages', code: 'invalid_value' },
    ],
    [
      'more parts of a message than it looks at',
      () =>
        client.chat.completions.create({ ...chat, messages: [{ role: 'user', content: Array.from({ length: 1_001 }, () => 7 as never) }] }),
      { status: 400, param: 'messages[0].content', code: 'invalid_value' },
    ],
    [
      'no model',
      () => client.chat.completions.create({ messages } as never),
      { status: 400, param: 'model', code: 'missing_required_parameter' },
    ],
    [
      'an unknown role',
      () => client.chat.completions.create({ ...chat, messages: [{ role: 'king', content: '' } as never] }),
      { status: 400, param: 'messages[0].role' },
    ],
    [
      'an image',
      () =>
        client.chat.completions.create({
          ...chat,
          messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }],
        }),
      { status: 400, param: 'messages[0].content[0].type' },
    ],
    ['several choices', () => client.chat.completions.create({ ...chat, n: 3 }), { status: 400, param: 'n' }],
    [
      'a schema that is none',
      () =>
        client.responses.create({
          model: 'local/rules-1',
          input: 'x',
          text: { format: { type: 'json_schema', name: 'x', schema: { type: 'strnig' } } },
        }),
      { status: 400, param: 'text.format.schema', code: 'invalid_json_schema' },
    ],
    ['a wrong key', () => clientWith('sk-wrong').chat.completions.create(chat), { status: 401, code: 'invalid_api_key' }],
    ['a wrong key to list models', () => clientWith('sk-wrong').models.list(), { status: 401 }],
  ])('gets an error of the API’s own shape: %s', async (_, ask, error) => {
    await expect(ask()).rejects.toMatchObject({ ...error, type: 'invalid_request_error' });
  });

  it('gets one for a body that is not JSON too', async () => {
    const answer = await fetch(`${service.url}${localModelBasePath}/chat/completions`, {
      method: 'POST',
      headers: { authorization: 'Bearer sk-local', 'content-type': 'application/json' },
      body: '{"model": ',
    });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toEqual({
      error: { message: 'We could not parse the JSON body of your request.', type: 'invalid_request_error', param: null, code: null },
    });
  });
});
