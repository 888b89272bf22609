import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { waitFor } from '#libs/testing';
import type { ModelProvider, ModelRequest, ModelResponse, ModelStreamEvent } from './model-provider.js';
import { ModelFailure } from './model.errors.js';

/** Failures before any text, with the code that each must be classified as. */
const refusals = {
  'is overloaded': 'model.unavailable',
  'drops the connection': 'model.unavailable',
  'limits the rate': 'model.limited',
  'refuses the key': 'model.credential',
  'has no credit left': 'model.credential',
  'rejects the request': 'model.refused',
} as const;

/**
 * Successes that no model API sends, or that its provider broke. A call is `model.unavailable` and says that a probe has to find out; a probe that is
 * answered so has found no model API.
 */
const unlikeAnswers = [
  'sends garbage',
  'answers with nothing',
  'answers with text',
  'answers with other JSON',
  'answers with a message',
  'answers with a compressed body',
] as const;

/** Responses by which a server shows that it is no model API, with the code that each must be classified as. */
const strangers = {
  'has no such path': 'model.misconfigured',
  redirects: 'model.misconfigured',
  'answers with a web page': 'model.misconfigured',
} as const;

/** Responses to a probe that show that the API is there and takes the key. */
const takenProbes = ['answers', 'rejects the request', 'limits the rate'] as const;

/** Failures of a probe, with the code that each must be classified as. */
const failedProbes = {
  ...strangers,
  'answers without end': 'model.misconfigured',
  ...(Object.fromEntries(unlikeAnswers.map((behaviour) => [behaviour, 'model.misconfigured'])) as Record<
    (typeof unlikeAnswers)[number],
    'model.misconfigured'
  >),
  'is overloaded': 'model.unavailable',
  'drops the connection': 'model.unavailable',
  'refuses the key': 'model.credential',
  'has no credit left': 'model.credential',
} as const;

/** Responses to the request for the models that give no list, and are no failure. */
const unlisted = ['has no such path', 'rejects the request', 'lists nothing'] as const;

/** Failures of the request for the models, with the code that each must be classified as. */
const failedLists = {
  redirects: 'model.misconfigured',
  'answers with a web page': 'model.misconfigured',
  'answers with nothing': 'model.unavailable',
  'answers with text': 'model.unavailable',
  'answers without end': 'model.answerTooLarge',
  'is overloaded': 'model.unavailable',
  'drops the connection': 'model.unavailable',
  'sends garbage': 'model.unavailable',
  'limits the rate': 'model.limited',
  'refuses the key': 'model.credential',
} as const;

/** Failures after the first piece of a stream, with the code that each must be classified as. */
const breaks = {
  'drops the connection after a piece': 'model.unavailable',
  'closes the stream after a piece': 'model.unavailable',
  'reports its own failure after a piece': 'model.unavailable',
  'reports a rate limit after a piece': 'model.limited',
} as const;

/** How a stand-in treats a call, and the request for its models. `answers`, `truncates` and `declines` are successful responses. */
export type StandInBehaviour =
  | 'answers'
  | 'truncates'
  | 'declines'
  | 'hangs'
  | 'stalls after a piece'
  | keyof typeof refusals
  | keyof typeof strangers
  | (typeof unlikeAnswers)[number]
  | keyof typeof failedProbes
  | (typeof unlisted)[number]
  | keyof typeof breaks;

/** The pause in ms that a stand-in which limits the rate asks for. */
export const standInPauseMs = 7_000;
/** The response of a stand-in that answers, the pieces of its text, the limits that it names, the models that it lists, and the reason of one that declines. */
export const standInAnswer = {
  pieces: ['{"mood":', '"gö', 'od"}'],
  model: 'stand-in-2026',
  models: ['stand-in-2026', 'stand-in-mini'],
  usage: { inputTokens: 11, outputTokens: 5 },
  requestId: 'req_1',
  limits: { requestsPerMinute: 60 },
  refusal: 'I would rather not',
} as const;

/** A server on loopback that speaks the provider's protocol and behaves as the suite says. */
export interface ProviderStandIn {
  readonly url: string;
  behave(behaviour: StandInBehaviour): void;
  /** Calls that arrived. */
  readonly calls: number;
  /** Calls whose connection the caller closed before the response was complete. */
  readonly abandoned: number;
  stop(): Promise<void>;
}

/** The parts that a provider brings to the suite. */
export interface ProviderConformance {
  readonly name: string;
  readonly create: (url: string) => ModelProvider;
  readonly startStandIn: () => Promise<ProviderStandIn>;
}

const request: ModelRequest = {
  model: 'some-model',
  turns: [
    { role: 'system', content: 'Judge.' },
    { role: 'user', content: 'Lovely.' },
  ],
  schema: { name: 'mood', schema: { type: 'object' }, strict: false },
  maxOutputTokens: 50,
};
const text = standInAnswer.pieces.join('');
const timeoutMs = 60_000;

/** The rules of {@link ModelProvider}. Each provider's `<name>.conformance.test.ts` runs them against its own stand-in. */
export function modelProviderConformance({ name, create, startStandIn }: ProviderConformance): void {
  describe(`the provider ${name}`, () => {
    let standIn: ProviderStandIn;
    let provider: ModelProvider;
    let stop: AbortController;

    beforeEach(async () => {
      standIn = await startStandIn();
      provider = create(standIn.url);
      stop = new AbortController();
    });
    afterEach(async () => {
      stop.abort();
      await standIn.stop();
      await provider.close();
    });

    /** Iterates a stream to its end, and keeps the deltas that came before a failure. */
    let deltas: string[];
    const drain = async (onDelta: () => void = () => undefined): Promise<ModelResponse> => {
      deltas = [];
      const events: AsyncIterable<ModelStreamEvent> = provider.stream(request, { signal: stop.signal, timeoutMs });
      let response: ModelResponse | undefined;
      for await (const event of events) {
        expect(response, 'nothing follows the end').toBeUndefined();
        if (event.type === 'end') response = event.response;
        else {
          deltas.push(event.text);
          onDelta();
        }
      }
      return response!;
    };
    const complete = (): Promise<ModelResponse> => provider.complete(request, { signal: stop.signal, timeoutMs });
    const probe = (): Promise<void> => provider.probe({ signal: stop.signal, timeoutMs });
    const models = (): Promise<readonly string[]> => provider.models({ signal: stop.signal, timeoutMs });
    const failureOf = async (call: Promise<unknown>): Promise<ModelFailure> => {
      const failure: unknown = await call.then(
        (response) => response,
        (error: unknown) => error,
      );
      expect(failure).toBeInstanceOf(ModelFailure);
      return failure as ModelFailure;
    };
    const ways = [
      ['complete', complete],
      ['stream', () => drain()],
    ] as const;

    test('says whom it calls', () => {
      expect(provider.name).toMatch(/^\w/);
      expect(provider.api).toMatch(/^\w/);
      expect(provider.server.href).toContain(new URL(standIn.url).host);
    });

    test('a stream is the text in pieces, then the whole response', async () => {
      standIn.behave('answers');
      const response = await drain();
      expect(deltas.length).toBeGreaterThan(1);
      expect(deltas.join('')).toBe(response.text);
    });

    describe.each(ways)('%s', (_, call) => {
      test('returns the text, the model, the usage, the limits and the id of the request', async () => {
        standIn.behave('answers');
        expect(await call()).toEqual({
          text,
          finish: 'complete',
          responseModel: standInAnswer.model,
          usage: standInAnswer.usage,
          providerRequestId: standInAnswer.requestId,
          limits: standInAnswer.limits,
        });
      });

      test('says that the limit of output tokens cut the text off', async () => {
        standIn.behave('truncates');
        expect(await call()).toMatchObject({ text, finish: 'truncated' });
      });

      test('returns a refusal of the model with its reason', async () => {
        standIn.behave('declines');
        expect(await call()).toMatchObject({ finish: 'refused', refusal: standInAnswer.refusal });
      });

      test.each(Object.entries(refusals) as [keyof typeof refusals, string][])(
        'makes one call and classifies a provider that %s as its own kind of failure',
        async (behaviour, code) => {
          standIn.behave(behaviour);
          expect((await failureOf(call())).code).toBe(code);
          expect(standIn.calls).toBe(1);
        },
      );

      test.each(Object.entries(strangers) as [keyof typeof strangers, string][])('classifies a server that %s', async (behaviour, code) => {
        standIn.behave(behaviour);
        expect((await failureOf(call())).code).toBe(code);
        expect(standIn.calls).toBe(1);
      });

      test.each(unlikeAnswers)('leaves it to a probe whether a server that %s is a model API', async (behaviour) => {
        standIn.behave(behaviour);
        expect(await failureOf(call())).toMatchObject({ code: 'model.unavailable', mayConcernRequest: true });
        expect(standIn.calls).toBe(1);
      });

      test('passes on the wait that a rate limit asks for, and the id of the request', async () => {
        standIn.behave('limits the rate');
        expect(await failureOf(call())).toMatchObject({ retryAfterMs: standInPauseMs, providerRequestId: standInAnswer.requestId });
      });
    });

    describe.each([...ways, ['probe', probe] as const, ['models', models] as const])('%s', (_, call) => {
      test('classifies a provider that nobody can reach', async () => {
        await standIn.stop();
        expect((await failureOf(call())).code).toBe('model.unavailable');
      });

      test.each([
        ['abort', new Error('shutting down')],
        ['expired deadline', new DOMException('The deadline has passed', 'TimeoutError')],
      ])('ends at once with an %s, with its reason, and closes the connection', async (_kind, reason) => {
        standIn.behave('hangs');
        const arrived = waitFor(() => standIn.calls === 1, { what: 'the call to arrive' });
        await Promise.all([expect(call()).rejects.toBe(reason), arrived.then(() => stop.abort(reason))]);
        await waitFor(() => standIn.abandoned === 1, { what: 'the connection to be closed' });
      });

      test('makes no call once the signal is aborted', async () => {
        stop.abort(new Error('too late'));
        await expect(call()).rejects.toThrow('too late');
        expect(standIn.calls).toBe(0);
      });
    });

    test.each(takenProbes)('a probe is one call, and is taken by a provider that %s', async (behaviour) => {
      standIn.behave(behaviour);
      await expect(probe()).resolves.toBeUndefined();
      expect(standIn.calls).toBe(1);
    });

    test.each(Object.entries(failedProbes) as [keyof typeof failedProbes, string][])(
      'a probe is one call, and classifies a provider that %s',
      async (behaviour, code) => {
        standIn.behave(behaviour);
        expect((await failureOf(probe())).code).toBe(code);
        expect(standIn.calls).toBe(1);
      },
    );

    test('models are the names that the provider lists', async () => {
      standIn.behave('answers');
      expect(await models()).toEqual(standInAnswer.models);
      expect(standIn.calls).toBe(1);
    });

    test.each(unlisted)('models are none for a provider that %s', async (behaviour) => {
      standIn.behave(behaviour);
      expect(await models()).toEqual([]);
      expect(standIn.calls).toBe(1);
    });

    test.each(Object.entries(failedLists) as [keyof typeof failedLists, string][])(
      'models is one call, and classifies a provider that %s',
      async (behaviour, code) => {
        standIn.behave(behaviour);
        expect((await failureOf(models())).code).toBe(code);
        expect(standIn.calls).toBe(1);
      },
    );

    test.each(Object.entries(breaks) as [keyof typeof breaks, string][])(
      'a stream passes the pieces on and then fails where the provider %s',
      async (behaviour, code) => {
        standIn.behave(behaviour);
        expect((await failureOf(drain())).code).toBe(code);
        expect(deltas.join('')).toBe(standInAnswer.pieces[0]);
      },
    );

    test('a stream that stalls ends by the signal, with its reason', async () => {
      standIn.behave('stalls after a piece');
      const reason = new DOMException('The deadline has passed', 'TimeoutError');
      await expect(drain(() => stop.abort(reason))).rejects.toBe(reason);
      await waitFor(() => standIn.abandoned === 1, { what: 'the connection to be closed' });
    });

    test('a consumer that stops iterating ends the call', async () => {
      standIn.behave('stalls after a piece');
      for await (const event of provider.stream(request, { signal: stop.signal, timeoutMs })) {
        expect(event.type).toBe('delta');
        break;
      }
      await waitFor(() => standIn.abandoned === 1, { what: 'the connection to be closed' });
    });
  });
}
