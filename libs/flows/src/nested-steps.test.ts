import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { document } from '#libs/contracts';
import type { EventReceived, FlowDocument } from '#libs/contracts';
import type { Json } from '#libs/json';
import { ModelGateway, OpenAiProvider } from '#libs/models';
import { FlowCompiler } from './flow.compiler.js';
import { FlowRunner } from './flow.runner.js';
import type { FinishedStep, FlowResult, StepJournal, StoredStep } from './flow.runner.js';

const compiler = new FlowCompiler(
  new ModelGateway({ provider: new OpenAiProvider({ baseUrl: 'http://127.0.0.1:9/v1', apiKey: 'unused' }) }),
);

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
const compile = (spec: object) => {
  const parsed = document.parse({ apiVersion: 'millrace/v1', kind: 'Flow', metadata: { tenant: 'acme', name: 'flow' }, spec });
  versions += 1;
  return compiler.compile({ tenant: 'acme', kind: 'Flow', name: 'flow', version: versions, document: parsed as FlowDocument });
};

/** Stores what is kept at once, in the order in which it is kept, and refuses a second result under one name. */
class Journal implements StepJournal {
  readonly kept: FinishedStep[] = [];

  constructor(private readonly resumed: readonly FinishedStep[] = []) {}

  get all(): readonly FinishedStep[] {
    return [...this.resumed, ...this.kept];
  }

  stored(step: string): StoredStep | undefined {
    return this.resumed.find((one) => one.step === step);
  }

  async keep(finished: FinishedStep): Promise<Json> {
    if (this.all.some(({ step }) => step === finished.step)) throw new Error(`A second result of ${finished.step}`);
    const output = JSON.parse(JSON.stringify(finished.output)) as Json;
    this.kept.push({ ...finished, output });
    return output;
  }

  async noteCall(): Promise<void> {}
  failCall(): void {}

  wait(): undefined {}

  async recordCall(): Promise<void> {}
}

const run = (spec: object, journal: StepJournal = new Journal(), about = event): Promise<FlowResult> =>
  new FlowRunner(compile(spec), about, journal, new AbortController().signal).run();

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

/** Flows of any shape. A step reads the event, and at most one step that it may read. */
const flows = fc.letrec<{ list: object[]; steps: (names: Names, seen: readonly string[]) => object[] }>((tie) => {
  const leaf = fc.record({
    kind: fc.constantFrom('map', 'deliver', 'envelope'),
    when: fc.constantFrom(undefined, undefined, 'lucky', 'unlucky'),
  });
  const inner = fc.tuple(tie('steps'), tie('steps'), fc.constantFrom('lucky', 'unlucky', 'odd'), fc.nat(1));
  const step = fc.oneof({ maxDepth: 3, withCrossShrink: true }, { weight: 3, arbitrary: leaf }, { weight: 2, arbitrary: inner });
  const steps = fc
    .array(fc.tuple(step, fc.nat(), fc.boolean()), { minLength: 1, maxLength: 3 })
    .map((drawn) => (names: Names, outer: readonly string[]): object[] => {
      let seen = [...outer];
      return drawn.map(([shape, read, isIndependent]) => {
        const id = names.next();
        const visible = isIndependent ? outer : seen;
        const value = visible.length === 0 ? 'event.data.amount' : `steps.${visible[read % visible.length]}`;
        const needs = isIndependent ? { needs: [] } : {};
        const built = { id, ...needs, ...kindOf(shape, `"${id}(" & ${value} & ")"`, names, visible) };
        seen = isIndependent ? [...outer, id] : [...seen, id];
        return built;
      });
    });
  return { steps, list: steps.map((build) => build(new Names(), [])) };
});

class Names {
  private count = 0;
  next(): string {
    return `s${(this.count += 1)}`;
  }
}

type Inner = [(names: Names, seen: readonly string[]) => object[], (names: Names, seen: readonly string[]) => object[], string, number];
const conditions: Record<string, string> = { lucky: 'true', unlucky: 'false', odd: 'event.data.amount % 2 = 1' };

function kindOf(shape: unknown, expression: string, names: Names, seen: readonly string[]): object {
  if (Array.isArray(shape)) {
    const [first, second, when] = shape as unknown as Inner;
    return { branch: { cases: [{ when: conditions[when], steps: first(names, seen) }], else: second(names, seen) } };
  }
  const { kind, when } = shape as { kind: string; when: string | undefined };
  const own =
    kind === 'map' ? { map: { expression } } : { deliver: { destination: 'crm', ...(kind === 'deliver' && { payload: expression }) } };
  return { ...own, ...(when && { when: conditions[when] }) };
}

test('a run that crashes at any write and is resumed ends as one that was never interrupted', async () => {
  await fc.assert(
    fc.asyncProperty(flows.list, async (steps) => {
      const spec = { steps };
      const whole = new Journal();
      const result = await run(spec, whole);
      for (let written = 0; written < whole.kept.length; written += 1) {
        const resumed = new Journal(whole.kept.slice(0, written));
        expect(await run(spec, resumed)).toEqual(result);
        expect(resumed.all.map(({ step }) => step).toSorted()).toEqual(whole.kept.map(({ step }) => step).toSorted());
      }
      // Everything is stored, so nothing is computed again, whatever has changed since.
      expect((await run(spec, new Journal(whole.kept), eventWith({ amount: 8 }))).decision).toEqual(result.decision);
    }),
    { numRuns: 60 },
  );
}, 60_000);
