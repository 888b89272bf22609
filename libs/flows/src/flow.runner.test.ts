import { describe, expect, test, vi } from 'vitest';
import { document } from '#libs/contracts';
import type { EventReceived, FlowDocument } from '#libs/contracts';
import type { Json } from '#libs/json';
import { ModelGateway, OpenAiProvider } from '#libs/models';
import { noOperations } from '#libs/testing';
import { FlowCompiler } from './flow.compiler.js';
import { ValidationFailed } from './flow.errors.js';
import { FlowRunner } from './flow.runner.js';
import type { FinishedStep, FlowResult, StepJournal, StoredStep } from './flow.runner.js';
import type { CallRecord, StepWork } from './step.js';

const models = new ModelGateway({ provider: new OpenAiProvider({ baseUrl: 'http://127.0.0.1:9/v1', apiKey: 'unused' }) });
const compiler = new FlowCompiler({ models, operations: noOperations });

const event: EventReceived = {
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
  body: '{"amount":7}',
};

const noFlows = {
  currentVersion: () => {
    throw new Error('there is no other flow');
  },
  compiled: () => Promise.reject(new Error('there is no other flow')),
};

let versions = 0;
const compile = (spec: object, tenant = 'acme') => {
  const parsed = document.parse({
    apiVersion: 'millrace/v1',
    kind: 'Flow',
    metadata: { tenant, name: 'flow' },
    spec,
  }) as FlowDocument;
  versions += 1;
  return compiler.compile({
    tenant,
    kind: 'Flow',
    name: 'flow',
    version: versions,
    document: parsed,
  });
};

/** Keeps outputs as the database does: through JSON, and the first one for ever. */
class MemoryJournal implements StepJournal {
  readonly kept: FinishedStep[] = [];
  constructor(private readonly outputs: Record<string, Json> = {}) {}

  stored(step: string): StoredStep | undefined {
    const output = this.outputs[step];
    return output === undefined ? undefined : { state: 'succeeded', output };
  }

  keep(finished: FinishedStep): Promise<Json> {
    this.kept.push(finished);
    this.outputs[finished.step] ??= JSON.parse(JSON.stringify(finished.output)) as Json;
    return Promise.resolve(this.outputs[finished.step]!);
  }

  noteCall(_step: string): Promise<void> {
    return Promise.resolve();
  }

  failCall(_step: string): void {}

  wait(): undefined {}

  reviewed(): undefined {}

  ask(): void {}

  effectKey(step: string): string {
    return `key of ${step}`;
  }

  reachedAt(_step: string): Date | undefined {
    return undefined;
  }

  async arrivals(): Promise<[]> {
    return [];
  }

  recordCall(_step: string, _request: CallRecord): Promise<void> {
    return Promise.resolve();
  }
}

const options = (signal = new AbortController().signal) => ({ signal, actionAfter: () => 'give-up' as const, flows: noFlows });

const run = (spec: object, journal: StepJournal = new MemoryJournal()): Promise<FlowResult> =>
  new FlowRunner(compile(spec), event, journal, options()).run();

const map = (id: string, expression: string, more: object = {}) => ({ id, map: { expression }, ...more });

test('a step reads the event and the outputs of the steps before it', async () => {
  const steps = [map('double', 'event.data.amount * 2'), map('sum', 'steps.double + 1')];
  expect(await run({ steps })).toEqual({ decision: 15, deliveries: [] });
});

test('a step sees only what it needs, directly or through others: nothing depends on which branch was faster', async () => {
  const steps = [
    map('a', '1'),
    map('b', '2', { needs: [] }),
    map('c', 'steps.a', { needs: ['a'] }),
    map('seen', '$sort($keys(steps))', { needs: ['c'] }),
  ];
  expect((await run({ steps })).decision).toEqual(['a', 'c']);
});

test('independent steps run at the same time', async () => {
  const order: string[] = [];
  class Slow extends MemoryJournal {
    override async keep(finished: FinishedStep): Promise<Json> {
      order.push(`${finished.step} ended`);
      if (finished.step === 'a') await bEnded.promise;
      if (finished.step === 'b') bEnded.resolve();
      return super.keep(finished);
    }
  }
  const bEnded = Promise.withResolvers<void>();
  await run({ steps: [map('a', '1'), map('b', '2', { needs: [] })] }, new Slow());
  expect(order).toEqual(['a ended', 'b ended']);
});

test('a step whose condition is not true is skipped, and its output is null', async () => {
  const journal = new MemoryJournal();
  const steps = [map('a', '1', { when: 'event.data.amount > 10' }), map('b', '$type(steps.a)')];
  expect((await run({ steps }, journal)).decision).toBe('null');
  expect(journal.kept.map(({ step, state }) => [step, state])).toEqual([
    ['a', 'skipped'],
    ['b', 'succeeded'],
  ]);
});

test('a step that ended before is not done again, and the others go on from its stored output', async () => {
  const journal = new MemoryJournal({ random: 0.25, skipped: null });
  const steps = [map('random', '$random()'), map('skipped', '1'), map('after', '[steps.random, steps.skipped]')];
  expect((await run({ steps }, journal)).decision).toEqual([0.25, null]);
  expect(journal.kept.map(({ step }) => step)).toEqual(['after']);
});

test('a step never ends before it began, although the wall clock steps back while it is at work', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2026, 10, 29, 12) });
  try {
    const work: StepWork = async () => {
      vi.setSystemTime(Date.UTC(2026, 10, 29, 11));
      return { output: 'done' };
    };
    const step = { id: 'one', kind: 'map', condition: undefined, needs: [], reads: [], hasSteps: false, onError: undefined, work } as const;
    const journal = new MemoryJournal();
    const flow = { name: 'flow', condition: undefined, steps: [step], decision: undefined, draft: undefined, failureSteps: undefined };
    await new FlowRunner(flow, event, journal, options()).run();
    const [{ startedAt, finishedAt }] = journal.kept as [FinishedStep];
    expect(startedAt).toEqual(new Date(Date.UTC(2026, 10, 29, 12)));
    expect(finishedAt.getTime()).toBeGreaterThanOrEqual(startedAt.getTime());
  } finally {
    vi.useRealTimers();
  }
});

test('a step goes on from the output as it is kept', async () => {
  class Rounding extends MemoryJournal {
    override async keep(finished: FinishedStep): Promise<Json> {
      return super.keep({ ...finished, output: 'as kept' });
    }
  }
  expect((await run({ steps: [map('a', '"as computed"')] }, new Rounding())).decision).toBe('as kept');
});

test('the decision is the output of the last step that is not a delivery, unless the flow says otherwise', async () => {
  const steps = [map('a', '1'), map('b', '2'), { id: 'tell', deliver: { destination: 'crm', payload: '0' } }];
  expect((await run({ steps })).decision).toBe(2);
  expect((await run({ steps, decision: 'steps.a' })).decision).toBe(1);
});

test('a delivery carries the consent of its step to more than one effect', async () => {
  const { deliveries } = await run({ steps: [{ id: 'tell', deliver: { destination: 'crm', payload: '1', atLeastOnce: true } }] });
  expect(deliveries).toEqual([{ step: 'tell', destination: 'crm', payload: 1, atLeastOnce: true }]);
});

test('a delivery carries its own payload, or the envelope around the decision of the whole run', async () => {
  const steps = [
    map('a', '1'),
    { id: 'early', deliver: { destination: 'crm' } },
    { id: 'own', deliver: { destination: 'erp', payload: '{ "n": steps.a }' } },
    { id: 'never', when: 'false', deliver: { destination: 'crm' } },
    map('last', '"done"'),
  ];
  const { deliveries } = await run({ steps });
  const decision = 'done';
  expect(deliveries).toEqual([
    {
      step: 'early',
      destination: 'crm',
      payload: {
        eventId: 'evt_1',
        type: 'order.paid',
        source: 'shop',
        customer: 'c-1',
        occurredAt: '2026-11-21T10:00:00Z',
        flow: 'flow',
        decision,
      },
    },
    { step: 'own', destination: 'erp', payload: { n: 1 } },
  ]);
});

test('a validate step passes its input on, or names every rule it breaks', async () => {
  const check = (schema: object, rules: object[]) => [
    map('a', '{ "n": 5 }'),
    { id: 'check', validate: { input: 'steps.a', schema, rules } },
  ];
  const fine = await run({ steps: check({ type: 'object' }, [{ check: 'value.n = event.data.amount - 2', message: 'off' }]) });
  expect(fine.decision).toEqual({ n: 5 });
  const broken = run({ steps: check({ properties: { n: { maximum: 3 } } }, [{ check: 'value.n < 4', message: 'too many' }]) });
  await expect(broken).rejects.toThrow(ValidationFailed);
  await expect(broken).rejects.toThrow(/^The step check refused its input: .*<= 3; too many$/);
});

test('a failed step stops what needs it, while an independent one ends and is kept', async () => {
  const journal = new MemoryJournal();
  const steps = [map('bad', '$number("x")'), map('after', '1'), map('other', '2', { needs: [] })];
  await expect(run({ steps }, journal)).rejects.toMatchObject({ code: 'flow.expressionFailed' });
  expect(journal.kept.map(({ step }) => step)).toEqual(['other']);
});

test('a condition of the flow that cannot be evaluated fails the run with its reason', async () => {
  await expect(run({ on: { when: '$number(event.type) > 1' }, steps: [map('a', '1')] })).rejects.toMatchObject({
    code: 'flow.expressionFailed',
  });
});

describe('a call of a step', () => {
  const calling = (journal: StepJournal, made: () => void): Promise<FlowResult> => {
    const record = { kind: 'model', number: 1, outcome: 'succeeded' } as CallRecord;
    const work: StepWork = (_input, { call }) =>
      call(async (recordRequest) => {
        made();
        await recordRequest(record);
        return { output: 'answer' };
      });
    const step = {
      id: 'ask',
      kind: 'infer',
      condition: undefined,
      needs: [],
      reads: [],
      hasSteps: false,
      onError: undefined,
      work,
    } as const;
    const flow = { name: 'flow', condition: undefined, steps: [step], decision: undefined, draft: undefined, failureSteps: undefined };
    return new FlowRunner(flow, event, journal, options()).run();
  };

  test('is noted before it is made, and its requests are recorded before the output is kept', async () => {
    const order: string[] = [];
    class Noting extends MemoryJournal {
      override async noteCall(step: string): Promise<void> {
        order.push(`${step} noted`);
      }
      override async recordCall(step: string, { kind, outcome }: CallRecord): Promise<void> {
        order.push(`${step} recorded: ${kind} ${outcome}`);
      }
      override async keep(finished: FinishedStep): Promise<Json> {
        order.push(`${finished.step} kept`);
        return super.keep(finished);
      }
    }
    expect((await calling(new Noting(), () => order.push('made'))).decision).toBe('answer');
    expect(order).toEqual(['ask noted', 'made', 'ask recorded: model succeeded', 'ask kept']);
  });

  test('is not made if it cannot be noted', async () => {
    class Lost extends MemoryJournal {
      override noteCall(): Promise<void> {
        return Promise.reject(new Error('the claim is lost'));
      }
    }
    const made = vi.fn<() => void>();
    await expect(calling(new Lost(), made)).rejects.toThrow('the claim is lost');
    expect(made).not.toHaveBeenCalled();
  });
});

test('a tenant whose expressions wait in line keeps no other tenant waiting', async () => {
  const finished: string[] = [];
  const runAs = async (tenant: string, expression: string): Promise<void> => {
    await new FlowRunner(compile({ steps: [map('a', expression)] }, tenant), event, new MemoryJournal(), options()).run();
    finished.push(tenant);
  };
  await Promise.all(['busy', 'other'].map((tenant) => runAs(tenant, '$map([1], function($x) { $x })'))); // the processes are ready then
  const busy = Array.from({ length: 5 }, () => runAs('busy', '$count($map([1..2000], function($x) { $x }))'));
  await Promise.all([...busy, runAs('other', '$map(["a"], function($x) { $x })')]);
  expect(finished.at(-1)).toBe('busy');
}, 60_000);

test('no further step starts once the run is no longer ours', async () => {
  const journal = new MemoryJournal();
  const lost = new AbortController();
  lost.abort(new Error('lost'));
  const runner = new FlowRunner(compile({ steps: [map('a', '1')] }), event, journal, options(lost.signal));
  await expect(runner.run()).rejects.toThrow('lost');
  expect(journal.kept).toEqual([]);
});
