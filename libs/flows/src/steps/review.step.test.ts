import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { document } from '#libs/contracts';
import type { EventReceived, FlowDocument } from '#libs/contracts';
import type { Json } from '#libs/json';
import type { ModelGateway } from '#libs/models';
import { ModelOutputInvalid } from '#libs/models';
import { noOperations } from '#libs/testing';
import { RunWaits } from '../flow.errors.js';
import { FlowCompiler } from '../flow.compiler.js';
import type { CompiledFlow } from '../flow.compiler.js';
import { FlowRunner } from '../flow.runner.js';
import type { FinishedStep, FlowResult, StepJournal, StoredStep } from '../flow.runner.js';
import { tryFlow } from '../flow.trial.js';
import type { ReviewEnd, ReviewRequest } from '../step.js';

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'], now: Date.parse('2026-06-01T12:00:00Z') }));
afterEach(() => void vi.useRealTimers());

/** Keeps what a run stores over several tries. */
class Journal implements StepJournal {
  readonly kept = new Map<string, StoredStep>();
  readonly questions = new Map<string, ReviewRequest>();
  readonly ends = new Map<string, ReviewEnd>();

  stored(step: string): StoredStep | undefined {
    return this.kept.get(step);
  }

  async keep({ step, state, output, failure }: FinishedStep): Promise<Json> {
    if (this.kept.has(step)) throw new Error(`A second result of ${step}`);
    this.kept.set(step, { state, output, ...(failure && { failure }) });
    return output;
  }

  reviewed(step: string): ReviewEnd | undefined {
    return this.ends.get(step);
  }

  ask(step: string, request: ReviewRequest): void {
    this.questions.set(step, request);
  }

  wait(): undefined {}
  async arrivals(): Promise<[]> {
    return [];
  }

  async noteCall(): Promise<void> {}
  failCall(): void {}
  effectKey(step: string): string {
    return `key of ${step}`;
  }

  reachedAt(): undefined {}
  async recordCall(): Promise<void> {}
}

const event = { tenant: 'acme', eventId: 'evt_1', contentType: 'application/json', body: '{"amount":250,"note":"refund"}' };
const schema = { type: 'object', required: ['amount'], properties: { amount: { type: 'number', maximum: 100 } } };
const models = {
  infer: () => Promise.reject(new ModelOutputInvalid('schema', ['/amount must be <= 100'], { amount: 250 })),
} as unknown as ModelGateway;
const compiler = new FlowCompiler({ models, operations: noOperations });
let versions = 0;

function compiled(steps: object[]): CompiledFlow {
  const spec = { steps };
  const parsed = document.parse({ apiVersion: 'millrace/v1', kind: 'Flow', metadata: { tenant: 'acme', name: 'f' }, spec }) as FlowDocument;
  return compiler.compile({ tenant: 'acme', kind: 'Flow', name: 'f', version: (versions += 1), document: parsed });
}

function run(steps: object[], journal: Journal): Promise<FlowResult> {
  const flows = { currentVersion: () => 1, compiled: () => Promise.reject(new Error('there is no other flow')) };
  const options = { signal: new AbortController().signal, actionAfter: () => 'give-up' as const, flows };
  return new FlowRunner(compiled(steps), event as unknown as EventReceived, journal, options).run();
}

const propose = { id: 'propose', map: { expression: '{ "amount": event.data.amount }' } };
const review = (more: object = {}) => ({
  id: 'approval',
  review: { proposal: 'steps.propose', expiresAfter: 'P1D', default: '{ "amount": 0 }', ...more },
});
const after = { id: 'after', map: { expression: 'steps.approval.value.amount' } };
const approved: ReviewEnd = { outcome: 'approved', value: { amount: 250 }, by: 'Ada', reason: 'fine', at: '2026-06-01T13:00:00.000Z' };

describe('a review', () => {
  test('asks with everything that the queue shows, and the run goes on with the decision', async () => {
    const journal = new Journal();
    const more = {
      schema,
      escalateAfter: 'PT4H',
      priority: 'steps.propose.amount / 40',
      reason: '"The amount is " & steps.propose.amount',
      context: 'event.data.note',
    };
    const steps = [propose, review(more), after];
    await expect(run(steps, journal)).rejects.toThrow(RunWaits);
    expect([...journal.kept.keys()]).toEqual(['propose', 'approval:asked']);
    expect(journal.questions.get('approval')).toEqual({
      proposal: { amount: 250 },
      default: { amount: 0 },
      schema,
      priority: 6,
      reason: 'The amount is 250',
      context: 'refund',
      expiresAt: new Date('2026-06-02T12:00:00Z'),
      escalateAt: new Date('2026-06-01T16:00:00Z'),
    });
    journal.ends.set('approval', approved);
    expect((await run(steps, journal)).decision).toBe(250);
    expect(journal.kept.get('approval')).toMatchObject({ output: approved });
  });

  test('has its times from its first try, also if its run is tried again later', async () => {
    const journal = new Journal();
    await expect(run([propose, review()], journal)).rejects.toThrow(RunWaits);
    vi.setSystemTime(Date.parse('2026-06-01T15:00:00Z'));
    await expect(run([propose, review()], journal)).rejects.toThrow(RunWaits);
    expect(journal.questions.get('approval')?.expiresAt).toEqual(new Date('2026-06-02T12:00:00Z'));
  });

  test('asks nobody where nobody is needed, and its value is the proposal', async () => {
    const journal = new Journal();
    const steps = [propose, review({ needed: 'steps.propose.amount > 1000' }), after];
    expect((await run(steps, journal)).decision).toBe(250);
    expect(journal.kept.get('approval')?.output).toEqual({
      outcome: 'notNeeded',
      value: { amount: 250 },
      by: null,
      reason: null,
      at: '2026-06-01T12:00:00.000Z',
    });
    expect(journal.questions.size).toBe(0);
  });

  test.each([
    [{ priority: '"high"' }, 'The review approval has no priority: it yields "high"; it has to be a number from 0 to 9'],
    [
      { schema, default: '{ "amount": event.data.amount }' },
      'The review approval has a default that does not fit its schema: /amount must be <= 100',
    ],
    [{ proposal: '$pad("", 262144, "x")' }, 'The review approval has a proposal of 262146 characters as JSON; 262144 are the most'],
  ])('that yields nothing usable fails its run: %o', async (more, message) => {
    await expect(run([propose, review(more)], new Journal())).rejects.toThrow(message);
  });

  test('shows the beginning of a context that is too long', async () => {
    const journal = new Journal();
    await expect(run([propose, review({ context: '$pad("", 70000, "x")' })], journal)).rejects.toThrow(RunWaits);
    expect(journal.questions.get('approval')?.context).toHaveLength(65_537);
  });

  test('of a refused output of a model gets that output, the reasons and the schema, and its value is the output of the step', async () => {
    const journal = new Journal();
    const ask = { id: 'ask', review: { proposal: 'error.output', reason: 'error.message', schemaOf: 'assess', expiresAfter: 60_000 } };
    const steps = [
      {
        id: 'assess',
        infer: { model: 'm', instructions: 'Say the amount.', output: schema },
        onError: { steps: [ask, { id: 'result', map: { expression: 'steps.ask.value' } }] },
      },
      { id: 'after', map: { expression: 'steps.assess.amount' } },
    ];
    await expect(run(steps, journal)).rejects.toThrow(RunWaits);
    expect(journal.questions.get('assess/onError/ask')).toMatchObject({
      proposal: { amount: 250 },
      reason: "The model's output does not pass the gate schema: /amount must be <= 100",
      schema,
    });
    journal.ends.set('assess/onError/ask', { ...approved, outcome: 'corrected', value: { amount: 90 } });
    expect((await run(steps, journal)).decision).toBe(90);
    expect(journal.kept.get('assess')).toMatchObject({ output: { amount: 90 }, failure: { code: 'model.invalidOutput' } });
  });
});

describe('the review of a trial', () => {
  const steps = [propose, review(), after];
  const tried = async (decide?: NonNullable<Parameters<typeof tryFlow>[3]>['decide']) => {
    const { signal } = new AbortController();
    const trial = await tryFlow(compiled(steps), event as unknown as EventReceived, signal, decide && { decide });
    return trial.decided?.decision;
  };

  test('expires, unless somebody decides it', async () => {
    expect(await tried()).toBe(0);
    expect(await tried(async () => ({ outcome: 'approved' }))).toBe(250);
    expect(await tried(async () => ({ outcome: 'rejected' }))).toBe(0);
    expect(await tried(async () => ({ outcome: 'corrected', value: { amount: 7 } }))).toBe(7);
  });
});

describe('the review of a trial whose decision is known', () => {
  const late = { id: 'late', needs: ['side'], map: { expression: '1' } };
  const side = { id: 'side', needs: [], wait: { for: 'PT1H' } };
  const tried = async (steps: object[]) => {
    const known: NonNullable<Parameters<typeof tryFlow>[3]>['known'] = async (questions) =>
      new Map(questions.has('approval') ? [['approval', approved]] : []);
    const asked: string[] = [];
    const { signal } = new AbortController();
    const trial = await tryFlow(compiled(steps), event as unknown as EventReceived, signal, {
      known,
      decide: async (step) => {
        asked.push(step);
        return { outcome: 'rejected' };
      },
    });
    return { trial, asked };
  };

  test('is no wait, and asks nobody: the output is the decision as it was made', async () => {
    const { trial, asked } = await tried([propose, review(), after]);
    expect(trial.decided?.decision).toBe(250);
    expect(trial.steps.find(({ step }) => step === 'approval')).toMatchObject({ output: approved });
    expect(trial.stepsBeforeWait).toBeUndefined();
    expect(asked).toEqual([]);
  });

  test('lets what follows it be done before anything else waits', async () => {
    const { trial, asked } = await tried([propose, side, { ...review(), needs: ['propose'] }, { ...after, needs: ['approval'] }, late]);
    const ids = trial.steps.map(({ step }) => step);
    expect(ids.slice(0, trial.stepsBeforeWait).toSorted()).toEqual(['after', 'approval', 'approval:asked', 'propose', 'side:due']);
    expect(ids.slice(trial.stepsBeforeWait)).toEqual(['side', 'late']);
    expect(asked).toEqual([]);
  });

  test('leaves another review to be asked', async () => {
    const other = { ...review(), id: 'other', needs: ['propose'] };
    const { trial, asked } = await tried([propose, { ...review(), needs: ['propose'] }, other, { ...after, needs: ['approval', 'other'] }]);
    expect(asked).toEqual(['other']);
    expect(trial.steps.find(({ step }) => step === 'other')).toMatchObject({ output: { outcome: 'rejected' } });
    expect(trial.decided?.decision).toBe(250);
  });
});

describe('the document of a review', () => {
  const problemsOf = (more: object): string[] => {
    const spec = { steps: [propose, review(more)] };
    const parsed = document.safeParse({ apiVersion: 'millrace/v1', kind: 'Flow', metadata: { tenant: 'acme', name: 'f' }, spec });
    return parsed.error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? [];
  };

  test('says what does not fit', () => {
    expect(problemsOf({ escalateAfter: 'P1D' })).toEqual(['spec.steps.1.review.escalateAfter: must be shorter than `expiresAfter`']);
    expect(problemsOf({ schemaOf: 'propose' })).toEqual([
      'spec.steps.1.review.schemaOf: names no `infer` step of this flow: propose; there is none',
    ]);
    expect(problemsOf({ schemaOf: 'propose', schema: {} })[0]).toContain('must not be given with `schema`');
    expect(problemsOf({ expiresAfter: 'P91D' })[0]).toContain('at most 90 days');
  });
});
