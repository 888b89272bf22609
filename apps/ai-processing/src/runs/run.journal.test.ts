import { beforeEach, expect, test } from 'vitest';
import type { Json } from '#libs/json';
import type { FinishedStep } from '../flows/flow.runner.js';
import type { CallRecord } from '../flows/step.js';
import { RunLeaseLost } from './run.errors.js';
import { RunJournal } from './run.journal.js';
import type { RunProgress, RunProgressWriter } from './run.progress.store.js';
import type { RunningRun } from './run.store.js';

const run = { tenant: 'acme', id: 'run_1', fence: 1, state: 'running' } as RunningRun;
const at = new Date();

let written: RunProgress[];
let answers: (RunningRun | undefined)[];
let journal: RunJournal;

beforeEach(() => {
  written = [];
  answers = [];
  const add = (progress: RunProgress): Promise<RunningRun | undefined> => {
    written.push(progress);
    return Promise.resolve(answers.length > 0 ? answers.shift() : run);
  };
  journal = new RunJournal(run, new Map(), { add } as unknown as RunProgressWriter);
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

test('a run goes on from what it will read when it is resumed', async () => {
  expect(Object.is(await journal.keep(step('zero', -0)), 0)).toBe(true);
});
