import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { document } from '#libs/contracts';
import type { EventReceived, FlowDocument } from '#libs/contracts';
import type { Json } from '#libs/json';
import { ModelGateway, OpenAiProvider } from '#libs/models';
import { actionAfter } from './failure-action.js';
import { noOperations } from '#libs/testing';
import { FlowCompiler } from './flow.compiler.js';
import { FlowFailed } from './flow.errors.js';
import { FlowRunner } from './flow.runner.js';
import type { FinishedStep, FlowResult, FlowRunOptions, StepJournal, StoredStep } from './flow.runner.js';

const models = new ModelGateway({ provider: new OpenAiProvider({ baseUrl: 'http://127.0.0.1:9/v1', apiKey: 'unused' }) });
const compiler = new FlowCompiler({ models, operations: noOperations });

const eventWith = (data: object): EventReceived => ({
  eventId: 'evt_1',
  tenant: 'acme',
  source: 'shop',
  customer: 'c-1',
  lane: 'normal',
  type: 'order.paid',
  providerEventId: null,
  occurredAt: '2026-11-21T10:00:00Z',
  receivedAt: '2026-11-21T10:00:01Z',
  contentType: 'application/json',
  body: JSON.stringify(data),
});
const event = eventWith({ amount: 7 });

let versions = 0;
const compile = (spec: object, name = 'flow') => {
  const parsed = document.parse({ apiVersion: 'millrace/v1', kind: 'Flow', metadata: { tenant: 'acme', name }, spec });
  versions += 1;
  return compiler.compile({ tenant: 'acme', kind: 'Flow', name, version: versions, document: parsed as FlowDocument });
};

/** Stores what is kept at once, in the order in which it is kept, and refuses a second result under one name. */
class Journal implements StepJournal {
  readonly kept: FinishedStep[] = [];

  constructor(private readonly resumed: readonly FinishedStep[] = []) {}

  get all(): readonly FinishedStep[] {
    return [...this.resumed, ...this.kept];
  }

  stored(step: string): StoredStep | undefined {
    return this.all.find((one) => one.step === step);
  }

  async keep(finished: FinishedStep): Promise<Json> {
    if (this.all.some(({ step }) => step === finished.step)) throw new Error(`A second result of ${finished.step}`);
    const output = JSON.parse(JSON.stringify(finished.output)) as Json;
    this.kept.push({ ...finished, output });
    return output;
  }

  async noteCall(): Promise<void> {}
  failCall(): void {}

  reviewed(): undefined {}

  ask(): void {}

  wait(): undefined {}

  effectKey(step: string): string {
    return `key of ${step}`;
  }

  reachedAt(): undefined {}

  async arrivals(): Promise<[]> {
    return [];
  }

  async recordCall(): Promise<void> {}
}

/** The other flows of the tenant, by their names, each in as many versions as it was given. */
const others = new Map<string, object[]>();
afterEach(() => others.clear());
const options: FlowRunOptions = {
  signal: new AbortController().signal,
  actionAfter: (error) => actionAfter(error, 1, 1),
  flows: {
    currentVersion: (flow) => others.get(flow)!.length,
    compiled: async (flow, version) => compile(others.get(flow)![version - 1]!, flow),
  },
};
const run = (spec: object, journal: StepJournal = new Journal(), about = event, more: Partial<FlowRunOptions> = {}): Promise<FlowResult> =>
  new FlowRunner(compile(spec), about, journal, { ...options, ...more }).run();

const map = (id: string, expression: string, more: object = {}) => ({ id, map: { expression }, ...more });
const deliver = (id: string, more: object = {}) => ({ id, deliver: { destination: 'crm', ...more } });
const results = ({ kept }: Journal): [string, string, Json][] => kept.map(({ step, state, output }) => [step, state, output]);

describe('a branch', () => {
  const spec = {
    steps: [
      map('a', 'event.data.amount'),
      {
        id: 'route',
        branch: {
          cases: [
            { when: 'steps.a > 100', steps: [map('large', '"large"')] },
            { when: 'steps.a > 5', steps: [map('double', 'steps.a * 2'), deliver('tell', { payload: 'steps.double' }), deliver('note')] },
            { when: 'steps.a > 6', steps: [map('never', '1')] },
          ],
          else: [map('small', '"small"')],
        },
      },
      map('last', '{ "routed": steps.route }'),
    ],
  };

  test('stores its choice, runs the steps of the first case that holds, and has the output of the last that is no delivery', async () => {
    const journal = new Journal();
    const { decision } = await run(spec, journal);
    expect(decision).toEqual({ routed: 14 });
    expect(results(journal)).toEqual([
      ['a', 'succeeded', 7],
      ['route:choice', 'began', { case: 1 }],
      ['route/double', 'succeeded', 14],
      ['route/tell', 'succeeded', { destination: 'crm', payload: 14 }],
      ['route/note', 'succeeded', { destination: 'crm' }],
      ['route', 'succeeded', 14],
      ['last', 'succeeded', { routed: 14 }],
    ]);
  });

  test('plans the deliveries of the taken case, under their paths, with the decision of the whole run', async () => {
    const { deliveries } = await run(spec);
    expect(deliveries).toMatchObject([
      { step: 'route/tell', destination: 'crm', payload: 14 },
      { step: 'route/note', destination: 'crm', payload: { decision: { routed: 14 } } },
    ]);
  });

  test('takes `else` where no condition is true, and has the output null where there is none', async () => {
    expect((await run(spec, new Journal(), eventWith({ amount: 1 }))).decision).toEqual({ routed: 'small' });
    const { else: _, ...branch } = spec.steps[1]!['branch' as keyof object] as { cases: object[]; else: object[] };
    const bare = { steps: [spec.steps[0], { id: 'route', branch }, spec.steps[2]] };
    expect((await run(bare, new Journal(), eventWith({ amount: 1 }))).decision).toEqual({ routed: null });
  });

  test('that is resumed takes the case that is stored, although its conditions would choose another now', async () => {
    const first = new Journal();
    const result = await run(spec, first);
    const resumed = new Journal(first.kept.slice(0, 2));
    expect(await run(spec, resumed, eventWith({ amount: 1 }))).toEqual(result);
    expect(results(resumed)[0]).toEqual(['route/double', 'succeeded', 14]);
  });

  test('that is skipped runs nothing and delivers nothing', async () => {
    const journal = new Journal();
    const steps = [spec.steps[0], { ...spec.steps[1], when: 'false' }, spec.steps[2]];
    expect(await run({ steps }, journal)).toEqual({ decision: { routed: null }, deliveries: [] });
    const again = new Journal(journal.kept);
    expect(await run({ steps }, again)).toEqual({ decision: { routed: null }, deliveries: [] });
    expect(again.kept).toEqual([]);
  });

  test('fails with its step, and what had ended is kept', async () => {
    const journal = new Journal();
    const steps = [
      { id: 'r', branch: { cases: [{ when: 'true', steps: [map('fine', '1'), map('bad', '$number("x")'), map('after', '1')] }] } },
    ];
    await expect(run({ steps }, journal)).rejects.toMatchObject({ code: 'flow.expressionFailed' });
    expect(results(journal).map(([step]) => step)).toEqual(['r:choice', 'r/fine']);
  });
});

const failing = { map: { expression: '$number("x")' } };

describe('a step for each item', () => {
  const lines = [
    { sku: 'b', n: 2 },
    { sku: 'a/1', n: 3 },
  ];
  const each = (more: object = {}) => ({
    id: 'each',
    forEach: {
      items: 'event.data.lines',
      as: 'line',
      key: 'line.sku',
      steps: [map('double', 'line.n * 2 + steps.a'), deliver('tell', { payload: 'line.sku' })],
      ...more,
    },
  });
  const spec = { steps: [map('a', '1'), each()] };

  test('stores the items first, each result under the key of its item, and has the outputs in the order of the items', async () => {
    const journal = new Journal();
    const { decision, deliveries } = await run(spec, journal, eventWith({ lines }));
    expect(decision).toEqual([5, 7]);
    expect(deliveries).toMatchObject([
      { step: 'each/b/tell', payload: 'b' },
      { step: 'each/a%2F1/tell', payload: 'a/1' },
    ]);
    expect(results(journal)[1]).toEqual(['each:items', 'began', lines.map((item) => ({ key: item.sku, item }))]);
    expect(results(journal).map(([step]) => step)).toEqual(
      expect.arrayContaining(['each/b/double', 'each/b/tell', 'each/a%2F1/double', 'each/a%2F1/tell', 'each']),
    );
  });

  test('keeps the keys of its deliveries when an item comes in between', async () => {
    const [b, a] = lines;
    const { deliveries } = await run(spec, new Journal(), eventWith({ lines: [b, { sku: 'new', n: 0 }, a] }));
    expect(deliveries.map(({ step }) => step)).toEqual(['each/b/tell', 'each/new/tell', 'each/a%2F1/tell']);
  });

  test('takes no list as a list of one, and nothing as an empty one', async () => {
    const plain = { steps: [each({ key: undefined, steps: [map('one', 'line')] })] };
    expect((await run(plain, new Journal(), eventWith({ lines: 7 }))).decision).toEqual([7]);
    expect((await run(plain, new Journal(), eventWith({}))).decision).toEqual([]);
    expect((await run(plain, new Journal(), eventWith({ lines: null }))).decision).toEqual([]);
  });

  test.each([
    [{ lines: [{ sku: 'a' }, { sku: 'a' }] }, /the items 0 and 1 have the same key: a/],
    [{ lines: [{ sku: 'a' }, {}] }, /the key of item 1 is neither a number nor text/],
    [{ lines: [{ sku: 'x'.repeat(129) }] }, /the key of item 0 is neither/],
    [{ lines: [1, 2, 3].map((sku) => ({ sku })) }, /there are 3, and `max` is 2/],
  ])('refuses items that are too many or cannot be told apart: %j', async (data, message) => {
    const failed = run({ steps: [map('a', '1'), each({ max: 2 })] }, new Journal(), eventWith(data));
    await expect(failed).rejects.toMatchObject({ code: 'flow.itemsRefused', message: expect.stringMatching(message) as string });
  });

  test('works on as many items at the same time as it says, and begins no further one after a failure', async () => {
    const journal = new Journal();
    const items = { lines: Array.from({ length: 5 }, (_, sku) => ({ sku })) };
    const steps = [
      each({
        concurrency: 2,
        steps: [map('fine', '1', { when: 'line.sku > 0' }), { id: 'bad', needs: ['fine'], when: 'line.sku = 1', ...failing }],
      }),
    ];
    await expect(run({ steps }, journal, eventWith(items))).rejects.toMatchObject({ code: 'flow.expressionFailed' });
    expect(results(journal).map(([step]) => step)).not.toContain('each/4/fine');
  });

  test('collects failed items, whose deliveries are not planned and which are not tried again by a resumed run', async () => {
    const spec2 = {
      steps: [
        each({
          onItemFailure: 'collect',
          steps: [deliver('tell', { payload: 'line.n' }), map('check', 'line.n > 2 ? line.n : $number("x")')],
        }),
      ],
    };
    const journal = new Journal();
    const result = await run(spec2, journal, eventWith({ lines }));
    expect(result.decision).toEqual([
      { key: 'b', error: { code: 'flow.expressionFailed', message: expect.stringContaining('Unable to cast') as string } },
      { key: 'a/1', output: 3 },
    ]);
    expect(result.deliveries.map(({ step }) => step)).toEqual(['each/a%2F1/tell']);
    const failed = journal.kept.find(({ step }) => step === 'each/b:error');
    expect(failed).toMatchObject({ state: 'failed', failure: { code: 'flow.expressionFailed' } });
    const again = new Journal(journal.kept.filter(({ step }) => step !== 'each'));
    expect(await run(spec2, again, eventWith({ lines }))).toEqual(result);
    expect(again.kept.map(({ step }) => step)).toEqual(['each']);
  });

  test('collects no failure after which the run is tried again', async () => {
    const spec2 = { steps: [each({ onItemFailure: 'collect', steps: [{ id: 'bad', ...failing }] })] };
    const failed = run(spec2, new Journal(), eventWith({ lines }), { actionAfter: () => 'retry' });
    await expect(failed).rejects.toMatchObject({ code: 'flow.expressionFailed' });
  });
});

describe('a step with a fallback', () => {
  test('has the value over its error as its output, and says what it fell back from', async () => {
    const journal = new Journal();
    const steps = [
      map('a', '1'),
      { id: 'bad', ...failing, onError: { value: '{ "code": error.code, "a": steps.a }' } },
      map('after', 'steps.bad.code'),
    ];
    expect((await run({ steps }, journal)).decision).toBe('flow.expressionFailed');
    expect(journal.kept.map(({ step, state, failure }) => [step, state, failure?.code])).toEqual([
      ['a', 'succeeded', undefined],
      ['bad:error', 'failed', 'flow.expressionFailed'],
      ['bad', 'succeeded', 'flow.expressionFailed'],
      ['after', 'succeeded', undefined],
    ]);
  });

  test('runs its other steps, and delivers what they plan and not what it had planned', async () => {
    const branch = { cases: [{ when: 'true', steps: [deliver('lost', { payload: '1' }), { id: 'bad', ...failing }] }] };
    const rescue = [map('code', 'error.code'), deliver('note', { payload: 'steps.code' })];
    const spec = { steps: [{ id: 'route', branch, onError: { steps: rescue } }] };
    const journal = new Journal();
    const result = await run(spec, journal);
    expect(result).toMatchObject({
      decision: 'flow.expressionFailed',
      deliveries: [{ step: 'route/onError/note', payload: 'flow.expressionFailed' }],
    });
    expect(result.deliveries).toHaveLength(1);
    expect(await run(spec, new Journal(journal.kept))).toEqual(result);
  });

  test('of a delivery plans none', async () => {
    const steps = [deliver('tell', { payload: '$number("x")' })].map((step) => ({ ...step, onError: { value: '"instead"' } }));
    const journal = new Journal();
    expect((await run({ steps }, journal)).deliveries).toEqual([]);
    expect((await run({ steps }, new Journal(journal.kept))).deliveries).toEqual([]);
  });

  test('falls back when the tries of the run are used up, and not before', async () => {
    const spec = { steps: [{ id: 'bad', ...failing, onError: { value: '"instead"' } }] };
    await expect(run(spec, new Journal(), event, { actionAfter: () => 'retry' })).rejects.toMatchObject({ code: 'flow.expressionFailed' });
    await expect(run(spec, new Journal(), event, { actionAfter: () => 'wait' })).rejects.toMatchObject({ code: 'flow.expressionFailed' });
    expect((await run(spec, new Journal(), event, { actionAfter: () => 'give-up' })).decision).toBe('instead');
  });

  test('does not fall back once a result could not be stored', async () => {
    class Broken extends Journal {
      override async keep(finished: FinishedStep): Promise<Json> {
        return finished.step === 'route/inner' ? Promise.reject(new TypeError('refused')) : super.keep(finished);
      }
    }
    const branch = { cases: [{ when: 'true', steps: [map('inner', '1')] }] };
    const steps = [{ id: 'route', branch, onError: { value: '"instead"' } }];
    await expect(run({ steps }, new Broken(), event, { actionAfter: () => 'give-up' })).rejects.toThrow('refused');
  });

  test('is tried again as often as it says, with what ended before it', async () => {
    let tries = 0;
    class Counting extends Journal {
      override stored(step: string): StoredStep | undefined {
        if (step === 'route/bad') tries += 1;
        return super.stored(step);
      }
    }
    const journal = new Counting();
    const branch = { cases: [{ when: 'true', steps: [map('fine', '1'), { id: 'bad', ...failing }] }] };
    const steps = [{ id: 'route', branch, onError: { retry: { times: 2, delayMs: 0 }, value: '"instead"' } }];
    // A failure that may pass counts as one, too, once these tries are used up.
    expect((await run({ steps }, journal, event, { actionAfter: () => 'retry' })).decision).toBe('instead');
    expect(tries).toBe(3);
    expect(journal.kept.filter(({ step }) => step === 'route/fine')).toHaveLength(1);
  });

  test('is not tried again after a failure that is waited out', async () => {
    const steps = [{ id: 'bad', ...failing, onError: { retry: { times: 5, delayMs: 60_000 } } }];
    await expect(run({ steps }, new Journal(), event, { actionAfter: () => 'wait' })).rejects.toMatchObject({
      code: 'flow.expressionFailed',
    });
  });
});

describe('a flow that is called', () => {
  const child = {
    on: { types: ['never'] },
    steps: [map('in', 'event.data.n + 1'), deliver('tell')],
    decision: '{ "n": steps.in, "of": event.id }',
  };
  const spec = { steps: [map('a', '1'), { id: 'sub', call: { flow: 'child', input: '{ "n": steps.a }' } }, map('last', 'steps.sub.n')] };

  test('runs on the input as the data of the event, and its decision is the output', async () => {
    others.set('child', [child]);
    const journal = new Journal();
    const { decision, deliveries } = await run(spec, journal);
    expect(decision).toBe(2);
    expect(results(journal)).toEqual([
      ['a', 'succeeded', 1],
      ['sub:flow', 'began', { flow: 'child', version: 1, input: { n: 1 } }],
      ['sub/in', 'succeeded', 2],
      ['sub/tell', 'succeeded', { destination: 'crm' }],
      ['sub', 'succeeded', { n: 2, of: 'evt_1' }],
      ['last', 'succeeded', 2],
    ]);
    expect(deliveries).toMatchObject([{ step: 'sub/tell', payload: { flow: 'child', decision: { n: 2, of: 'evt_1' } } }]);
  });

  test('keeps the version that it began with', async () => {
    others.set('child', [child]);
    const journal = new Journal();
    const result = await run(spec, journal);
    others.set('child', [child, { steps: [map('in', '100')] }]);
    expect(await run(spec, new Journal(journal.kept.slice(0, 2)))).toEqual(result);
  });

  test('is not called more than five deep', async () => {
    others.set('child', [{ steps: [{ id: 'again', call: { flow: 'child' } }] }]);
    await expect(run(spec)).rejects.toMatchObject({
      code: 'flow.runTooLarge',
      message: expect.stringContaining('more than 5 deep') as string,
    });
  });
});

test('the failure of a run says which step it comes from', async () => {
  const steps = [{ id: 'route', branch: { cases: [{ when: 'true', steps: [{ id: 'bad', ...failing }] }] } }];
  const runner = new FlowRunner(compile({ steps }), event, new Journal(), options);
  const error = await runner.run().catch((failure: unknown) => failure);
  expect(runner.failedStep(error)).toEqual({ step: 'route/bad', kind: 'map' });
});

describe('onFailure', () => {
  const bad = map('bad', '$number("x")');
  const spec = {
    steps: [map('read', 'event.data.amount'), bad, map('last', 'steps.bad')],
    onFailure: {
      steps: [
        map('seen', '{ "code": error.code, "read": steps.read, "last": $exists(steps.last) }'),
        deliver('tell', { payload: 'steps.seen' }),
        deliver('note'),
      ],
    },
  };
  const failed = (of: object, journal = new Journal(), more: Partial<FlowRunOptions> = {}): Promise<unknown> =>
    run(of, journal, event, more).then(
      () => undefined,
      (error: unknown) => error,
    );

  test('runs its steps when the run is given up, with the failure and what the flow had found', async () => {
    const journal = new Journal();
    const end = (await failed(spec, journal)) as FlowFailed;
    expect(end).toBeInstanceOf(FlowFailed);
    expect(end.failure).toEqual({ code: 'flow.expressionFailed', message: expect.stringContaining('$number("x")') as string });
    expect(end.failedSteps).toEqual([{ step: 'bad', kind: 'map', failure: end.failure }]);
    const seen = { code: 'flow.expressionFailed', read: 7, last: false };
    expect(end.deliveries).toMatchObject([
      { step: 'onFailure/tell', destination: 'crm', payload: seen },
      { step: 'onFailure/note', destination: 'crm', payload: { eventId: 'evt_1', flow: 'flow', error: end.failure } },
    ]);
    expect(journal.kept.map(({ step }) => step)).toEqual(['read', 'onFailure:error', 'onFailure/seen', 'onFailure/tell', 'onFailure/note']);
  });

  test('has nothing to do for a run that is decided', async () => {
    const journal = new Journal();
    expect((await run({ ...spec, steps: [map('one', '1')] }, journal)).decision).toBe(1);
    expect(journal.kept.map(({ step }) => step)).toEqual(['one']);
  });

  test('has nothing to do for a run that is tried again', async () => {
    const journal = new Journal();
    expect(await failed(spec, journal, { actionAfter: () => 'retry' })).not.toBeInstanceOf(FlowFailed);
    expect(journal.kept.map(({ step }) => step)).toEqual(['read']);
  });

  test('tells its own failure with the one that gives the run up', async () => {
    const worse = { ...spec, onFailure: { steps: [map('worse', '$number("y")'), deliver('tell')] } };
    const end = (await failed(worse)) as FlowFailed;
    expect(end.failure.code).toBe('flow.expressionFailed');
    expect(end.failure.message).toMatch(/"x".*; its onFailure failed, too \(flow\.expressionFailed\): .*"y"/s);
    expect(end.failedSteps.map(({ step }) => step)).toEqual(['bad', 'onFailure/worse']);
    expect(end.deliveries).toEqual([]);
  });

  test('has tries of its own: the failures that gave the run up do not count', async () => {
    const counts: number[] = [];
    const away = { ...spec, onFailure: { steps: [map('away', '$number("y")')] } };
    const twice: FlowRunOptions['actionAfter'] = (_, failures) => {
      counts.push(failures);
      return failures < 2 ? 'retry' : 'give-up';
    };
    const journal = new Journal();
    expect(await failed(away, journal, { actionAfter: twice, failures: 2 })).not.toBeInstanceOf(FlowFailed);
    expect(await failed(away, new Journal(journal.kept), { actionAfter: twice, failures: 3 })).not.toBeInstanceOf(FlowFailed);
    expect(await failed(away, new Journal(journal.kept), { actionAfter: twice, failures: 4 })).toBeInstanceOf(FlowFailed);
    expect(counts).toEqual([2, 0, 1, 2]);
  });
});

type Build = (names: Names, seen: readonly string[]) => object[];

/** Flows of any shape. A step reads the event, and at most one step that it may read. */
const flows = fc.letrec<{ steps: Build; shape: unknown }>((tie) => {
  const when = fc.constantFrom(undefined, undefined, 'true', 'false');
  const leaf = fc.record({ kind: fc.constantFrom('map', 'map', 'deliver', 'envelope', 'failing', 'call'), when });
  const inner = fc.record({
    kind: fc.constantFrom('branch', 'forEach', 'rescued'),
    first: tie('steps'),
    second: tie('steps'),
    when: fc.constantFrom('true', 'false', 'event.data.amount % 2 = 1'),
    mode: fc.constantFrom('fail', 'collect'),
  });
  const shape = fc.oneof({ maxDepth: 3, withCrossShrink: true }, { weight: 3, arbitrary: leaf }, { weight: 2, arbitrary: inner });
  const steps = fc
    .array(fc.tuple(tie('shape'), fc.nat(), fc.boolean()), { minLength: 1, maxLength: 3 })
    .map((drawn): Build => (names, outer) => {
      let seen = [...outer];
      return drawn.map(([drawnShape, read, isIndependent]) => {
        const id = names.next();
        const visible = isIndependent ? outer : seen;
        const value = visible.length === 0 ? 'event.data.amount' : `steps.${visible[read % visible.length]}`;
        const built = {
          id,
          ...(isIndependent && { needs: [] }),
          ...kindOf(drawnShape as Shape, `"${id}(" & ${value} & ")"`, names, visible),
        };
        seen = isIndependent ? [...outer, id] : [...seen, id];
        return built;
      });
    });
  return { steps, shape };
});

class Names {
  private count = 0;
  /** @param called the flow that steps call; null: none, so they do something else */
  constructor(readonly called: string | null) {}
  next(): string {
    return `s${(this.count += 1)}`;
  }
}

interface Shape {
  readonly kind: string;
  readonly when?: string;
  readonly first: Build;
  readonly second: Build;
  readonly mode: string;
}

function kindOf({ kind, when, first, second, mode }: Shape, expression: string, names: Names, seen: readonly string[]): object {
  const condition = when === undefined ? {} : { when };
  const as = `i${names.next()}`;
  if (kind === 'branch') return { branch: { cases: [{ when, steps: first(names, seen) }], else: second(names, seen) } };
  if (kind === 'forEach')
    return {
      forEach: { items: 'event.data.items', as, key: `"k" & ${as}`, steps: first(names, seen), onItemFailure: mode, concurrency: 2 },
      onError: { value: 'error.code' },
    };
  if (kind === 'rescued') return { ...failing, onError: { steps: first(names, seen) } };
  if (kind === 'failing') return { ...failing, ...(when !== 'true' && { onError: { value: 'error.code' } }), ...condition };
  if (kind === 'call' && names.called !== null)
    return { call: { flow: names.called, input: '{ "amount": 3, "items": [5] }' }, ...condition };
  if (kind === 'deliver') return { deliver: { destination: 'crm', payload: expression }, ...condition };
  return { ...(kind === 'envelope' ? { deliver: { destination: 'crm' } } : { map: { expression } }), ...condition };
}

test('a run that crashes at any write and is resumed ends as one that was never interrupted', async () => {
  const about = (amount: number): EventReceived => eventWith({ amount, items: [1, 2, 3] });
  const endOf = (spec: object, journal: Journal, amount = 7): Promise<unknown> =>
    run(spec, journal, about(amount)).catch((error: { code?: string }) =>
      error instanceof FlowFailed ? { failed: error.failure, at: error.failedSteps, deliveries: error.deliveries } : { failed: error.code },
    );
  await fc.assert(
    fc.asyncProperty(flows.steps, flows.steps, fc.option(flows.steps), async (build, called, afterwards) => {
      others.set('called', [{ steps: called(new Names(null), []) }]);
      const names = new Names('called');
      const steps = build(names, []);
      const own = steps.map((step) => (step as { id: string }).id);
      const spec = afterwards === null ? { steps } : { steps, onFailure: { steps: afterwards(names, own) } };
      const whole = new Journal();
      const result = await endOf(spec, whole);
      for (let written = 0; written < whole.kept.length; written += Math.ceil(whole.kept.length / 20)) {
        expect(await endOf(spec, new Journal(whole.kept.slice(0, written)))).toEqual(result);
      }
      // All is stored, so nothing is computed again, whatever has changed since.
      const again = new Journal(whole.kept);
      expect(await endOf(spec, again)).toEqual(result);
      if (!('failed' in (result as object))) expect(again.kept).toEqual([]);
    }),
    { numRuns: 100 },
  );
}, 120_000);
