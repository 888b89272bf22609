import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compileSchema } from '#libs/schemas';
import { SeededRandom } from '#libs/testing';
import { registry } from '#libs/tracing';
import { ModelGateway } from './model-gateway.js';
import type { InferenceObserver, InferenceRequest, ModelAttempt } from './inference.js';
import {
  ModelCredentialRefused,
  ModelLimited,
  ModelMisconfigured,
  ModelOutputInvalid,
  ModelRefused,
  ModelUnavailable,
} from './model.errors.js';
import { OpenAiProvider } from './providers/openai/openai.provider.js';
import type { OpenAiProviderOptions } from './providers/openai/openai.provider.js';

/** The parts of a request to the provider that the tests look at. */
interface Received {
  path: string;
  headers: IncomingHttpHeaders;
  body: {
    model: string;
    messages: { role: string; content: string }[];
    response_format: unknown;
    max_completion_tokens?: number;
    instructions?: string;
    store?: boolean;
    max_output_tokens?: number;
  };
}
type Reply = (response: ServerResponse) => void;

const schema = {
  type: 'object',
  properties: { sentiment: { enum: ['good', 'bad'] }, score: { type: 'number', maximum: 10 } },
  required: ['sentiment', 'score'],
  additionalProperties: false,
};
const good = { sentiment: 'good', score: 7 };

let server: Server;
let script: Reply[];
let received: Received[];
let gateway: ModelGateway;
let waits: number[];
let pass: (ms: number) => void;
let attempts: ModelAttempt[];

beforeEach(async () => {
  script = [];
  received = [];
  waits = [];
  attempts = [];
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push({
        path: request.url!,
        headers: request.headers,
        body: JSON.parse(Buffer.concat(chunks).toString() || 'null') as Received['body'],
      });
      (script.shift() ?? status(500))(response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  gateway = gatewayTo(server);
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await gateway.close();
});

/** Waits take no time: they are noted, and the clock moves on by them. */
function gatewayTo(to: Server, options: Partial<OpenAiProviderOptions> = {}): ModelGateway {
  let skipped = 0;
  pass = (ms) => void (skipped += ms);
  const clock = {
    now: () => performance.now() + skipped,
    sleep: async (ms: number) => {
      waits.push(ms);
      skipped += ms;
    },
  };
  const baseUrl = `http://127.0.0.1:${(to.address() as AddressInfo).port}/v1`;
  return new ModelGateway({ provider: new OpenAiProvider({ baseUrl, apiKey: 'key', ...options }), clock });
}

const json = (value: unknown, code = 200, headers: Record<string, string> = {}): Reply => {
  return (response) =>
    response.writeHead(code, { 'content-type': 'application/json', 'x-request-id': 'req_1', ...headers }).end(JSON.stringify(value));
};
const status = (code: number, error: object = {}, headers: Record<string, string> = {}): Reply => {
  return json({ error: { message: 'scripted', type: 'test', ...error } }, code, headers);
};
const text = (body: string): Reply => {
  return (response) => response.writeHead(200, { 'content-type': 'application/json' }).end(body);
};
const completion = (choice: object): Reply => {
  return json({ model: 'answering-model', choices: [choice], usage: { prompt_tokens: 11, completion_tokens: 5 } });
};
const says = (content: unknown): Reply => {
  return completion({ finish_reason: 'stop', message: { content: typeof content === 'string' ? content : JSON.stringify(content) } });
};

const request: InferenceRequest = {
  tenant: 'acme',
  target: { model: 'some-model' },
  instructions: 'Judge the message.',
  input: { text: 'Lovely.' },
  outputSchema: compileSchema(schema),
  schemaName: 'verdict',
  timeoutMs: 60_000,
  onAttempt: async (attempt) => void attempts.push(attempt),
};
const infer = (over: Partial<InferenceRequest> = {}) => gateway.infer({ ...request, ...over });

describe('a question to the provider', () => {
  it('carries the instructions in the system message only, and the input in the user message only', async () => {
    script = [says(good)];
    await infer();
    const [system, user, ...rest] = received[0]!.body.messages;
    expect(rest).toEqual([]);
    expect(system).toMatchObject({ role: 'system', content: expect.stringContaining('Judge the message.') });
    expect(system!.content).not.toContain('Lovely');
    expect(user).toMatchObject({ role: 'user', content: expect.stringContaining('{"text":"Lovely."}') });
    expect(user!.content).not.toContain('Judge');
  });

  it('sends the schema as a strict response format with a name that the provider takes', async () => {
    script = [says(good)];
    await infer({ schemaName: 'support triage/v1' });
    expect(received[0]!.body.response_format).toEqual({
      type: 'json_schema',
      json_schema: { name: 'support_triage_v1', schema, strict: true },
    });
    expect(received[0]!.headers.authorization).toBe('Bearer key');
  });

  it('asks for no strictness where the schema is outside of what providers can hold a model to', async () => {
    script = [says(good)];
    const loose = { ...schema, required: ['sentiment'] };
    await infer({ outputSchema: compileSchema(loose) });
    expect(received[0]!.body.response_format).toMatchObject({ json_schema: { strict: false } });
  });

  it('can go to the responses API, with nothing stored at the provider', async () => {
    await gateway.close();
    gateway = gatewayTo(server, { api: 'responses' });
    const message = { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: JSON.stringify(good), annotations: [] }] };
    script = [json({ object: 'response', model: 'answering-model', output: [message], usage: { input_tokens: 3, output_tokens: 4 } })];
    expect(await infer({ maxOutputTokens: 99 })).toMatchObject({
      output: good,
      responseModel: 'answering-model',
      usage: { inputTokens: 3, outputTokens: 4 },
    });
    expect(received[0]).toMatchObject({ path: '/v1/responses', body: { store: false, max_output_tokens: 99 } });
    expect(received[0]!.body.instructions).toContain('Judge the message.');
  });
});

describe('an answer that fits', () => {
  it('comes back with who gave it and what it cost, and is reported as one successful attempt', async () => {
    script = [says(good)];
    expect(await infer()).toEqual({
      output: good,
      responseModel: 'answering-model',
      usage: { inputTokens: 11, outputTokens: 5 },
      attempts: 1,
      model: 'some-model',
      providerRequestId: 'req_1',
    });
    expect(attempts).toMatchObject([
      {
        number: 1,
        outcome: 'succeeded',
        errorCode: null,
        responseModel: 'answering-model',
        providerRequestId: 'req_1',
        inputTokens: 11,
        outputTokens: 5,
      },
    ]);
  });

  it('is not returned before its attempt has been recorded', async () => {
    script = [says(good)];
    await expect(infer({ onAttempt: () => Promise.reject(new Error('Postgres is away')) })).rejects.toThrow('Postgres is away');
  });
});

describe('a failure that passes', () => {
  it.each([[408], [409], [500], [503], [529]])('is retried after a growing wait: %i', async (code) => {
    script = [status(code), status(code), says(good)];
    expect((await infer()).attempts).toBe(3);
    expect(waits).toHaveLength(2);
    expect(attempts.map((attempt) => attempt.errorCode)).toEqual(['model.unavailable', 'model.unavailable', null]);
  });

  it('is given up after four calls', async () => {
    const failure = await infer().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ModelUnavailable);
    expect(received).toHaveLength(4);
    expect(attempts).toHaveLength(4);
    expect(attempts[0]).toMatchObject({ errorMessage: 'The provider answered 500: scripted', providerRequestId: 'req_1' });
  });

  it.each<[string, Reply]>([
    ['a connection that is cut before the answer', (response) => response.destroy()],
    [
      'an answer that is cut in the middle',
      (response) =>
        void response
          .writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' })
          .write('{"mod', () => response.destroy()),
    ],
  ])('may also be %s', async (_, reply) => {
    script = [reply, says(good)];
    expect((await infer()).attempts).toBe(2);
    expect(attempts[0]).toMatchObject({ outcome: 'failed', errorCode: 'model.unavailable' });
  });

  it.each<[string, Reply]>([
    ['is not JSON', text('upstream error')],
    ['is empty', text('')],
    ['has no choice', json({ model: 'answering-model', choices: [] })],
  ])('may also be an answer that %s, if the API takes a probe', async (_, reply) => {
    script = [reply, status(400), says(good)];
    expect((await infer()).attempts).toBe(2);
    expect(received[1]!.body).toEqual({});
    expect(attempts[0]).toMatchObject({ outcome: 'failed', errorCode: 'model.unavailable' });
  });

  it('may also be a server that nobody answers at', async () => {
    server.close();
    await expect(infer()).rejects.toThrow(/connection to the provider failed.*ECONNREFUSED/);
  });

  it('waits for as long as a 503 asks', async () => {
    script = [status(503, {}, { 'retry-after': '20' }), says(good)];
    await infer();
    expect(waits[0]).toBeGreaterThanOrEqual(20_000);
  });
});

describe('a rate limit', () => {
  it('is waited out for as long as the provider asks, without using up an attempt', async () => {
    script = [...Array.from({ length: 10 }, () => status(429, {}, { 'retry-after': '2' })), says(good)];
    expect((await infer()).attempts).toBe(11);
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(2_000);
    expect(attempts[0]!.errorCode).toBe('model.limited');
  });

  it('reads the finer retry-after-ms where there is one', async () => {
    script = [status(429, {}, { 'retry-after': '60', 'retry-after-ms': '1500' }), says(good)];
    await infer();
    expect(waits[0]).toBeGreaterThanOrEqual(1_500);
    expect(waits[0]).toBeLessThan(3_000);
  });

  it.each([
    [{ 'retry-after': '3000000' }],
    [{ 'retry-after': '31536000' }],
    [{ 'retry-after': 'Fri, 31 Dec 9999 23:59:59 GMT' }],
    [{ 'retry-after-ms': '3000000000' }],
  ])('that asks for weeks with %j is one call, and the caller comes back in a day', async (headers) => {
    script = [status(429, {}, headers)];
    await expect(infer()).rejects.toMatchObject({ code: 'model.limited', retryAfterMs: 86_400_000 });
    expect([received.length, waits]).toEqual([1, []]);
  });

  it('is handed to the caller at once, with its wait, where the deadline comes first', async () => {
    script = [status(429, {}, { 'retry-after': '120' })];
    const failure = await infer().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ModelLimited);
    expect(failure).toMatchObject({ retryAfterMs: 120_000, outcome: 'retry' });
    expect(waits).toEqual([]);
  });

  it('without a stated wait is tried again ever more slowly until the deadline', async () => {
    script = Array.from({ length: 20 }, () => status(429));
    await expect(infer()).rejects.toBeInstanceOf(ModelLimited);
    expect(received.length).toBeGreaterThan(4);
    expect(waits.reduce((sum, ms) => sum + ms, 0)).toBeLessThan(60_000);
  });
});

describe('a failure that repeating cannot mend', () => {
  it.each<[string, Reply]>([
    ['401', status(401)],
    ['402', status(402)],
    ['403', status(403, { code: 'invalid_api_key' })],
    ['429 of an account without credit', status(429, { code: 'insufficient_quota' })],
  ])('waits for a better credential: %s', async (_, reply) => {
    script = [reply];
    const failure = await infer().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ModelCredentialRefused);
    expect(failure).toMatchObject({ outcome: 'retry', ours: true });
    expect(attempts).toHaveLength(1);
    expect(
      received.map(({ body }) => Object.keys(body).length > 0),
      'a call, and a probe',
    ).toEqual([true, false]);
    await gateway.endpoint.ready(); // the probe was taken, so other requests may succeed
  });

  it.each<[string, Reply]>([
    ['400', status(400, { code: 'context_length_exceeded' })],
    ['404', status(404, { code: 'model_not_found' })],
    ['422', status(422)],
    ['a refusal in the answer', completion({ finish_reason: 'stop', message: { content: null, refusal: 'I would rather not' } })],
    ['the content filter', completion({ finish_reason: 'content_filter', message: { content: '' } })],
  ])('is final: %s', async (_, reply) => {
    script = [reply];
    const failure = await infer().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ModelRefused);
    expect(failure).toMatchObject({ outcome: 'deadLetter' });
    expect(attempts).toMatchObject([{ outcome: 'failed', errorCode: 'model.refused' }]);
  });
});

describe('an address without a model API', () => {
  const notThere: Reply = (response) => response.writeHead(404, { 'content-type': 'application/json' }).end('{"detail":"Not Found"}');

  it('is a state of the provider: one call finds it out, the next ones are not sent, and it ends when a probe is taken', async () => {
    script = [notThere, notThere, notThere, status(400), says(good)];
    const failure = await infer().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ModelMisconfigured);
    expect(failure).toMatchObject({ outcome: 'retry', ours: true });
    expect((failure as Error).message).toMatch(
      /There is no model API at POST http:\/\/127\.0\.0\.1:\d+\/v1\/chat\/completions\. .*Not Found/,
    );
    expect(received).toHaveLength(2);
    await expect(infer()).rejects.toBe(failure);
    await expect(gateway.endpoint.ready()).rejects.toBe(failure);
    expect([received.length, attempts.length]).toEqual([2, 1]);
    expect(await registry.metrics()).toContain('millrace_model_providers{state="misconfigured",owner="installation"} 1');
    pass(10_000);
    await expect(gateway.endpoint.ready()).rejects.toBeInstanceOf(ModelMisconfigured);
    pass(10_000);
    await gateway.endpoint.ready();
    expect(await registry.metrics()).toContain('millrace_model_providers{state="usable",owner="installation"} 1');
    expect((await infer()).output).toEqual(good);
  });

  it('is found by a check, which sends no request that costs', async () => {
    script = [(response) => response.writeHead(405).end()];
    await expect(gateway.endpoint.check()).rejects.toBeInstanceOf(ModelMisconfigured);
    expect(received[0]!.body).toEqual({});
  });

  it.each<[string, Reply]>([
    ['text', text('thanks')],
    ['nothing', text('')],
    ['an empty object', json({})],
  ])('is also one that answers every request with %s, for a call, a stream and a check', async (_, reply) => {
    const misconfigured = { code: 'model.misconfigured', message: expect.stringMatching(/^There is no model API at POST /) as string };
    script = [reply, reply];
    await expect(infer()).rejects.toMatchObject(misconfigured);
    expect(received).toHaveLength(2);
    pass(10_000);
    script = [reply];
    await expect(gateway.endpoint.check()).rejects.toMatchObject(misconfigured);
    pass(10_000);
    script = [reply, reply];
    await expect(infer({ observer: notes() })).rejects.toMatchObject(misconfigured);
    expect(received).toHaveLength(5);
  });

  it('is reported with what the last try brought, also if that says nothing about the address', async () => {
    script = [notThere, status(503), status(301)];
    await expect(gateway.endpoint.check()).rejects.toBeInstanceOf(ModelMisconfigured);
    pass(10_000);
    await expect(gateway.endpoint.ready()).rejects.toThrow(
      /^There is no model API at POST .*Not Found\. The last try: The provider answered 503/,
    );
    pass(10_000);
    await expect(gateway.endpoint.ready()).rejects.toThrow(
      /^There is no model API at POST [^ ]+ The provider answered 301((?!last try).)*$/,
    );
  });

  it('is also one that redirects, because the key must not travel on', async () => {
    script = [status(307, {}, { location: 'http://127.0.0.1:9/' })];
    await expect(infer()).rejects.toBeInstanceOf(ModelMisconfigured);
    expect(received).toHaveLength(1);
  });
});

describe('a key that the provider does not take', () => {
  it('is a state of the provider: one call finds it out, the next ones are not sent, and it ends when a probe is taken', async () => {
    script = [status(401), status(401), status(401), status(400), says(good)];
    const failure = await infer().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ModelCredentialRefused);
    expect(failure).toMatchObject({ code: 'model.credential', outcome: 'retry', ours: true });
    expect((failure as Error).message).toMatch(/The key is refused at POST http:\/\/127\.0\.0\.1:\d+\/v1\/chat\/completions\. .*401/);
    await expect(infer()).rejects.toBe(failure);
    await expect(gateway.endpoint.ready()).rejects.toBe(failure);
    expect([received.length, attempts.length]).toEqual([2, 1]);
    pass(10_000);
    await expect(gateway.endpoint.ready()).rejects.toBeInstanceOf(ModelCredentialRefused);
    pass(10_000);
    await gateway.endpoint.ready();
    expect((await infer()).output).toEqual(good);
  });

  it('is found by a check, which sends no request that costs', async () => {
    script = [status(401)];
    await expect(gateway.endpoint.check()).rejects.toBeInstanceOf(ModelCredentialRefused);
    expect(received[0]!.body).toEqual({});
  });
});

describe('the models of a provider', () => {
  const taken = status(400);

  it('are asked for after a probe, and neither request costs anything', async () => {
    script = [taken, json({ data: [{ id: 'one' }, { id: 'two' }] })];
    expect(await gateway.endpoint.models()).toEqual(['one', 'two']);
    expect(received.map(({ path, body }) => [path, body])).toEqual([
      ['/v1/chat/completions', {}],
      ['/v1/models', null],
    ]);
  });

  it.each([
    ['has no list', status(404)],
    ['has something else at that address', json('<!doctype html>', 301)],
    ['refuses this key the list', status(403)],
    ['has an empty list', json({ data: [] })],
  ])('are none if the provider takes requests and %s', async (_, list) => {
    script = [taken, list];
    expect(await gateway.endpoint.models()).toEqual([]);
  });

  it.each([
    ['the address', [status(405)], ModelMisconfigured],
    ['the key', [status(401)], ModelCredentialRefused],
    ['the provider', [taken, status(503)], ModelUnavailable],
    ['a limit of rate', [taken, status(429)], ModelLimited],
  ])('cannot be asked for because of %s, which is the failure', async (_, replies, failure) => {
    script = [...replies];
    await expect(gateway.endpoint.models()).rejects.toBeInstanceOf(failure);
    expect(script).toEqual([]);
  });
});

describe('an answer that does not fit', () => {
  it('goes back to the model with what is wrong with it', async () => {
    script = [says({ sentiment: 'great', score: 11 }), says(good)];
    expect((await infer()).output).toEqual(good);
    const turns = received[1]!.body.messages;
    expect(turns.map((turn) => turn.role)).toEqual(['system', 'user', 'assistant', 'user']);
    expect(turns[3]!.content).toContain('/sentiment must be one of ["good","bad"]');
    expect(turns[3]!.content).toContain('/score must be <= 10');
    expect(waits).toEqual([]);
  });

  it.each([
    ['not JSON', '{"sentiment": "go', 'the answer is not JSON'],
    ['empty', ' ', 'the answer is empty'],
    ['too long', `"${'x'.repeat(300_000)}"`, 'the answer is longer than 262144 characters'],
    ['too deep', '['.repeat(500), 'the answer is nested deeper than 128 levels'],
    ['not the schema’s', { ...good, more: 1 }, 'the value must have no other properties than the schema names'],
  ])('may be %s', async (_, content, problem) => {
    script = [says(content), says(good)];
    await infer();
    expect(attempts[0]).toMatchObject({
      outcome: 'failed',
      errorCode: 'model.invalidOutput',
      errorMessage: expect.stringContaining(problem),
      outputTokens: 5,
    });
  });

  it('is given up after two repairs, and the reason quotes nothing of the answer', async () => {
    script = Array.from({ length: 3 }, () => says({ sentiment: 'private words', score: 1 }));
    const failure = await infer().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ModelOutputInvalid);
    expect(failure).toMatchObject({ outcome: 'deadLetter', message: expect.not.stringContaining('private') });
    expect(received).toHaveLength(3);
  });

  it('that was cut off is asked for once more with a larger limit', async () => {
    const cut = completion({ finish_reason: 'length', message: { content: '{"sent' } });
    script = [cut, says(good)];
    await infer({ maxOutputTokens: 100 });
    expect(received.map(({ body }) => body.max_completion_tokens)).toEqual([100, 400]);
    script = [cut, cut];
    await expect(infer()).rejects.toThrow('cut off at the limit of output tokens');
  });
});

describe('a gate', () => {
  const checks: InferenceRequest['checks'] = {
    rules: [{ name: 'fair', message: 'a good sentiment has a score of 5 or more', holds: (output) => (output as typeof good).score >= 5 }],
    grounded: [{ field: 'quote', as: 'quote' }],
  };
  const output = { ...good, quote: 'Lovely' };
  const outputSchema = compileSchema({ ...schema, properties: { ...schema.properties, quote: { type: 'string' } } });

  it.each([
    ['size', 'model.invalidOutput', `"${'x'.repeat(300_000)}"`],
    ['json', 'model.invalidOutput', 'Certainly!'],
    ['schema', 'model.invalidOutput', { ...output, score: 11, quote: 'https://evil.example' }],
    ['rules', 'model.brokenRule', { ...output, score: 4, quote: 'https://evil.example' }],
    ['grounding', 'model.ungroundedOutput', { ...output, quote: 'https://evil.example' }],
    ['markup', 'model.foreignMarkup', { ...output, quote: null, note: '![x](https://evil.example/?d=1)' }],
  ])('refuses an output before the next one looks at it: %s', async (gate, code, answer) => {
    const loose = compileSchema({ ...schema, properties: { ...schema.properties, quote: {} }, additionalProperties: true });
    script = Array.from({ length: 3 }, () => says(answer));
    const failure = await infer({ checks, outputSchema: gate === 'markup' ? loose : outputSchema }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ModelOutputInvalid);
    expect(failure).toMatchObject({ gate, code, outcome: 'deadLetter', message: expect.not.stringContaining('evil') });
    expect(attempts).toHaveLength(3);
    expect(attempts[0]).toMatchObject({ errorCode: code, errorMessage: expect.stringContaining(`the gate ${gate}: `) });
    expect(await registry.metrics()).toMatch(new RegExp(`millrace_model_output_refusals_total\\{model="some-model",gate="${gate}"\\} \\d`));
  });

  it('tells the model what is wrong, and takes the mended output', async () => {
    script = [says({ ...output, score: 4 }), says({ ...output, quote: 'Loveless' }), says(output)];
    expect((await infer({ checks, outputSchema })).output).toEqual(output);
    expect(received[1]!.body.messages.at(-1)!.content).toContain('- the rule fair is broken: a good sentiment has a score of 5 or more\n');
    expect(received[2]!.body.messages.at(-1)!.content).toContain('- /quote must be a passage that occurs word by word in the input\n');
    const systems = received.map(({ body }) => body.messages.filter(({ role }) => role === 'system').map(({ content }) => content));
    expect(new Set(systems.flat()).size, 'the system message never changes').toBe(1);
  });

  it('fails with the failure of a rule that cannot be evaluated, and the call is recorded', async () => {
    script = [says(output)];
    const rule = { name: 'odd', message: 'm', holds: () => Promise.reject(new Error('no number')) };
    await expect(infer({ checks: { rules: [rule] }, outputSchema })).rejects.toThrow('no number');
    expect(attempts).toMatchObject([{ outcome: 'failed', outputTokens: 5 }]);
  });

  it('takes links that the input, the instructions or the schema have', async () => {
    const input = 'See https://a.example/1.';
    const instructions = 'Point to https://help.example/2.';
    const loose = compileSchema({
      ...schema,
      additionalProperties: true,
      properties: { ...schema.properties, to: { enum: ['ops@b.example'] } },
    });
    const links = { ...good, to: 'ops@b.example', links: ['https://a.example/1', 'https://help.example/2'] };
    script = [says(links)];
    expect((await infer({ input, instructions, outputSchema: loose })).output).toEqual(links);
  });
});

describe('the deadline', () => {
  it('ends a call that hangs, as a failure that a later try may mend', async () => {
    script = [() => undefined];
    const failure = await infer({ timeoutMs: 50 }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ModelUnavailable);
    expect(failure).toMatchObject({ outcome: 'retry', message: 'The model did not answer within 50 ms' });
    expect(attempts).toMatchObject([{ number: 1, errorCode: 'model.unavailable' }]);
  });

  it('ends an answer that stalls after its headers', async () => {
    script = [(response) => void response.writeHead(200, { 'content-type': 'application/json' }).write('{')];
    await expect(infer({ timeoutMs: 50 })).rejects.toThrow('did not answer within 50 ms');
  });

  it('gives way to the caller’s own signal, whose reason is thrown and whose call is no attempt', async () => {
    const controller = new AbortController();
    script = [() => controller.abort(new Error('shutting down'))];
    await expect(infer({ signal: controller.signal })).rejects.toThrow('shutting down');
    expect(attempts).toEqual([]);
  });
});

/** Writes down what an observer is told: texts that belong together as one, and restarts. */
function notes(): InferenceObserver & { readonly told: string[]; readonly text: string } {
  const told: string[] = [];
  let since = '';
  return {
    told,
    add: (more) => {
      told.push(more);
      since += more;
    },
    restart: () => {
      told.push('restart');
      since = '';
    },
    get text() {
      return since;
    },
  };
}

describe('an inference that somebody watches', () => {
  const sendEvents = (response: ServerResponse, ...events: (object | '[DONE]')[]): void => {
    const headers = { 'content-type': 'text/event-stream', 'x-request-id': 'req_1' };
    if (!response.headersSent) response.writeHead(200, headers);
    for (const event of events) response.write(`data: ${event === '[DONE]' ? event : JSON.stringify(event)}\n\n`);
  };
  const piece = (content: string): object => ({ model: 'answering-model', choices: [{ delta: { content }, finish_reason: null }] });
  const ends = (reason: string): object => ({ model: 'answering-model', choices: [{ delta: {}, finish_reason: reason }] });
  const tokens = { model: 'answering-model', choices: [], usage: { prompt_tokens: 11, completion_tokens: 5 } };
  const streams = (pieces: readonly string[], reason = 'stop'): Reply => {
    return (response) => {
      sendEvents(response, ...pieces.map(piece), ends(reason), tokens, '[DONE]');
      response.end();
    };
  };
  const breaks = (...pieces: string[]): Reply => {
    return (response) => {
      sendEvents(response, ...pieces.map(piece));
      response.end();
    };
  };
  let observer: ReturnType<typeof notes>;
  const watched = (over: Partial<InferenceRequest> = {}) => infer({ observer, ...over });
  beforeEach(() => (observer = notes()));

  const pieces = ['{"sentiment":"good",', '"score":7}'];

  it('tells the text in pieces, and ends as any other does, in one recorded attempt', async () => {
    script = [streams(pieces)];
    const whole = await watched();
    expect(observer.told).toEqual(pieces);
    expect(whole).toEqual({
      output: good,
      responseModel: 'answering-model',
      usage: { inputTokens: 11, outputTokens: 5 },
      attempts: 1,
      model: 'some-model',
      providerRequestId: 'req_1',
    });
    expect(attempts).toMatchObject([{ number: 1, outcome: 'succeeded', inputTokens: 11, outputTokens: 5 }]);
  });

  it.each<[string, Reply, string]>([
    ['a call whose output a gate refused', streams(['{"sentiment":"good"}']), 'model.invalidOutput'],
    ['a call that was cut off at the limit of tokens', streams(['{"sentiment":"go'], 'length'), 'model.invalidOutput'],
    ['a call whose stream broke off', breaks('{"sentiment":'), 'model.unavailable'],
    [
      'a provider that reports its own failure',
      (response) => (sendEvents(response, piece('{'), { error: { type: 'server_error' } }), response.end()),
      'model.unavailable',
    ],
  ])('makes another call after %s, and tells that the text is void before its text', async (_, reply, code) => {
    script = [reply, streams(pieces)];
    await expect(watched()).resolves.toMatchObject({ output: good, attempts: 2 });
    expect(observer.told.slice(1)).toEqual(['restart', ...pieces]);
    expect(attempts).toMatchObject([{ errorCode: code }, { errorCode: null }]);
  });

  it.each<[string, Reply]>([
    ['unavailable', status(503)],
    ['limited', status(429, {}, { 'retry-after': '2' })],
  ])('waits and tries again where the provider is %s, and tells nothing of it', async (_, reply) => {
    script = [reply, streams(pieces)];
    await expect(watched()).resolves.toMatchObject({ output: good, attempts: 2 });
    expect(observer.told).toEqual(pieces);
    expect(waits).toHaveLength(1);
  });

  it('tells that the text is void when the inference fails', async () => {
    script = [streams(['{}']), streams(['{}']), streams(['{}'])];
    await expect(watched()).rejects.toBeInstanceOf(ModelOutputInvalid);
    expect(observer.told).toEqual(['{}', 'restart', '{}', 'restart', '{}', 'restart']);
  });

  it('has its time to the first piece measured, once for each call that brings one', async () => {
    const counted = async () => /first_chunk_seconds_count\{model="timed-model",api="chat"\} (\d+)/.exec(await registry.metrics())?.[1];
    script = [streams(pieces), streams(pieces)];
    await watched({ target: { model: 'timed-model' } });
    await watched({ target: { model: 'timed-model' } });
    expect(await counted()).toBe('2');
    script = [says(good)];
    await infer({ target: { model: 'timed-model' } });
    expect(await counted()).toBe('2');
  });

  it.each<[string, Reply[]]>([
    ['refuses requests for pieces', [status(400)]],
    ['answers them as a whole, which shows only in a probe', [says(good), status(400)]],
  ])('asks for the answer as a whole where the server %s, and tells it as one piece', async (_, replies) => {
    script = [...replies, says(good)];
    await expect(watched()).resolves.toMatchObject({ output: good });
    expect(observer.told).toEqual([JSON.stringify(good)]);
    expect(received.map(({ body }) => (body as { stream?: boolean }).stream === true)).toEqual([true, ...replies.map(() => false)]);
  });

  it('goes on when the observer throws, which is told no more', async () => {
    let told = 0;
    const broken = { add: () => ((told += 1), expect.fail('broken')), restart: () => expect.fail('broken') };
    script = [streams(pieces)];
    await expect(infer({ observer: broken })).resolves.toMatchObject({ output: good });
    expect(told).toBe(1);
  });

  it('ends at the deadline, also after pieces', async () => {
    script = [(response) => sendEvents(response, piece('{'))];
    await expect(watched({ timeoutMs: 100 })).rejects.toThrow('The model did not answer within 100 ms');
    expect(observer.told).toEqual(['{', 'restart']);
    expect(attempts).toMatchObject([{ errorCode: 'model.unavailable' }]);
  });

  it('gives way to the caller’s own signal, whose reason is thrown and whose call is no attempt', async () => {
    const controller = new AbortController();
    script = [() => controller.abort(new Error('shutting down'))];
    await expect(watched({ signal: controller.signal })).rejects.toThrow('shutting down');
    expect(attempts).toEqual([]);
  });

  it('tells spaces where the model repeats the mark that stands for them', async () => {
    script = [streams(['{"sentiment":"good","score":7,', '"note":"came^late"}'])];
    const outputSchema = compileSchema({ ...schema, properties: { ...schema.properties, note: { type: 'string' } } });
    await watched({ input: 'came late', prompt: { datamark: true }, outputSchema });
    expect(observer.text).toContain('"came late"');
  });

  it('tells the output of an earlier request as a whole', async () => {
    const cache = { ttlMs: 60_000 };
    script = [streams(pieces)];
    await watched({ cache });
    expect(observer.told).toEqual(pieces);
    observer = notes();
    await expect(watched({ cache })).resolves.toMatchObject({ output: good, attempts: 0 });
    expect(observer.told).toEqual([JSON.stringify(good)]);
  });

  it('tells the text of the answer, whatever calls came before and however it is cut into pieces', async () => {
    const random = new SeededRandom(7);
    for (let round = 0; round < 40; round += 1) {
      const answer = JSON.stringify(good).replace('good', random.pick(['good', 'bad']));
      const cut = (whole: string): string[] => {
        const at = random.below(whole.length + 1);
        return whole.length < 2 || random.below(4) === 0 ? [whole] : [...cut(whole.slice(0, at)), ...cut(whole.slice(at))];
      };
      const failures = Array.from({ length: random.below(3) }, () =>
        random.pick([streams(cut('{"sentiment":"odd"}')), breaks(...cut('{"sent')), status(503)]),
      );
      script = [...failures, streams(cut(answer))];
      await gateway.close();
      gateway = gatewayTo(server); // its circuit has seen no failure
      observer = notes();
      const { output } = await watched();
      expect(JSON.parse(observer.text)).toEqual(output);
    }
  });
});

it('keeps its connections from one question to the next', async () => {
  const sockets = new Set<unknown>();
  server.on('connection', (socket) => sockets.add(socket));
  script = Array.from({ length: 5 }, () => says(good));
  for (let question = 0; question < 5; question += 1) await infer();
  expect(sockets.size).toBeLessThanOrEqual(2); // the pool may open a second one before it has seen the first end
});
