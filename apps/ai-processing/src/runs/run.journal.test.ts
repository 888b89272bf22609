import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { CallRecord, FinishedStep } from '#libs/flows';
import type { Json } from '#libs/json';
import { StorageUnavailable } from '#libs/persistence';
import { RunLeaseLost } from './run.errors.js';
import { RunJournal } from './run.journal.js';
import type { FirstProgress, RunProgress, RunProgressWriter } from './run.progress.store.js';
import type { RunningRun } from './run.store.js';
import { noSteps } from './step-result.store.js';

const run = { tenant: 'acme', id: 'run_1', fence: 1, state: 'running' } as RunningRun;
const at = new Date();
const leaseMs = 30_000;

let written: RunProgress[];
let answers: (RunningRun | undefined)[];
let journal: RunJournal;

const write = (progress: RunProgress): Promise<RunningRun | undefined> => {
  written.push(progress);
  return Promise.resolve(answers.length > 0 ? answers.shift() : run);
};

beforeEach(() => {
  written = [];
  answers = [];
  journal = new RunJournal(run, noSteps, { write, leaseMs } as RunProgressWriter);
});

const step = (id: string, output: Json = id): FinishedStep => ({
  step: id,
  kind: 'map',
  state: 'succeeded',
  output,
  startedAt: at,
  finishedAt: at,
});
const request = (outcome: CallRecord['outcome']) => ({ kind: 'model', number: 1, outcome }) as CallRecord;
const contents = () => written.map(({ steps, unanswered, end }) => [steps.map((one) => one.step).join(), unanswered, end?.state]);

test('outputs are stored with the next call, and the rest with the end', async () => {
  await journal.keep(step('prepare'));
  expect(written).toEqual([]);
  await journal.noteCall('assess');
  await journal.recordCall('assess', request('succeeded'));
  await journal.keep(step('assess'));
  await journal.keep(step('check'));
  await journal.end({ state: 'completed', decision: null, deliveries: [] });
  expect(contents()).toEqual([
    ['prepare', 1, undefined],
    ['assess,check', 0, 'completed'],
  ]);
  expect(written[1]!.calls).toHaveLength(1);
});

test('the result of a call is stored before the next call is made', async () => {
  await journal.noteCall('first');
  await journal.keep(step('first'));
  await journal.noteCall('second');
  expect(contents().at(-1)).toEqual(['first', 1, undefined]);
});

test('the result of a call does not wait for the call of another branch', async () => {
  await Promise.all([journal.noteCall('slow'), journal.noteCall('fast')]);
  await journal.keep(step('fast'));
  expect(contents().at(-1)).toEqual(['fast', 1, undefined]);
});

test('a failed request is stored at once, and its call is not open when the run ends with it', async () => {
  await journal.noteCall('assess');
  await journal.recordCall('assess', request('failed'));
  expect(written.at(-1)!.calls).toHaveLength(1);
  await journal.end({ state: 'released', failure: 'counts' });
  expect(contents().at(-1)).toEqual(['', 0, 'released']);
});

test('a model that was passed over costs no write of its own', async () => {
  await journal.noteCall('assess');
  await journal.recordCall('assess', request('passedOver'));
  expect(written).toHaveLength(1);
  journal.failCall('assess');
  await journal.end({ state: 'released', failure: 'does-not-count' });
  expect(written[1]!.calls).toHaveLength(1);
});

test('a call that failed before any request is not open when the run ends with it', async () => {
  await journal.noteCall('assess');
  journal.failCall('assess');
  await journal.end({ state: 'released', failure: 'does-not-count' });
  expect(contents().at(-1)).toEqual(['', 0, 'released']);
});

test('a call that was broken off stays open, and the next holder counts it', async () => {
  await journal.noteCall('assess');
  await journal.end({ state: 'released', failure: 'does-not-count' });
  expect(contents().at(-1)).toEqual(['', 1, 'released']);
});

test('no call is made once the claim is lost', async () => {
  answers = [undefined];
  await expect(journal.noteCall('assess')).rejects.toThrow(RunLeaseLost);
});

test('no call is made by a process that stood still for longer than its claim, although Postgres said that it may', async () => {
  const clock = vi.spyOn(performance, 'now').mockReturnValue(1_000);
  await journal.noteCall('in time');
  answers = [run];
  const noted = journal.noteCall('assess');
  clock.mockReturnValue(1_000 + leaseMs);
  await expect(noted).rejects.toThrow(RunLeaseLost);
  clock.mockRestore();
});

describe('a run that is new', () => {
  const beginning = { startedAt: at, traceId: null };
  let begun: FirstProgress[];
  let begin: RunProgressWriter['begin'];

  beforeEach(() => {
    begun = [];
    begin = (first) => {
      begun.push(first);
      return Promise.resolve(run);
    };
  });
  const newJournal = (): RunJournal => new RunJournal(run, noSteps, { begin, write: (progress) => write(progress), leaseMs }, beginning);

  test('is stored with its first write, and changed by the later ones', async () => {
    journal = newJournal();
    await journal.keep(step('prepare'));
    expect(journal.isStored).toBe(false);
    await journal.noteCall('assess');
    expect(journal.isStored).toBe(true);
    expect(begun).toMatchObject([{ ...beginning, steps: [{ step: 'prepare' }], unanswered: 1 }]);
    await journal.keep(step('assess'));
    await journal.end({ state: 'completed', decision: null, deliveries: [] });
    expect(contents()).toEqual([['assess', 0, 'completed']]);
  });

  test('makes no call and writes nothing more if its event has runs already', async () => {
    begin = () => Promise.resolve(undefined);
    journal = newJournal();
    await expect(journal.noteCall('assess')).rejects.toThrow(RunLeaseLost);
    expect(journal.isRefused).toBe(true);
    expect(await journal.end({ state: 'released', failure: 'does-not-count' })).toBeUndefined();
    expect(written).toEqual([]);
  });

  test('may be stored if Postgres went away meanwhile, so its end is written as that of a stored one', async () => {
    begin = () => Promise.reject(new StorageUnavailable(new Error('away')));
    journal = newJournal();
    await expect(journal.noteCall('assess')).rejects.toThrow(StorageUnavailable);
    await journal.end({ state: 'released', failure: 'does-not-count' });
    expect(contents()).toEqual([['', 0, 'released']]);
  });

  test('is stored by its end if its first write could not be made', async () => {
    begin = () => Promise.reject(new Error('invalid input syntax'));
    journal = newJournal();
    await expect(journal.end({ state: 'completed', decision: null, deliveries: [] })).rejects.toThrow('invalid input syntax');
    expect(journal.isStored).toBe(false);
  });
});

test('a run goes on from what it will read when it is resumed', async () => {
  expect(Object.is(await journal.keep(step('zero', -0)), 0)).toBe(true);
});

describe('a run with many results', () => {
  test('has them written before it ends, by their number and by their size', async () => {
    for (let n = 0; n < 501; n += 1) await journal.keep(step(`s${n}`, 1));
    expect(written.map(({ steps }) => steps.length)).toEqual([500]);
    await journal.keep(step('large', 'x'.repeat(4 * 1_048_576)));
    expect(written.map(({ steps }) => steps.length)).toEqual([500, 2]);
    await journal.keep(step('last'));
    await journal.end({ state: 'completed', decision: null, deliveries: [] });
    expect(written.map(({ steps }) => steps.map(({ ordinal }) => ordinal).at(-1))).toEqual([499, 501, 502]);
  });

  test('is refused more than 10 000 of them, and a path that no key of a table holds', async () => {
    for (let n = 0; n < 10_000; n += 1) await journal.keep(step(`s${n}`, 1));
    await expect(journal.keep(step('more'))).rejects.toMatchObject({ code: 'flow.runTooLarge' });
    const other = new RunJournal(run, noSteps, { write } as RunProgressWriter);
    await expect(other.keep(step('é'.repeat(501)))).rejects.toThrow('has more than 1000 bytes');
    await other.keep(step('e'.repeat(1_000)));
  });

  test('is refused more than 64 Mi characters in them, those of earlier claims included', async () => {
    const before = { state: 'succeeded', output: 'x', characters: 64 * 1_048_576 - 2 } as const;
    const resumed = new RunJournal(run, { steps: new Map([['before', before]]), reachedAt: new Map() }, { write } as RunProgressWriter);
    await resumed.keep(step('fits', 10));
    await expect(resumed.keep(step('too much', 1))).rejects.toMatchObject({ code: 'flow.runTooLarge' });
  });
});

test('a step that is tried again counts its requests on', async () => {
  for (const _ of [1, 2]) {
    await journal.noteCall('assess');
    await journal.recordCall('assess', { ...request('failed'), number: 1 });
    await journal.recordCall('assess', { ...request('failed'), number: 2 });
  }
  expect(written.flatMap(({ calls }) => calls.map((call) => call.request.number))).toEqual([1, 2, 3, 4]);
});

test('a run that is given up stores the step that failed', async () => {
  journal.noteFailed([{ step: 'route/bad', kind: 'map', failure: { code: 'flow.expressionFailed', message: 'no' } }]);
  await journal.end({ state: 'failed', code: 'flow.expressionFailed', message: 'no' });
  expect(written.at(-1)!.steps).toMatchObject([
    { step: 'route/bad', state: 'failed', failure: { code: 'flow.expressionFailed', message: 'no' } },
  ]);
});
