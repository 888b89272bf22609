import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { document, durationMs } from '#libs/contracts';
import type { EventReceived, EventView, FlowDocument } from '#libs/contracts';
import type { Json } from '#libs/json';
import type { ModelGateway } from '#libs/models';
import { noOperations } from '#libs/testing';
import { RunWaits } from '../flow.errors.js';
import { FlowCompiler } from '../flow.compiler.js';
import { FlowRunner } from '../flow.runner.js';
import type { FinishedStep, FlowResult, StepJournal, StoredStep } from '../flow.runner.js';
import type { WaitEnd, WaitRequest } from '../step.js';

beforeEach(() => void vi.useFakeTimers({ now: Date.parse('2026-06-01T12:00:00Z') }));
afterEach(() => void vi.useRealTimers());

/** Keeps what a run stores over several tries. */
class Journal implements StepJournal {
  readonly kept = new Map<string, StoredStep>();
  readonly waits = new Map<string, WaitRequest>();
  readonly ends = new Map<string, WaitEnd>();

  stored(step: string): StoredStep | undefined {
    return this.kept.get(step);
  }

  async keep({ step, state, output }: FinishedStep): Promise<Json> {
    if (this.kept.has(step)) throw new Error(`A second result of ${step}`);
    this.kept.set(step, { state, output });
    return output;
  }

  wait(step: string, request: WaitRequest): WaitEnd | undefined {
    if (!this.ends.has(step)) this.waits.set(step, request);
    return this.ends.get(step);
  }

  /** The events that have arrived, by type. */
  readonly arrived: EventReceived[] = [];

  async arrivals({ types = [] }: WaitRequest, after: EventView | undefined): Promise<EventReceived[]> {
    const wanted = this.arrived.filter(({ type }) => types.includes(type));
    const from = wanted.findIndex(({ eventId }) => eventId === after?.id) + 1;
    return wanted.slice(from, from + 2);
  }

  async noteCall(): Promise<void> {}
  failCall(): void {}

  reviewed(): undefined {}

  ask(): void {}

  effectKey(step: string): string {
    return `key of ${step}`;
  }

  reachedAt(): undefined {}

  async recordCall(): Promise<void> {}

  get steps(): string[] {
    return [...this.kept.keys()];
  }
  get due(): Record<string, string> {
    return Object.fromEntries([...this.waits].map(([step, { dueAt }]) => [step, dueAt.toISOString()]));
  }
}

const event = {
  tenant: 'acme',
  eventId: 'evt_1',
  contentType: 'application/json',
  body: '{"at":"2026-06-02T00:00:00Z","ms":1780401600000}',
};
const compiler = new FlowCompiler({ models: {} as ModelGateway, operations: noOperations });
let versions = 0;

function run(steps: object[], journal: Journal): Promise<FlowResult> {
  const spec = { steps };
  const parsed = document.parse({ apiVersion: 'millrace/v1', kind: 'Flow', metadata: { tenant: 'acme', name: 'f' }, spec }) as FlowDocument;
  const flow = compiler.compile({ tenant: 'acme', kind: 'Flow', name: 'f', version: (versions += 1), document: parsed });
  const flows = { currentVersion: () => 1, compiled: () => Promise.reject(new Error('there is no other flow')) };
  const options = { signal: new AbortController().signal, actionAfter: () => 'give-up' as const, flows };
  return new FlowRunner(flow, event as unknown as EventReceived, journal, options).run();
}

const map = (id: string, expression: string, more: object = {}) => ({ id, map: { expression }, ...more });
const elapsed: WaitEnd = { reason: 'elapsed', at: '2026-06-01T12:15:00.000Z' };

describe('a wait', () => {
  test('ends the work of the run with what was done before it, and its output is there when the work goes on', async () => {
    const journal = new Journal();
    const steps = [map('a', '1'), { id: 'pause', wait: { for: 'PT15M' } }, map('b', '{ "a": steps.a, "why": steps.pause.reason }')];
    await expect(run(steps, journal)).rejects.toBeInstanceOf(RunWaits);
    expect(journal.steps).toEqual(['a', 'pause:due']);
    expect(journal.due).toEqual({ pause: '2026-06-01T12:15:00.000Z' });
    journal.ends.set('pause', elapsed);
    const { decision } = await run(steps, journal);
    expect(decision).toEqual({ a: 1, why: 'elapsed' });
    expect(journal.kept.get('pause')).toEqual({ state: 'succeeded', output: elapsed });
  });

  test('keeps the end that was computed first, whenever the run is tried again', async () => {
    const journal = new Journal();
    const steps = [{ id: 'pause', wait: { for: 60_000 } }];
    await expect(run(steps, journal)).rejects.toBeInstanceOf(RunWaits);
    vi.setSystemTime(Date.parse('2026-06-01T15:00:00Z'));
    await expect(run(steps, journal)).rejects.toBeInstanceOf(RunWaits);
    expect(journal.due).toEqual({ pause: '2026-06-01T12:01:00.000Z' });
  });

  test('lets independent steps go on, and waits of several branches are all kept', async () => {
    const journal = new Journal();
    const inner = [{ id: 'inner', wait: { for: 1_000 } }];
    const steps = [
      { id: 'one', wait: { for: 60_000 } },
      map('free', '2', { needs: [] }),
      { id: 'route', needs: [], branch: { cases: [{ when: 'true', steps: inner }] } },
      map('after', '3', { needs: ['one', 'route'] }),
    ];
    await expect(run(steps, journal)).rejects.toBeInstanceOf(RunWaits);
    expect(journal.steps.toSorted()).toEqual(['free', 'one:due', 'route/inner:due', 'route:choice']);
    expect(Object.keys(journal.due).toSorted()).toEqual(['one', 'route/inner']);
    journal.ends.set('route/inner', elapsed);
    await expect(run(steps, journal)).rejects.toBeInstanceOf(RunWaits);
    expect(journal.steps).toContain('route');
    expect(journal.steps).not.toContain('after');
  });

  test('gives way to a failure of another step', async () => {
    const steps = [{ id: 'pause', wait: { for: 60_000 } }, map('bad', '$number("x")', { needs: [] })];
    await expect(run(steps, new Journal())).rejects.toMatchObject({ code: 'flow.expressionFailed' });
  });

  describe('for an event', () => {
    const wait = { event: { types: ['paid'], match: 'arrived.data.n = event.data.ms and steps.a = 1', timeout: 'PT1H' } };
    const steps = [map('a', '1'), { id: 'pause', wait }];
    const arrival = (id: string, n: number, type = 'paid') =>
      ({ ...event, eventId: id, type, receivedAt: '2026-06-01T12:05:00.000Z', body: JSON.stringify({ n }) }) as unknown as EventReceived;

    test('looks at those that have arrived, one after the other, and takes the first that is the one', async () => {
      const journal = new Journal();
      journal.arrived.push(arrival('evt_2', 1), arrival('evt_3', 2), arrival('evt_4', 1_780_401_600_000, 'other'));
      await expect(run(steps, journal)).rejects.toBeInstanceOf(RunWaits);
      expect(journal.waits.get('pause')).toEqual({ dueAt: new Date('2026-06-01T13:00:00Z'), types: ['paid'], looked: 2 });
      journal.arrived.push(arrival('evt_5', 1_780_401_600_000), arrival('evt_6', 1_780_401_600_000));
      const { decision } = await run(steps, journal);
      expect(decision).toMatchObject({ reason: 'event', at: '2026-06-01T12:05:00.000Z', event: { id: 'evt_5', type: 'paid' } });
    });

    test('is timed out when its time comes and none of them was the one', async () => {
      const journal = new Journal();
      journal.arrived.push(arrival('evt_2', 1));
      journal.ends.set('pause', { reason: 'elapsed', at: '2026-06-01T13:00:00.000Z' });
      expect((await run(steps, journal)).decision).toEqual({ reason: 'timedOut', at: '2026-06-01T13:00:00.000Z', event: null });
    });

    test('takes one that arrived in time, although the time has come', async () => {
      const journal = new Journal();
      journal.arrived.push(arrival('evt_5', 1_780_401_600_000));
      journal.ends.set('pause', { reason: 'elapsed', at: '2026-06-01T13:00:00.000Z' });
      expect((await run(steps, journal)).decision).toMatchObject({ reason: 'event' });
    });
  });

  test.each([
    ['event.data.at', '2026-06-02T00:00:00.000Z'],
    ['event.data.ms', '2026-06-02T12:00:00.000Z'],
    ['"2020-01-01"', '2020-01-01T00:00:00.000Z'],
  ])('until %s ends at %s', async (until, dueAt) => {
    const journal = new Journal();
    await expect(run([{ id: 'pause', wait: { until } }], journal)).rejects.toBeInstanceOf(RunWaits);
    expect(journal.due).toEqual({ pause: dueAt });
  });

  test.each(['"soon"', 'event.data.nothing', 'true', '"2027-06-01T12:00:00Z"', '1e300'])('until %s is no end', async (until) => {
    await expect(run([{ id: 'pause', wait: { until } }], new Journal())).rejects.toMatchObject({ code: 'flow.waitUnusable' });
  });
});

test.each([
  [5, 5],
  ['PT15M', 900_000],
  ['P2DT12H', 216_000_000],
  ['P1W', 604_800_000],
  ['PT90S', 90_000],
  ['P', undefined],
  ['PT', undefined],
  ['P1M', undefined],
  ['15m', undefined],
  ['', undefined],
])('the duration %j has %j ms', (duration, ms) => {
  expect(durationMs(duration)).toBe(ms);
});

test.each([
  [{ for: 'P91D' }, 'must be longer than 0 and at most 90 days'],
  [{ for: 'PT0S' }, 'must be longer than 0 and at most 90 days'],
  [{ for: 'P1M' }, 'must be a number of ms, or a duration such as PT15M, P2DT12H or P1W; months and years have no fixed length'],
  [{}, 'must have exactly one of for, until, event; it has none'],
  [{ for: 5, until: 'event.data.at' }, 'must have exactly one of for, until, event; it has for and until'],
])('%j is refused when it is applied', (wait, message) => {
  const metadata = { tenant: 'acme', name: 'f' };
  const { error } = document.safeParse({ apiVersion: 'millrace/v1', kind: 'Flow', metadata, spec: { steps: [{ id: 'pause', wait }] } });
  expect(error?.issues.map((issue) => issue.message)).toEqual([message]);
});

describe('a wait within other steps', () => {
  test('is no failure that a fallback or a list of items would handle, and an item that waits keeps no other one waiting', async () => {
    const journal = new Journal();
    const each = {
      id: 'each',
      forEach: {
        items: '["a", "b", "c"]',
        key: 'item',
        concurrency: 1,
        onItemFailure: 'collect',
        steps: [{ id: 'pause', wait: { for: 'PT15M' } }, map('done', 'item')],
      },
      onError: { retry: { times: 1, delayMs: 0 }, value: '"instead"' },
    };
    await expect(run([each], journal)).rejects.toBeInstanceOf(RunWaits);
    expect(Object.keys(journal.due)).toEqual(['each/a/pause', 'each/b/pause', 'each/c/pause']);
    for (const key of ['b', 'a']) {
      journal.ends.set(`each/${key}/pause`, elapsed);
      await expect(run([each], journal)).rejects.toBeInstanceOf(RunWaits);
    }
    journal.ends.set('each/c/pause', elapsed);
    await run([each], journal);
    expect(journal.kept.get('each')?.output).toEqual(['a', 'b', 'c'].map((key) => ({ key, output: key })));
  });
});
