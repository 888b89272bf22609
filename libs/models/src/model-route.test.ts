import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MemoryLimitStore } from '#libs/limits';
import { registry } from '#libs/tracing';
import { compileSchema } from '#libs/schemas';
import type { FallbackReason } from '#libs/contracts';
import { fallbackReasons } from '#libs/contracts';
import { Deadline } from './deadline.js';
import type { ModelPrice } from './model-directory.js';
import { fallbackReasonOf } from './model-directory.js';
import { ModelEndpoint } from './model-endpoint.js';
import { ModelGateway } from './model-gateway.js';
import type { InferenceRequest, ModelAttempt } from './inference.js';
import type { ModelLimits } from './model-limits.js';
import type { ModelProvider, ModelRequest, ModelResponse, ProviderCallOptions } from './model-provider.js';
import {
  ModelAnswerTooLarge,
  ModelBudgetSpent,
  ModelCredentialRefused,
  ModelFailure,
  ModelKeyRefused,
  ModelLimited,
  ModelMisconfigured,
  ModelNotFree,
  ModelOutage,
  ModelOutputInvalid,
  ModelRefused,
  ModelUnavailable,
} from './model.errors.js';

type Answer = object | ModelFailure | 'hangs';
/** The answers of a provider, call by call. The last one is given again and again. */
type Script = readonly Answer[];

/** A provider that does what the test says. */
class ScriptedProvider implements ModelProvider {
  readonly api = 'chat';
  readonly server: URL;
  readonly attributes = {};
  readonly requests: ModelRequest[] = [];
  script: Script = [{ mood: 'good' }];

  constructor(readonly name: string) {
    this.server = new URL(`https://${name}.example/v1`);
  }

  async complete(request: ModelRequest, { signal }: ProviderCallOptions): Promise<ModelResponse> {
    this.requests.push(request);
    const answer = this.script[Math.min(this.requests.length, this.script.length) - 1]!;
    if (answer instanceof ModelFailure) throw answer;
    if (answer === 'hangs') {
      const { promise, reject } = Promise.withResolvers<never>();
      signal.addEventListener('abort', () => reject(signal.reason as Error));
      return promise;
    }
    const usage = { inputTokens: 1_000, outputTokens: 100 };
    return { text: JSON.stringify(answer), finish: 'complete', responseModel: `${this.name}-answered`, usage };
  }

  // eslint-disable-next-line require-yield
  async *stream(): AsyncGenerator<never> {
    throw new Error('No test streams');
  }

  async probe(): Promise<void> {
    const answer = this.script.at(-1);
    if (answer instanceof ModelCredentialRefused || answer instanceof ModelMisconfigured) throw answer;
  }

  models(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  async close(): Promise<void> {}
}

const schema = compileSchema({
  type: 'object',
  properties: { mood: { enum: ['good', 'bad'] } },
  required: ['mood'],
  additionalProperties: false,
});
const standard: FallbackReason[] = ['unavailable', 'limited', 'credential', 'misconfigured', 'invalidOutput'];

let skippedMs: number;
let waits: number[];
let attempts: ModelAttempt[];
/** The calls whose costs were noted. */
let noted: string[];
let first: ScriptedProvider;
let second: ScriptedProvider;
let gateway: ModelGateway;
let endpoints: ModelEndpoint[];
let fallbackOn: FallbackReason[];
let timeoutMs: number | undefined;
let price: ModelPrice | undefined;
/** The prices of the candidates in their order. Default: `price` for all. */
let prices: (ModelPrice | undefined)[] | undefined;
/** A budget that counts what has a price; undefined: there is none. */
let budget: 'open' | ModelFailure | undefined;

const clock = {
  now: () => performance.now() + skippedMs,
  sleep: async (ms: number) => {
    waits.push(ms);
    skippedMs += ms;
  },
};
const endpoint = (provider: ScriptedProvider, limits?: ModelLimits): ModelEndpoint =>
  new ModelEndpoint({
    provider,
    limits,
    name: provider.name,
    scope: provider.name,
    limitStore: new MemoryLimitStore(clock.now),
    clock,
    remedy: 'the test',
  });

beforeEach(() => {
  skippedMs = 0;
  waits = [];
  attempts = [];
  fallbackOn = standard;
  timeoutMs = undefined;
  price = undefined;
  prices = undefined;
  budget = undefined;
  noted = [];
  first = new ScriptedProvider('first');
  second = new ScriptedProvider('second');
  endpoints = [endpoint(first), endpoint(second)];
  gateway = new ModelGateway({
    provider: new ScriptedProvider('installation'),
    directory: {
      planOf: () => ({
        candidates: endpoints.map((each, at) => ({
          endpoint: each,
          model: `m${at + 1}`,
          timeoutMs: at === 0 ? timeoutMs : undefined,
          price: prices === undefined ? price : prices[at],
        })),
        fallbackOn: new Set(fallbackOn),
      }),
    },
    spending: {
      requireAllowance: (_, candidate) => {
        if (budget instanceof ModelFailure && candidate.price !== undefined) throw budget;
      },
      note: ({ tenant, flow }, { model, costNanos }) => void noted.push(`${tenant}/${flow} ${model} ${costNanos}`),
    },
    clock,
  });
});
afterEach(async () => {
  await Promise.all([gateway, ...endpoints].map((one) => one.close()));
});

const request: InferenceRequest = {
  tenant: 'acme',
  target: { route: 'triage' },
  instructions: 'Judge.',
  input: 'Lovely.',
  outputSchema: schema,
  schemaName: 'mood',
  timeoutMs: 60_000,
  onAttempt: async (attempt) => void attempts.push(attempt),
};
const infer = (over: Partial<InferenceRequest> = {}) => gateway.infer({ ...request, ...over });
const passedOver = (): string[] =>
  attempts
    .filter(({ outcome }) => outcome === 'passedOver')
    .map(({ number, model, errorCode, errorMessage, budget: of }) => `${number} ${model} ${errorCode} ${errorMessage} ${of ?? '-'}`);
const asked = (): string[] => attempts.map(({ provider, model, errorCode }) => `${provider}/${model} ${errorCode ?? 'ok'}`);

describe('a route', () => {
  it('keeps the configured limits of the installation for its candidates, too', async () => {
    const installation = new ModelGateway({
      provider: new ScriptedProvider('installation'),
      directory: { planOf: (_tenant, _target, own) => ({ candidates: [{ endpoint: own, model: 'm' }], fallbackOn: new Set() }) },
      limits: { requestsPerMinute: 1 },
      clock,
    });
    await installation.infer(request);
    expect(waits).toEqual([]);
    await installation.infer({ ...request, timeoutMs: 600_000 });
    expect(waits.at(0)).toBeGreaterThan(50_000);
    await installation.close();
  });

  it('asks its first model, and no other if that answers', async () => {
    expect(await infer()).toMatchObject({ output: { mood: 'good' }, model: 'm1', responseModel: 'first-answered', attempts: 1 });
    expect(second.requests).toEqual([]);
  });

  it('asks the next one after two failures, and counts all attempts of the step in one row', async () => {
    first.script = [new ModelUnavailable('away')];
    expect(await infer()).toMatchObject({ model: 'm2', attempts: 3 });
    expect(asked()).toEqual(['first/m1 model.unavailable', 'first/m1 model.unavailable', 'second/m2 ok']);
    expect(attempts.map(({ number }) => number)).toEqual([1, 2, 3]);
  });

  it('waits a moment for a limited model, and asks the next one rather than wait longer', async () => {
    first.script = [new ModelLimited('slow down', { retryAfterMs: 300 }), { mood: 'bad' }];
    expect(await infer()).toMatchObject({ output: { mood: 'bad' }, model: 'm1' });
    expect(waits).toHaveLength(1);
    first.script = [new ModelLimited('slow down', { retryAfterMs: 30_000 })];
    expect(await infer()).toMatchObject({ model: 'm2' });
    expect(waits).toHaveLength(1);
  });

  it.each([
    ['refuses the key', new ModelCredentialRefused('no'), 'model.credential'],
    ['has no model API', new ModelMisconfigured('nothing there'), 'model.misconfigured'],
  ])('asks the next one at once if the first %s, and does not try the first one again for a while', async (_, failure, code) => {
    first.script = [failure];
    expect(await infer()).toMatchObject({ model: 'm2' });
    expect(asked()).toEqual([`first/m1 ${code}`, 'second/m2 ok']);
    expect(passedOver(), 'it was called').toEqual([]);
    expect(await infer()).toMatchObject({ model: 'm2', attempts: 1 });
    expect(first.requests).toHaveLength(1);
    expect(passedOver()).toEqual([`1 m1 ${code} ${attempts[2]!.errorMessage} -`]);
  });

  it('says which models it passed over because the turn of a call would not come in time', async () => {
    endpoints = [{ requestsPerMinute: 1 }, undefined].map((limits, at) => endpoint([first, second][at]!, limits));
    await infer();
    expect(await infer()).toMatchObject({ model: 'm2', attempts: 1 });
    expect(passedOver()).toEqual([expect.stringMatching(/^1 m1 model\.limited .+ -$/)]);
  });

  it('asks the next one if repairs do not help', async () => {
    first.script = [{ mood: 'purple' }];
    expect(await infer()).toMatchObject({ model: 'm2' });
    expect(first.requests).toHaveLength(3);
    expect(second.requests[0]!.turns, 'the next model does not see what the other one said').toHaveLength(2);
  });

  it('does not ask the next one after a refusal, unless the route says so', async () => {
    first.script = [new ModelRefused('not this')];
    await expect(infer()).rejects.toBeInstanceOf(ModelRefused);
    fallbackOn = [...standard, 'refused'];
    expect(await infer()).toMatchObject({ model: 'm2' });
  });

  it('gives a model that hangs half of the time, or as much as the route says, and the rest to the next one', async () => {
    first.script = ['hangs'];
    expect(await infer({ timeoutMs: 2_000 })).toMatchObject({ model: 'm2' });
    const [, withinMs] = /did not answer within (\d+) ms/.exec(attempts[0]!.errorMessage!)!;
    expect(Number(withinMs)).toBeLessThanOrEqual(1_000);
    expect(Number(withinMs)).toBeGreaterThan(100);
    timeoutMs = 20;
    await infer({ timeoutMs: 60_000 });
    expect(attempts[2]!.errorMessage).toBe('The model did not answer within 20 ms');
  });

  it('fails as waiting helps most, if all models fail', async () => {
    first.script = [new ModelUnavailable('away')];
    second.script = [{ mood: 'purple' }];
    await expect(infer(), 'an output that does not fit would be given up for good').rejects.toBeInstanceOf(ModelUnavailable);
    second.script = [new ModelLimited('slow down', { retryAfterMs: 90_000 })];
    await expect(infer()).rejects.toMatchObject({ code: 'model.limited', retryAfterMs: 90_000 });
  });

  it('ends with the reason of its caller', async () => {
    first.script = ['hangs'];
    const caller = new AbortController();
    const inferred = infer({ signal: caller.signal });
    caller.abort(new Error('the claim is lost'));
    await expect(inferred).rejects.toThrow('the claim is lost');
    expect(attempts).toEqual([]);
  });
});

describe('a budget', () => {
  const euros = { input: 1, output: 10, currency: 'EUR' };

  it('gets the cost of each call, a failed one and one without a price, too', async () => {
    prices = [euros, undefined];
    first.script = [{ mood: 'purple' }];
    await infer({ flow: 'triage' });
    expect(noted).toEqual([...Array.from({ length: 3 }, () => 'acme/triage m1 2000000'), 'acme/triage m2 null']);
  });

  it('that degrades has the next model asked that it does not count, whatever the route says of failures', async () => {
    budget = new ModelNotFree('spent', { budget: 'month' });
    prices = [euros, undefined];
    fallbackOn = [];
    expect(await infer()).toMatchObject({ model: 'm2', attempts: 1 });
    expect(first.requests).toEqual([]);
    expect(passedOver(), 'a record says which model, for which budget, and why').toEqual(['1 m1 model.notFree spent month']);
    expect(attempts.map(({ number, outcome }) => [number, outcome])).toEqual([
      [1, 'passedOver'],
      [2, 'succeeded'],
    ]);
    expect(noted).toEqual(['acme/undefined m2 null']);
  });

  it('that degrades fails the step for good if it counts all models, and waits for one that it does not count', async () => {
    budget = new ModelNotFree('spent', { budget: 'month' });
    price = euros;
    await expect(infer()).rejects.toMatchObject({ code: 'model.notFree', outcome: 'deadLetter' });
    expect(passedOver()).toEqual(['1 m1 model.notFree spent month', '2 m2 model.notFree spent month']);
    prices = [euros, undefined];
    second.script = [new ModelCredentialRefused('no')];
    await expect(infer()).rejects.toBeInstanceOf(ModelCredentialRefused);
  });

  it('that stops asks no model behind the one that it counts', async () => {
    budget = new ModelBudgetSpent('spent', { budget: 'all', endsAt: new Date(), retryAfterMs: 60_000 });
    prices = [euros, undefined];
    await expect(infer()).rejects.toMatchObject({ code: 'model.budgetSpent', retryAfterMs: 60_000 });
    expect([second.requests, attempts], 'no model took its place').toEqual([[], []]);
    prices = [undefined, euros];
    expect(await infer()).toMatchObject({ model: 'm1' });
  });

  it('leaves alone what the cache has', async () => {
    price = euros;
    await infer({ cache: { ttlMs: 60_000 } });
    budget = new ModelBudgetSpent('spent', { budget: 'all', endsAt: new Date() });
    expect(await infer({ cache: { ttlMs: 60_000 } })).toMatchObject({ attempts: 0 });
    expect(noted).toHaveLength(1);
  });
});

it('the cost of an attempt is its tokens by the price of a million, in billionths; without a price there is none', async () => {
  await infer();
  price = { input: 0.25, output: 2, currency: 'EUR' };
  await infer();
  expect(attempts.map(({ costNanos, currency }) => [costNanos, currency])).toEqual([
    [null, null],
    [(1_000 * 0.25 + 100 * 2) * 1_000, 'EUR'],
  ]);
});

describe('a model of which most calls fail', () => {
  beforeEach(() => {
    first.script = [new ModelUnavailable('away', { by: 'connection' })];
  });

  it('is not called for a while: routes ask the next one at once', async () => {
    for (let time = 0; time < 3; time += 1) await infer();
    expect(first.requests, 'five calls without an answer in a row').toHaveLength(5);
    attempts = [];
    await infer();
    expect(first.requests).toHaveLength(5);
    expect(passedOver()).toEqual([expect.stringMatching(/^1 m1 model\.outage Too many calls of the model m1 failed.+ -$/)]);
  });

  it('lets a step without another model wait, which uses up none of its tries', async () => {
    fallbackOn = [];
    for (let time = 0; time < 3; time += 1) await infer().catch(() => undefined);
    const calls = first.requests.length;
    attempts = [];
    await expect(infer()).rejects.toMatchObject({ code: 'model.outage', ours: true, outcome: 'retry' });
    expect(attempts, 'the run says why it waits, and no model took its place').toEqual([]);
    const { retryAfterMs } = (await infer().catch((error: unknown) => error)) as ModelOutage;
    expect(retryAfterMs).toBeLessThanOrEqual(6_000);
    expect(first.requests).toHaveLength(calls);
  });

  it('is asked again after that by a few calls, which fail as an outage as long as it is away', async () => {
    fallbackOn = [];
    for (let time = 0; time < 3; time += 1) await infer().catch(() => undefined);
    skippedMs += 7_000;
    await expect(infer()).rejects.toBeInstanceOf(ModelOutage);
    const calls = first.requests.length;
    first.script = [{ mood: 'good' }];
    await expect(infer(), 'it is closed again').rejects.toBeInstanceOf(ModelOutage);
    skippedMs += 13_000;
    for (let time = 0; time < 3; time += 1) expect(await infer()).toMatchObject({ model: 'm1' });
    expect(first.requests).toHaveLength(calls + 3);
  });

  it('counts as open for as long as calls are stopped, and not for ever if nobody calls it again', async () => {
    const openCircuits = async (): Promise<string> => /^millrace_model_circuits_open (\d+)$/m.exec(await registry.metrics())![1]!;
    for (let time = 0; time < 3; time += 1) await infer();
    expect(await openCircuits()).toBe('1');
    skippedMs += 620_000;
    expect(await openCircuits()).toBe('0');
  });

  it('is away for one tenant alone: the calls of another one go on', async () => {
    for (let time = 0; time < 3; time += 1) await infer();
    const calls = first.requests.length;
    await infer({ tenant: 'beta' });
    expect(first.requests.length).toBeGreaterThan(calls);
  });
});

it('a part of the time that ends with all of it says that the time is up', async () => {
  using whole = new Deadline(20, undefined, clock.now);
  using part = whole.part(60_000);
  await new Promise((resolve) => part.signal.addEventListener('abort', resolve));
  expect([part.passed, whole.passed]).toEqual([true, true]);
  using late = whole.part(10);
  expect([late.passed, late.signal.aborted]).toEqual([true, true]);
});

it('limits that the step itself sets too short say nothing about the model', async () => {
  first.script = ['hangs'];
  timeoutMs = 4;
  for (let time = 0; time < 12; time += 1) await infer();
  expect(first.requests).toHaveLength(12);
});

it('retries are no more than a fifth of the calls once ten were made in as many seconds', async () => {
  second.script = [new ModelUnavailable('away')];
  fallbackOn = [];
  // Every other call fails, so the circuit stays closed: 8 answers, then 8 failures, by turns.
  first.script = Array.from({ length: 400 }, (_, at) => (at % 3 === 0 ? new ModelUnavailable('away') : { mood: 'good' }));
  const failed = await Promise.all(
    Array.from({ length: 60 }, () =>
      infer().then(
        () => 0,
        () => 1,
      ),
    ),
  ).then((all) => all.reduce<number>((a, b) => a + b, 0));
  const retries = first.requests.length - 60;
  expect(retries).toBeLessThanOrEqual(Math.max(10, first.requests.length * 0.2));
  expect(failed).toBeGreaterThan(0);
});

it('each kind of failure has its word in documents', () => {
  const failures = [
    new ModelUnavailable('x'),
    new ModelOutage('x'),
    new ModelLimited('x'),
    new ModelCredentialRefused('x'),
    new ModelKeyRefused('x'),
    new ModelMisconfigured('x'),
    new ModelOutputInvalid('json', ['x']),
    new ModelAnswerTooLarge('x'),
    new ModelRefused('x'),
  ];
  expect(new Set(failures.map(fallbackReasonOf))).toEqual(new Set(fallbackReasons));
});
