import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Json } from '#libs/json';
import type { SharedOutputs } from '#libs/redis';
import { compileSchema } from '#libs/schemas';
import { ModelGateway } from './model-gateway.js';
import type { Inference, InferenceRequest } from './inference.js';
import type { ModelProvider, ModelRequest, ModelResponse, ProviderCallOptions } from './model-provider.js';
import { ModelRefused, ModelUnavailable } from './model.errors.js';

/** A provider whose calls end when the test says so. */
class HeldProvider implements ModelProvider {
  readonly name = 'held';
  readonly api = 'chat';
  readonly server = new URL('https://held.example/v1');
  readonly attributes = {};
  readonly calls: { request: ModelRequest; answer(text: unknown): void; fail(error: Error): void }[] = [];
  /** Answers at once if it is set. */
  says: unknown;

  complete(request: ModelRequest, { signal }: ProviderCallOptions): Promise<ModelResponse> {
    const { promise, resolve, reject } = Promise.withResolvers<ModelResponse>();
    const answer = (value: unknown): void =>
      resolve({
        text: JSON.stringify(value),
        finish: 'complete',
        responseModel: 'held-1',
        usage: { inputTokens: 1, outputTokens: 1 },
      });
    this.calls.push({ request, answer, fail: reject });
    signal.addEventListener('abort', () => reject(signal.reason as Error));
    if (this.says !== undefined) answer(this.says);
    return promise;
  }

  // eslint-disable-next-line require-yield
  async *stream(): AsyncGenerator<never> {
    throw new Error('No test streams');
  }

  async probe(): Promise<void> {}

  models(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  async close(): Promise<void> {}
}

let provider: HeldProvider;
let gateway: ModelGateway;
let skippedMs: number;
beforeEach(() => {
  skippedMs = 0;
  provider = new HeldProvider();
  const clock = { now: () => performance.now() + skippedMs, sleep: async () => undefined };
  gateway = new ModelGateway({ provider, retry: { retries: 0, initialDelayMs: 1, factor: 1, maxDelayMs: 1, jitter: 0 }, clock });
});
afterEach(() => gateway.close());

const request: InferenceRequest = {
  tenant: 'acme',
  target: { model: 'm' },
  instructions: 'Judge.',
  input: { text: 'Lovely.', id: 1 },
  outputSchema: compileSchema({
    type: 'object',
    properties: { mood: { enum: ['good', 'bad'] } },
    required: ['mood'],
    additionalProperties: false,
  }),
  schemaName: 'mood',
  cache: { ttlMs: 60_000 },
  timeoutMs: 30_000,
  onAttempt: () => Promise.resolve(),
};
const infer = (over: Partial<InferenceRequest> = {}): Promise<Inference> => gateway.infer({ ...request, ...over });
const good = { mood: 'good' };
/** Resolves when the provider has been asked so often. */
const asked = async (calls: number): Promise<void> => {
  while (provider.calls.length < calls) await new Promise((resolve) => setImmediate(resolve));
};

describe('a cache', () => {
  it('gives the output of an equal request, without a call and without a cost', async () => {
    provider.says = good;
    expect(await infer()).toMatchObject({ output: good, attempts: 1 });
    expect(await infer({ input: { id: 1, text: 'Lovely.' } }), 'the order of members does not matter').toEqual({
      output: good,
      model: 'm',
      responseModel: 'held-1',
      usage: undefined,
      attempts: 0,
      providerRequestId: undefined,
    });
    expect(provider.calls).toHaveLength(1);
  });

  it.each<[string, Partial<InferenceRequest>]>([
    ['another tenant', { tenant: 'beta' }],
    ['another model', { target: { model: 'n' } }],
    ['other instructions', { instructions: 'Judge well.' }],
    ['another input', { input: { text: 'Lovely.', id: 2 } }],
    ['another temperature', { temperature: 1 }],
    ['another form of the prompt', { prompt: { datamark: true } }],
    ['no cache', { cache: undefined }],
  ])('does not for %s', async (_, over) => {
    provider.says = good;
    await infer();
    await infer(over);
    expect(provider.calls).toHaveLength(2);
  });

  it('forgets an output after its time', async () => {
    provider.says = good;
    await infer();
    skippedMs = 60_001;
    await infer();
    expect(provider.calls).toHaveLength(2);
  });

  it('keeps nothing that a gate refused', async () => {
    provider.says = { mood: 'purple' };
    await expect(infer()).rejects.toThrow('does not pass the gate');
    provider.says = good;
    expect(await infer()).toMatchObject({ output: good });
  });

  it('gives no output that the gates of this request refuse', async () => {
    provider.says = good;
    await infer();
    const never = { name: 'never', message: 'may not be good', holds: () => Promise.resolve(false) };
    await expect(infer({ checks: { rules: [never] } })).rejects.toMatchObject({ code: 'model.brokenRule' });
    expect(provider.calls.length).toBeGreaterThan(1);
  });
});

describe('outputs that processes share', () => {
  /** Stands for Redis: what is stored is there for both processes. */
  const stored = new Map<string, { output: Json; ageMs: number; forMs: number }>();
  const sharedOutputs = {
    get: (tenant: string, key: string) => Promise.resolve(stored.get(`${tenant}/${key}`)),
    put: (tenant: string, key: string, output: Json, forMs: number) => {
      stored.set(`${tenant}/${key}`, { output, ageMs: 0, forMs });
      return Promise.resolve();
    },
  } as SharedOutputs;
  const processes: ModelGateway[] = [];
  const process = (): ModelGateway => {
    const one = new ModelGateway({
      provider,
      sharedOutputs,
      clock: { now: () => performance.now() + skippedMs, sleep: async () => undefined },
    });
    processes.push(one);
    return one;
  };
  beforeEach(() => stored.clear());
  afterEach(() => Promise.all(processes.splice(0).map((one) => one.close())));

  it('are used by a process that did not make them, without a call', async () => {
    provider.says = good;
    await process().infer(request);
    const other = process();
    expect(await other.infer(request)).toMatchObject({ output: good, model: 'm', responseModel: 'held-1', attempts: 0 });
    stored.clear();
    expect(await other.infer(request), 'now it has the output itself').toMatchObject({ attempts: 0 });
    expect(provider.calls).toHaveLength(1);
    await other.infer({ ...request, tenant: 'beta' });
    expect(provider.calls, 'another tenant asks for itself').toHaveLength(2);
  });

  it('are stored for as long as the step says, and never without a cache', async () => {
    provider.says = good;
    await process().infer(request);
    await process().infer({ ...request, input: 'Other.', cache: undefined });
    expect([...stored.values()]).toMatchObject([{ forMs: 60_000 }]);
  });

  it('are as old as they are, whoever keeps them', async () => {
    provider.says = good;
    await process().infer(request);
    for (const one of stored.values()) Object.assign(one, { ageMs: 50_000 });
    const other = process();
    await other.infer(request);
    skippedMs = 10_001;
    stored.clear();
    await other.infer(request);
    expect(provider.calls, 'the output is older than 60 s now').toHaveLength(2);
  });

  it('are not used by a step that wants newer ones, also if it waits for another one that does', async () => {
    provider.says = good;
    await process().infer(request);
    for (const one of stored.values()) Object.assign(one, { ageMs: 50_000 });
    const other = process();
    const both = await Promise.all([other.infer(request), other.infer({ ...request, cache: { ttlMs: 40_000 } })]);
    expect(both.map(({ attempts }) => attempts)).toEqual([0, 1]);
    expect(provider.calls).toHaveLength(2);
  });

  it('are not used if the gates of this request refuse them', async () => {
    provider.says = good;
    await process().infer(request);
    for (const one of stored.values()) Object.assign(one, { output: { output: { mood: 'purple' }, model: 'm', responseModel: 'held-1' } });
    expect(await process().infer(request)).toMatchObject({ output: good, attempts: 1 });
  });
});

describe('equal requests at the same time', () => {
  it('make one call, and all get its output', async () => {
    const all = Promise.all(Array.from({ length: 50 }, () => infer()));
    await asked(1);
    provider.calls[0]!.answer(good);
    expect((await all).map(({ output }) => output)).toEqual(Array.from({ length: 50 }, () => good));
    expect(provider.calls).toHaveLength(1);
  });

  it('share a refusal, which each of them would get', async () => {
    const all = Promise.allSettled([infer(), infer(), infer()]);
    await asked(1);
    provider.calls[0]!.fail(new ModelRefused('not this'));
    expect((await all).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(provider.calls).toHaveLength(1);
  });

  it('hand over to one of them if the call fails for a while', async () => {
    const [first, ...others] = [infer(), infer(), infer()];
    await asked(1);
    provider.calls[0]!.fail(new ModelUnavailable('away'));
    await expect(first).rejects.toThrow('away');
    await asked(2);
    provider.calls[1]!.answer(good);
    expect((await Promise.all(others)).map(({ output }) => output)).toEqual([good, good]);
    expect(provider.calls).toHaveLength(2);
  });

  it('hand over, too, if the one that asks is ended by its caller', async () => {
    const caller = new AbortController();
    const first = infer({ signal: caller.signal });
    const second = infer();
    await asked(1);
    caller.abort(new Error('the claim is lost'));
    await expect(first).rejects.toThrow('the claim is lost');
    await asked(2);
    provider.calls[1]!.answer(good);
    expect(await second).toMatchObject({ output: good });
  });

  it('wait no longer than their own deadlines, and end no call of another', async () => {
    const first = infer();
    await asked(1);
    await expect(infer({ timeoutMs: 20 })).rejects.toThrow('did not answer within 20 ms');
    const caller = new AbortController();
    const ended = infer({ signal: caller.signal });
    caller.abort(new Error('the claim is lost'));
    await expect(ended).rejects.toThrow('the claim is lost');
    provider.calls[0]!.answer(good);
    expect(await first).toMatchObject({ output: good });
    expect(provider.calls).toHaveLength(1);
  });
});
