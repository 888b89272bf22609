import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compileSchema } from '#libs/schemas';
import { ModelGateway } from '../../model-gateway.js';
import type { ModelAttempt } from '../../inference.js';
import { mostHeldBytes } from './body-limits.js';
import { OpenAiProvider } from './openai.provider.js';

/** The response of a server, and the class that it belongs to. */
interface OddAnswer {
  /** The server, and what is odd. */
  readonly who: string;
  readonly status?: number;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: unknown;
  /** The status with which the server answers an empty request. Default: 400, as an API does that is there and takes the key. */
  readonly probe?: number;
  /** The output that is accepted, or the code of the failure that the call is recorded with. */
  readonly expected: { readonly output: unknown } | string;
  /** Tokens that are recorded. Default: 11 and 5 if there is an output. */
  readonly tokens?: readonly [input: number | null, output: number | null];
}

const output = { mood: 'good' };
const text = JSON.stringify(output);
const usage = { prompt_tokens: 11, completion_tokens: 5, total_tokens: 16 };
const chat = (message: object, more: object = {}, choice: object = {}): object => ({
  id: 'c-1',
  object: 'chat.completion',
  model: 'm',
  choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', ...message }, ...choice }],
  usage,
  ...more,
});
const says = (content: unknown): object => chat({ content });
const events = (...chunks: object[]): string => `${chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join('')}data: [DONE]\n\n`;
const chunk = (choice: object): object => ({ model: 'm', choices: [{ index: 0, delta: {}, finish_reason: null, ...choice }] });
const error = (fields: object): object => ({ error: fields });

/** Complete answers in forms that differ from OpenAI's. */
const answers: OddAnswer[] = (<Omit<OddAnswer, 'expected'>[]>[
  {
    who: 'Mistral: content in parts',
    body: says([
      { type: 'text', text: '{"mood":' },
      { type: 'text', text: '"good"}' },
    ]),
  },
  {
    who: 'Mistral (Magistral): a thinking part before the text',
    body: says([
      { type: 'thinking', thinking: [{ type: 'text', text: 'Is it {good}?' }] },
      { type: 'text', text },
    ]),
  },
  {
    who: 'Mistral: a part of an unknown type',
    body: says([
      { type: 'text', text },
      { type: 'sparkle', sparkle: 1 },
    ]),
  },
  {
    who: 'Anthropic through a proxy: redacted thinking',
    body: says([
      { type: 'redacted_thinking', data: 'eA==' },
      { type: 'text', text },
    ]),
  },
  { who: 'Assistants-like text parts', body: says([{ type: 'text', text: { value: text, annotations: [] } }]) },
  { who: 'a proxy: one part instead of a list', body: says({ type: 'text', text }) },
  { who: 'a proxy: plain texts as parts', body: says(['{"mood":', '"good"}']) },
  { who: 'a proxy that parses the answer: content as an object', body: says(output) },
  { who: 'Foundry Local, LiteLLM: usage null', body: chat({ content: text }, { usage: null }), tokens: [null, null] },
  { who: 'usage without counts', body: chat({ content: text }, { usage: {} }), tokens: [null, null] },
  { who: 'one count null', body: chat({ content: text }, { usage: { prompt_tokens: null, completion_tokens: 5 } }), tokens: [null, 5] },
  { who: 'counts that are fractions', body: chat({ content: text }, { usage: { prompt_tokens: 10.6, completion_tokens: 5.2 } }) },
  {
    who: 'counts that are huge',
    body: chat({ content: text }, { usage: { prompt_tokens: 1e15, completion_tokens: 2 ** 31 } }),
    tokens: [null, null],
  },
  {
    who: 'counts below zero, as texts',
    body: chat({ content: text }, { usage: { prompt_tokens: -1, completion_tokens: '5' } }),
    tokens: [null, null],
  },
  { who: 'no model named', body: chat({ content: text }, { model: null }) },
  { who: 'Gemini, Llama: one fence', body: says(`\`\`\`json\n${text}\n\`\`\``) },
  { who: 'one fence without a language, with prose around', body: says(`Here it is:\n\`\`\`\n${text}\n\`\`\`\nAnything else?`) },
  { who: 'DeepSeek R1: after </think>', body: says(`<think>\nThe {mood} is…\n</think>\n\n${text}`) },
  { who: 'Qwen: after </think> whose beginning the template swallowed', body: says(`Let me see.\n</think>\n${text}`) },
  { who: 'after </think>, in a fence', body: says(`<think>\`\`\`json {} \`\`\`</think>\n\`\`\`json\n${text}\n\`\`\``) },
  { who: 'reasoning beside the content', body: chat({ content: text, reasoning_content: 'Hm.', reasoning: 'Hm.' }) },
  { who: 'refusal is an empty text', body: chat({ content: text, refusal: '' }) },
  { who: 'error null beside the choices', body: chat({ content: text }, { error: null }, { error: null }) },
  { who: 'no content type', type: '', body: says(text) },
  { who: 'text/plain', type: 'text/plain; charset=utf-8', body: says(text) },
  { who: 'application/octet-stream', type: 'application/octet-stream', body: says(text) },
  { who: 'text/json', type: 'text/json', body: says(text) },
  {
    who: 'OpenRouter: blank lines before the body, to keep the connection alive',
    body: `\n         \n\n         \n${JSON.stringify(says(text))}`,
  },
  { who: 'a byte order mark before the body', body: `\uFEFF${JSON.stringify(says(text))}` },
  {
    who: 'an event stream that nobody asked for',
    type: 'text/event-stream',
    body: events(chunk({ delta: { content: text.slice(0, 5) } }), chunk({ delta: { content: text.slice(5) }, finish_reason: 'stop' }), {
      model: 'm',
      choices: [],
      usage,
    }),
  },
  {
    who: 'an event stream under application/json',
    body: events(chunk({ delta: { content: text }, finish_reason: 'stop' }), { model: 'm', choices: [], usage }),
  },
  { who: 'no finish reason', body: chat({ content: text }, {}, { finish_reason: null }) },
  { who: 'a finish reason of another API', body: chat({ content: text }, {}, { finish_reason: 'end_turn' }) },
]).map((answer) => ({ expected: { output }, ...answer }));

/** Answers that came in order and cannot be used. */
const unusable: OddAnswer[] = [
  { who: 'two fences', body: says('```json\n{"mood":"good"}\n```\nor\n```json\n{"mood":"bad"}\n```'), expected: 'model.invalidOutput' },
  { who: 'thinking without an end', body: says('<think>\nThe mood is'), expected: 'model.invalidOutput' },
  { who: 'content null', body: chat({ content: null }), expected: 'model.invalidOutput' },
  { who: 'content of another type', body: says(7), expected: 'model.invalidOutput' },
  { who: 'a message without members', body: chat({}), expected: 'model.invalidOutput' },
  { who: 'nothing but thinking', body: says([{ type: 'thinking', thinking: [] }]), expected: 'model.invalidOutput' },
  { who: 'Mistral: model_length', body: chat({ content: '{"mo' }, {}, { finish_reason: 'model_length' }), expected: 'model.invalidOutput' },
  { who: 'Gemini: MAX_TOKENS', body: chat({ content: '{"mo' }, {}, { finish_reason: 'MAX_TOKENS' }), expected: 'model.invalidOutput' },
  { who: 'OpenAI: a refusal', body: chat({ content: null, refusal: 'I cannot help.' }), expected: 'model.refused' },
  {
    who: 'OpenAI, Azure: the content filter',
    body: chat({ content: '' }, {}, { finish_reason: 'content_filter' }),
    expected: 'model.refused',
  },
  { who: 'Zhipu: sensitive', body: chat({ content: '' }, {}, { finish_reason: 'sensitive' }), expected: 'model.refused' },
  { who: 'Gemini: SAFETY', body: chat({ content: null }, {}, { finish_reason: 'SAFETY' }), expected: 'model.refused' },
  {
    who: 'DeepSeek: no resources',
    body: chat({ content: '' }, {}, { finish_reason: 'insufficient_system_resource' }),
    expected: 'model.unavailable',
  },
  {
    who: 'OpenRouter: the provider behind it died',
    body: chat({ content: text }, {}, { finish_reason: 'error' }),
    expected: 'model.unavailable',
  },
  { who: 'no choices', body: chat({}, { choices: [] }), expected: 'model.unavailable' },
  { who: 'choices null', body: chat({}, { choices: null }), expected: 'model.unavailable' },
  { who: 'a choice that is null', body: chat({}, { choices: [null] }), expected: 'model.unavailable' },
  { who: 'a list', body: [1, 2], expected: 'model.unavailable' },
  { who: 'null', body: null, expected: 'model.unavailable' },
  { who: 'an empty body', body: '', expected: 'model.unavailable' },
  { who: 'half a body', body: JSON.stringify(says(text)).slice(0, 40), expected: 'model.unavailable' },
  { who: 'an answer over 8 MiB', body: says('x'.repeat(mostHeldBytes)), expected: 'model.answerTooLarge' },
  {
    who: 'an event stream over 8 MiB that was not asked for',
    type: 'text/event-stream',
    body: events(...Array.from({ length: 9 }, () => chunk({ delta: { content: 'x'.repeat(1024 ** 2) } }))),
    expected: 'model.answerTooLarge',
  },
  {
    who: 'an answer that is compressed, unasked',
    headers: { 'content-encoding': 'gzip' },
    body: gzipSync(JSON.stringify(says(text))),
    expected: 'model.unavailable',
  },
  {
    who: 'an event stream that is cut',
    type: 'text/event-stream',
    body: `data: ${JSON.stringify(chunk({ delta: { content: text } }))}\n\n`,
    expected: 'model.unavailable',
  },
];

/** Errors in a response with status 200. */
const errorsIn200: OddAnswer[] = [
  {
    who: 'OpenRouter: the choice failed',
    body: chat({ content: '{"m' }, {}, { error: { code: 502, message: 'Provider returned error' } }),
    expected: 'model.unavailable',
  },
  {
    who: 'OpenRouter: the choice was limited',
    body: chat({ content: '' }, {}, { error: { code: 429, message: 'Rate limited' } }),
    expected: 'model.limited',
  },
  {
    who: 'OpenRouter: moderation',
    body: error({ code: 403, message: 'Input flagged', metadata: { reasons: ['violence'], flagged_input: '…' } }),
    expected: 'model.refused',
  },
  { who: 'OpenRouter: no credit', body: error({ code: 402, message: 'Insufficient credits' }), expected: 'model.credential' },
  { who: 'OpenRouter: overloaded', body: error({ code: 503, message: 'No provider available' }), expected: 'model.unavailable' },
  { who: 'a proxy: a limit', body: error({ message: 'slow down', type: 'rate_limit_error' }), expected: 'model.limited' },
  { who: 'a proxy: the key', body: error({ message: 'no', type: 'authentication_error' }), expected: 'model.credential' },
  {
    who: 'Anthropic: overloaded',
    body: { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } },
    expected: 'model.unavailable',
  },
  {
    who: 'vLLM: a bad request',
    body: { object: 'error', message: 'too long', type: 'BadRequestError', param: null, code: 400 },
    expected: 'model.refused',
  },
  {
    who: 'LM Studio: an unknown address',
    body: { error: 'Unexpected endpoint or method. (POST /chat/completions)' },
    probe: 200,
    expected: 'model.misconfigured',
  },
  {
    who: 'LM Studio: the model crashed',
    body: { error: 'The model has crashed without additional information.' },
    expected: 'model.unavailable',
  },
  { who: 'an error without members', body: error({}), expected: 'model.unavailable' },
];

/** Errors with a status that concern one request, although the status alone would say otherwise; and those that do not. */
const errorStatuses: OddAnswer[] = [
  {
    who: 'OpenRouter: moderation',
    status: 403,
    body: error({
      code: 403,
      message: 'openai/gpt-5 requires moderation. Your input was flagged',
      metadata: { reasons: ['violence'], flagged_input: 'x' },
    }),
    expected: 'model.refused',
  },
  {
    who: 'Azure: the content filter',
    status: 403,
    body: error({ code: 'content_filter', message: 'filtered' }),
    expected: 'model.refused',
  },
  { who: '403 without a reason, and the key is good', status: 403, body: {}, probe: 400, expected: 'model.refused' },
  { who: '403 without a reason, and every request gets one', status: 403, body: {}, probe: 403, expected: 'model.credential' },
  {
    who: '403 of a firewall in front, for this body only',
    status: 403,
    type: 'text/html',
    body: '<html><title>Attention</title></html>',
    expected: 'model.refused',
  },
  {
    who: 'OpenAI: the project has no access to the model',
    status: 403,
    body: error({ code: 'model_not_found', message: 'no access' }),
    expected: 'model.refused',
  },
  {
    who: 'OpenAI: the country',
    status: 403,
    body: error({ code: 'unsupported_country_region_territory', message: 'no' }),
    probe: 403,
    expected: 'model.credential',
  },
  {
    who: 'OpenRouter: credits for this size',
    status: 402,
    body: error({
      code: 402,
      message: 'This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only afford 1000.',
    }),
    expected: 'model.refused',
  },
  { who: 'OpenRouter: no credits', status: 402, body: error({ code: 402, message: 'Insufficient credits' }), expected: 'model.credential' },
  {
    who: 'DeepSeek: no balance',
    status: 402,
    body: error({ code: 'invalid_request_error', message: 'Insufficient Balance' }),
    expected: 'model.credential',
  },
  { who: 'OpenAI: no quota', status: 429, body: error({ code: 'insufficient_quota', message: 'no quota' }), expected: 'model.credential' },
  {
    who: 'OpenAI: one request is larger than the limit per minute',
    status: 429,
    body: error({
      code: 'rate_limit_exceeded',
      type: 'tokens',
      message: 'Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 45000.',
    }),
    expected: 'model.refused',
  },
  {
    who: 'Groq: too large',
    status: 413,
    body: error({ code: 'rate_limit_exceeded', message: 'Request too large' }),
    expected: 'model.refused',
  },
  {
    who: 'Gemini: a list with an error',
    status: 429,
    body: [error({ code: 429, status: 'RESOURCE_EXHAUSTED', message: 'quota' })],
    expected: 'model.limited',
  },
  {
    who: 'Gemini: a bad key as 400',
    status: 400,
    body: [error({ code: 400, status: 'INVALID_ARGUMENT', message: 'API key not valid. Please pass a valid API key.' })],
    expected: 'model.credential',
  },
  {
    who: 'xAI: a bad key as 400',
    status: 400,
    body: { code: 'Client specified an invalid argument', error: 'Incorrect API key provided: xx' },
    expected: 'model.credential',
  },
  { who: 'Groq: no capacity', status: 498, body: error({ message: 'Flex tier capacity exceeded' }), expected: 'model.unavailable' },
  {
    who: 'Cloudflare: the server behind it',
    status: 524,
    type: 'text/html',
    body: '<html><title>A timeout occurred</title></html>',
    expected: 'model.unavailable',
  },
  {
    who: 'FastAPI: validation',
    status: 422,
    body: { detail: [{ loc: ['body', 'messages'], msg: 'field required' }] },
    expected: 'model.refused',
  },
  {
    who: 'OpenAI: an unknown model',
    status: 404,
    body: error({ code: 'model_not_found', message: 'The model `x` does not exist' }),
    probe: 404,
    expected: 'model.refused',
  },
  {
    who: 'vLLM: an unknown model',
    status: 404,
    body: { object: 'error', message: 'The model `x` does not exist.', type: 'NotFoundError', code: 404 },
    expected: 'model.refused',
  },
  {
    who: 'Ollama: an unknown model',
    status: 404,
    body: error({ message: "model 'x' not found", type: 'not_found_error', code: null }),
    expected: 'model.refused',
  },
  {
    who: 'Azure: an unknown deployment',
    status: 404,
    body: error({ code: 'DeploymentNotFound', message: 'The API deployment does not exist' }),
    expected: 'model.refused',
  },
  {
    who: 'OpenRouter: nobody serves the model',
    status: 404,
    body: error({ code: 404, message: 'No endpoints found for x/y' }),
    expected: 'model.refused',
  },
  { who: 'an error over 8 MiB', status: 503, body: 'x'.repeat(mostHeldBytes + 1), expected: 'model.unavailable' },
  { who: 'an error with an event stream', status: 401, type: 'text/event-stream', body: 'data: {}\n\n', expected: 'model.credential' },
  {
    who: 'an error that is compressed, unasked',
    status: 401,
    headers: { 'content-encoding': 'gzip' },
    body: gzipSync('{}'),
    expected: 'model.credential',
  },
  { who: '404 without a reason, and the API is there', status: 404, body: {}, probe: 422, expected: 'model.refused' },
];

/** Something else than a model API answers at the address. */
const wrongAddresses: OddAnswer[] = (<Omit<OddAnswer, 'expected'>[]>[
  {
    who: 'OpenAI',
    status: 404,
    body: error({ message: 'Invalid URL (POST /chat/completions)', type: 'invalid_request_error', code: null }),
  },
  {
    who: 'Groq',
    status: 404,
    body: error({ message: 'Unknown request URL: POST /v1/chat/completions', type: 'invalid_request_error', code: 'unknown_url' }),
  },
  { who: 'FastAPI, vLLM', status: 404, body: { detail: 'Not Found' } },
  { who: 'Azure', status: 404, body: error({ code: '404', message: 'Resource not found' }) },
  { who: 'Ollama, Go', status: 404, type: 'text/plain', body: '404 page not found' },
  { who: 'Express', status: 404, type: 'text/html', body: '<!DOCTYPE html><html><pre>Cannot POST /chat/completions</pre></html>' },
  { who: 'an empty body', status: 404, type: '', body: '' },
  { who: 'a method that is not allowed', status: 405, body: { detail: 'Method Not Allowed' } },
  { who: 'a redirect to https', status: 301, headers: { location: 'https://127.0.0.1:9/' }, type: 'text/html', body: '<html>Moved</html>' },
  { who: 'a redirect to a login', status: 302, headers: { location: '/login' }, body: '' },
  { who: 'a web page with status 200', status: 200, type: 'text/html', body: '<!doctype html><html><title>Welcome</title></html>' },
  { who: 'a web page over 8 MiB', status: 200, type: 'text/html', body: `<html>${'x'.repeat(mostHeldBytes)}` },
  { who: 'a file over 8 MiB for every request', status: 200, type: 'video/mp4', body: 'x'.repeat(mostHeldBytes + 1) },
  { who: 'text for every request', status: 200, type: 'text/plain', body: 'thanks' },
  { who: 'nothing for every request', status: 200, type: '', body: '' },
  { who: 'an empty object for every request', status: 200, body: {} },
  { who: 'a number for every request', status: 200, body: 1 },
  { who: 'a message for every request', status: 200, body: { message: 'received' } },
  { who: 'half an object for every request', status: 200, body: '{"id":' },
  { who: 'a compressed text for every request', status: 200, headers: { 'content-encoding': 'gzip' }, body: gzipSync('thanks') },
]).map(({ status = 200, ...answer }) => ({ ...answer, status, probe: status, expected: 'model.misconfigured' }));

let server: Server;
let baseUrl: string;
let current: OddAnswer;
beforeAll(async () => {
  server = createServer((request, response) => {
    const body: Buffer[] = [];
    request.on('data', (bytes: Buffer) => body.push(bytes));
    request.on('end', () => respond(response, Buffer.concat(body).toString() === '{}'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

function respond(response: ServerResponse, isProbe: boolean): void {
  const { status = 200, type = 'application/json', headers = {}, body, probe = 400 } = current;
  const isOther = isProbe && probe !== status;
  response.writeHead(isProbe ? probe : status, { ...(type === '' ? {} : { 'content-type': type }), ...(isOther ? {} : headers) });
  response.end(isOther ? '{}' : typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body));
}

/** Makes one call, and returns its record and the output, if there is one. */
async function callOnce(answer: OddAnswer): Promise<{ attempt: ModelAttempt; output: unknown }> {
  current = answer;
  const gateway = new ModelGateway({ provider: new OpenAiProvider({ baseUrl, apiKey: 'key' }) });
  const first = new AbortController();
  let attempt: ModelAttempt | undefined;
  const inferred = gateway.infer({
    tenant: 'acme',
    target: { model: 'm' },
    instructions: 'Judge.',
    input: 'Lovely.',
    outputSchema: compileSchema({
      type: 'object',
      properties: { mood: { enum: ['good', 'bad'] } },
      required: ['mood'],
      additionalProperties: false,
    }),
    schemaName: 'mood',
    timeoutMs: 30_000,
    signal: first.signal,
    onAttempt: async (made) => {
      attempt = made;
      if (made.outcome === 'failed') first.abort(new Error('one call is enough'));
    },
  });
  const result = await inferred.then(
    (inference) => inference.output,
    () => undefined,
  );
  await gateway.close();
  return { attempt: attempt!, output: result };
}

/** The corpus of answers that real servers have sent: each is accepted, or recorded with the class of failure that it belongs to. */
describe.each([
  ['a complete answer', answers],
  ['an answer that cannot be used', unusable],
  ['an error with status 200', errorsIn200],
  ['an error status', errorStatuses],
  ['a wrong address', wrongAddresses],
])('%s', (_, corpus) => {
  test.each(corpus)('$who', async (answer) => {
    const { attempt, output: accepted } = await callOnce(answer);
    if (typeof answer.expected === 'string') {
      expect(attempt).toMatchObject({ outcome: 'failed', errorCode: answer.expected });
      return;
    }
    expect(attempt).toMatchObject({ outcome: 'succeeded', errorCode: null });
    expect(accepted).toEqual(answer.expected.output);
    expect([attempt.inputTokens, attempt.outputTokens]).toEqual(answer.tokens ?? [11, 5]);
  });
});

test('numbers in content that a proxy parsed keep their digits', async () => {
  current = { who: '', expected: '', body: '{"model":"m","choices":[{"message":{"content":{"id":9007199254740993}}}]}' };
  const provider = new OpenAiProvider({ baseUrl, apiKey: 'key' });
  const request = { model: 'm', turns: [], schema: { name: 's', schema: {}, strict: false } };
  const { text: said } = await provider.complete(request, { signal: new AbortController().signal, timeoutMs: 5_000 });
  expect(said).toBe('{"id":9007199254740993}');
  await provider.close();
});
