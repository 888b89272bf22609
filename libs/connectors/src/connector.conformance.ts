import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Authorizer, OutboundRequest } from '#libs/connections';
import type { ConnectorSpec } from '#libs/contracts';
import { compileExpression } from '#libs/expressions';
import type { Json } from '#libs/json';
import { wallTime } from '#libs/time';
import { builtInConnectors } from './built-in.js';
import type { OperationResult } from './connector.js';
import { OperationFailure } from './operation.errors.js';
import { ConnectorHarness, failureOf, hostileTexts } from './harness.conformance.js';
import type { VendorStandIn, StandInRequest, StandInResponse } from './stand-in.js';

/** The credential that stand-ins are sent in `authorization`, and repeat in their responses. */
export const credential = 'secret/of-the+connection';
/** The pause that a stand-in asks for in {@link ConnectorSuite.answers}. */
export const pauseMs = 7_000;

/** A response to which the manifest gives a meaning. */
export interface Meant extends StandInResponse {
  /** The wait that it asks for, if that is not the one in `retry-after`. */
  readonly waitMs?: number;
  readonly as: 'permanent' | 'limited' | 'transient' | 'uncertain' | 'credential' | 'conflict' | 'gone';
}

/** An operation that writes, with what the stand-in has of it. */
export interface Write<S extends VendorStandIn> {
  readonly operation: string;
  readonly input: Json;
  /** How often the stand-in did what the input asks for: objects that exist, or changes that were made. */
  readonly effects: (standIn: S) => number;
  /** Puts what the operation changes into the stand-in. */
  readonly prepare?: (standIn: S) => void;
}

/** A text of the input that reaches the system, and that text as the stand-in read it from the last request. */
export interface HostilePlace {
  readonly operation: string;
  readonly input: (text: string) => Json;
  readonly seen: (request: StandInRequest) => unknown;
}

/** An operation that reads a list. */
export interface ListRead<S extends VendorStandIn> {
  readonly operation: string;
  readonly input: Json;
  readonly count: number;
  /** Puts the items into the stand-in. */
  readonly prepare: (standIn: S) => void;
}

/** The parts that a connector brings to the suite. */
export interface ConnectorSuite<S extends VendorStandIn> {
  readonly name: string;
  /** Default: the built-in connector of the name. */
  readonly spec?: ConnectorSpec;
  readonly start: () => Promise<S>;
  readonly settings: (standIn: S) => { readonly [name: string]: Json };
  readonly account?: (standIn: S) => Readonly<Record<string, string>>;
  readonly writes: readonly Write<S>[];
  /** One response for each rule of the manifest, and for the failures that its statuses tell. */
  readonly answers: readonly Meant[];
  /** Lists, with the number of items that the stand-in has. */
  readonly lists?: readonly ListRead<S>[];
  /** Responses to other operations than the first one that writes, for the rules of those. */
  readonly others?: readonly StandInResponse[];
  readonly hostile: readonly HostilePlace[];
}

const codes = {
  permanent: 'operation.refused',
  limited: 'operation.limited',
  transient: 'operation.unavailable',
  uncertain: 'operation.unavailable',
  credential: 'operation.unauthorized',
  conflict: 'operation.conflict',
  gone: 'operation.gone',
} as const;

/** The rules that hold for every connector. Each connector's `<name>.conformance.test.ts` runs them against its own stand-in. */
export function connectorConformance<S extends VendorStandIn>(parts: ConnectorSuite<S>): void {
  const { name, start, settings, account = () => ({}), writes, answers, lists = [], others = [], hostile } = parts;
  describe(`the connector ${name}`, () => {
    const spec = parts.spec ?? builtInConnectors().get(name)!;
    let standIn: S;
    let harness: ConnectorHarness<CountingAuthorizer>;

    beforeEach(async () => {
      standIn = await start();
      const authorizer = new CountingAuthorizer(account(standIn));
      harness = new ConnectorHarness({ name, url: standIn.url, settings: () => settings(standIn), authorizer, spec });
    });
    afterEach(async () => {
      await harness.close();
      await standIn.stop();
    });

    const run = (operation: string, input: Json, timeoutMs?: number): Promise<OperationResult> => harness.run(operation, input, timeoutMs);
    const [first] = writes as [Write<S>];

    test.each(writes)('$operation acts once, and its output fits its schema', async ({ operation, input, effects, prepare }) => {
      prepare?.(standIn);
      const { receipt } = await run(operation, input);
      expect(receipt.summary).toMatch(/^status 2\d\d/);
      expect(effects(standIn)).toBe(1);
      expect(harness.authorizer.acceptances).toBe(1);
    });

    test.each(writes)('$operation after an answer that was lost keeps its promise', async ({ operation, input, effects, prepare }) => {
      prepare?.(standIn);
      standIn.fault('lose');
      expect(await failureOf(run(operation, input))).toMatchObject({ outcome: 'retry', isUncertain: true, receipt: null });
      expect(effects(standIn)).toBe(1);
      const { idempotency } = spec.operations[operation]!;
      if (idempotency?.class === 'none' || idempotency?.class === 'declared') return;
      if (idempotency?.class === 'verify') {
        const verified = await harness.connectors.verify(harness.call(operation, input));
        expect(verified).toMatchObject({ is: 'found', result: { receipt: { summary: expect.stringContaining('status 2') as string } } });
      } else await run(operation, input);
      expect(effects(standIn)).toBe(1);
    });

    test.each(writes.filter(({ operation }) => spec.operations[operation]!.idempotency?.class === 'verify'))(
      'a look-up that finds no effect of $operation says so',
      async ({ operation, input, effects }) => {
        const call = harness.call(operation, input);
        expect(await harness.connectors.verify(call)).toEqual({ is: 'absent' });
        expect(effects(standIn)).toBe(0);
        const { idempotency } = spec.operations[operation]!;
        const isParked = idempotency?.class === 'verify' && idempotency.otherwise === 'park';
        standIn.fault({ status: 403, body: {} }, 2);
        expect(await harness.connectors.verify(call)).toMatchObject({ is: isParked ? 'unknown' : 'absent' });
        const asked = standIn.requests.length;
        expect(await harness.connectors.verify({ ...call, firstAttemptAt: wallTime() })).toMatchObject({ is: 'unsettled' });
        expect(standIn.requests.length).toBe(asked);
      },
    );

    test.each(answers.map((answer, at) => [`${answer.as}, ${at + 1}`, answer] as const))(
      'a response means what the manifest says: %s',
      async (_, { as, waitMs, ...response }) => {
        standIn.fault(response);
        const failed = await failureOf(run(first.operation, first.input));
        expect(failed).toMatchObject({ code: codes[as], isUncertain: as === 'uncertain' });
        expect(failed.receipt?.summary).toMatch(/\S/);
        if (response.headers?.['retry-after'] !== undefined) expect(failed.retryAfterMs).toBe(waitMs ?? pauseMs);
        expect(first.effects(standIn)).toBe(0);
        expect(harness.authorizer).toMatchObject({ refusals: as === 'credential' ? 1 : 0, acceptances: 0 });
      },
    );

    test('each rule of the manifest applies to one of these responses', async () => {
      const rules = [...spec.errors, ...Object.values(spec.operations).flatMap(({ errors }) => errors)];
      const responses = [...answers, ...others].map(({ status, headers = {}, body = null }) => ({
        status,
        headers,
        body,
        text: JSON.stringify(body),
      }));
      const idle = [];
      for (const { when } of rules) {
        const applied = await Promise.all(
          responses.map(async (response) => (await compileExpression(when).evaluate({ response, input: {}, settings: {} })) === true),
        );
        if (!applied.includes(true)) idle.push(when);
      }
      expect(idle).toEqual([]);
    });

    test('a refused credential is replaced and the request sent once more, if there is another one', async () => {
      const refusal = answers.find(({ as }) => as === 'credential');
      if (refusal === undefined) return;
      const { as: _, ...response } = refusal;
      harness.authorizer.hasNewer = true;
      standIn.fault(response);
      await run(first.operation, first.input);
      expect(first.effects(standIn)).toBe(1);
      expect(standIn.requests.length).toBe(2);
    });

    test.each([
      ['hang', 'operation.timeout', 200],
      ['cut', 'operation.unavailable', undefined],
      ['garble', 'operation.unavailable', undefined],
    ] as const)('a peer that does not answer as it should may have acted: %s', async (fault, code, timeoutMs) => {
      standIn.fault(fault);
      expect(await failureOf(run(first.operation, first.input, timeoutMs))).toMatchObject({ code, outcome: 'retry', isUncertain: true });
    });

    test('an answer without end is cut off', async () => {
      standIn.fault('endless');
      const { receipt, isUncertain } = await failureOf(run(first.operation, first.input));
      expect(isUncertain).toBe(true);
      expect(receipt!.detail.excerpt!.length).toBeLessThanOrEqual(16 * 1_024);
    });

    test('a peer that is not there was sent nothing', async () => {
      await standIn.stop();
      expect(await failureOf(run(first.operation, first.input))).toMatchObject({ peer: 'unreachable', isUncertain: false, receipt: null });
    });

    test('an abort ends the operation with the reason of the signal', async () => {
      standIn.fault('hang');
      const running = run(first.operation, first.input);
      harness.abort(new Error('the process stops'));
      await expect(running).rejects.toThrow('the process stops');
    });

    test.each(lists)('$operation reads the list to its end', async ({ operation, input, count, prepare }) => {
      prepare(standIn);
      const { output } = await run(operation, input);
      expect(output).toHaveLength(count);
      expect(new Set((output as Json[]).map((item) => JSON.stringify(item))).size).toBe(count);
    });

    test.each(lists)(
      '$operation takes a page without a list for no empty one, as a list without items is',
      async ({ operation, input }) => {
        expect(await run(operation, input)).toMatchObject({ output: expect.any(Array) }); // of a system that holds next to nothing
        for (const body of [{ text: '{}' }, { text: 'null' }, { text: '' }, { text: '<html>busy</html>' }]) {
          standIn.fault({ status: 200, ...body });
          const failed = await failureOf(run(operation, input));
          expect(failed).toBeInstanceOf(OperationFailure);
          if (body.text.startsWith('<')) expect(failed.message).not.toContain('instead of a list');
        }
      },
    );

    test.each(lists)(
      '$operation says of a page that is too long what limits it, and repeats one that broke off',
      async ({ operation, input }) => {
        standIn.fault('endless');
        const failed = await failureOf(run(operation, input));
        expect(failed).toMatchObject({ code: 'operation.outputInvalid', outcome: 'deadLetter' });
        expect(failed.message).toContain(`maxBodyBytes of the operation, ${spec.operations[operation]!.maxBodyBytes}`);
        standIn.fault('garble');
        expect(await failureOf(run(operation, input))).toMatchObject({ code: 'operation.unavailable', outcome: 'retry' });
      },
    );

    test('keeps the credential out of receipts and failures, also if the peer repeats it', async () => {
      for (const { as: _, ...answer } of answers) {
        const echo = { said: credential, escaped: encodeURIComponent(credential) };
        standIn.fault({ ...answer, body: { ...echo, ...(answer.body as object) } });
        const failed = await run(first.operation, first.input).catch((error: unknown) => error);
        const everything = inspect(failed, { depth: Infinity, maxStringLength: Infinity });
        expect(everything).not.toContain(credential);
        expect(everything).not.toContain(encodeURIComponent(credential));
      }
    });

    test('reaches no inner address unless it is allowed', async () => {
      const call = harness.call(first.operation, first.input);
      const failed = await harness.guarded((connectors) => failureOf(connectors.run(call)));
      expect(failed.outcome).toBe('deadLetter');
      expect(standIn.requests).toEqual([]);
    });

    test.each(hostile)('$operation hands over any text as it is, or refuses it', async ({ operation, input, seen }) => {
      for (const text of hostileTexts) {
        const before = standIn.requests.length;
        const error = await run(operation, input(text)).then(
          () => undefined,
          (reason: unknown) => reason,
        );
        const [request] = standIn.requests.slice(before);
        if (request === undefined) expect(error).toMatchObject({ code: 'operation.inputInvalid' });
        else expect([text, seen(request), request.headers['x-injected']]).toEqual([text, text, undefined]);
      }
    });

    test('refuses an input that does not fit its schema, and sends nothing', async () => {
      expect(await failureOf(run(first.operation, ['no object']))).toMatchObject({ code: 'operation.inputInvalid', outcome: 'deadLetter' });
      expect(standIn.requests).toEqual([]);
    });

    test('can be tested, if the manifest says how', async () => {
      if (spec.health === undefined) return;
      expect(await harness.check()).toBeDefined();
      const refusal = answers.find(({ as }) => as === 'credential');
      if (refusal === undefined) return;
      const { as: _, ...response } = refusal;
      standIn.fault(response);
      await failureOf(harness.check());
    });
  });
}

class CountingAuthorizer implements Authorizer {
  refusals = 0;
  acceptances = 0;
  hasNewer = false;

  constructor(private readonly facts: Readonly<Record<string, string>>) {}

  async account(): Promise<Readonly<Record<string, string>>> {
    return this.facts;
  }

  login(): Promise<never> {
    return Promise.reject(new Error('requests of HTTP do not log in'));
  }

  async authorize(request: OutboundRequest) {
    return {
      ...request,
      headers: { ...request.headers, authorization: `Bearer ${credential}` },
      secrets: [credential],
      version: 1,
    };
  }

  accepted(): void {
    this.acceptances += 1;
  }

  async refused(): Promise<boolean> {
    this.refusals += 1;
    return this.hasNewer;
  }
}
