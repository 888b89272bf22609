import { beforeEach, expect, test } from 'vitest';
import type { Json } from '#libs/contracts';
import type { ModelAttempt } from '#libs/models';
import type { FinishedStep } from '../flows/flow.runner.js';
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
const attempt = (outcome: ModelAttempt['outcome']) => ({ number: 1, outcome }) as ModelAttempt;
const contents = () => written.map(({ steps, unanswered, end }) => [steps.map((one) => one.step).join(), unanswered, end?.state]);

test('what was computed is stored with the question that is asked about it, and the rest with the end', async () => {
  await journal.keep(step('prepare'));
  expect(written).toEqual([]);
  await journal.beforeAsking('assess');
  await journal.onModelAttempt('assess', attempt('succeeded'));
  await journal.keep(step('assess'));
  await journal.keep(step('check'));
  await journal.end({ state: 'completed', decision: null, deliveries: [] });
  expect(contents()).toEqual([
    ['prepare', 1, undefined],
    ['assess,check', 0, 'completed'],
  ]);
  expect(written[1]!.attempts).toHaveLength(1);
});

test('an answer is stored before the next question is put', async () => {
  await journal.beforeAsking('first');
  await journal.keep(step('first'));
  await journal.beforeAsking('second');
  expect(contents().at(-1)).toEqual(['first', 1, undefined]);
});

test('an answer does not wait for another branch whose model is still thinking', async () => {
  await Promise.all([journal.beforeAsking('slow'), journal.beforeAsking('fast')]);
  await journal.keep(step('fast'));
  expect(contents().at(-1)).toEqual(['fast', 1, undefined]);
});

test('a failed call is stored at once, and no answer is missed where the run ends with it', async () => {
  await journal.beforeAsking('assess');
  await journal.onModelAttempt('assess', attempt('failed'));
  expect(written.at(-1)!.attempts).toHaveLength(1);
  await journal.end({ state: 'released', failure: 'counts' });
  expect(contents().at(-1)).toEqual(['', 0, 'released']);
});

test('a question that was broken off stays open for the next holder to count', async () => {
  await journal.beforeAsking('assess');
  await journal.end({ state: 'released', failure: 'does-not-count' });
  expect(contents().at(-1)).toEqual(['', 1, 'released']);
});

test('nothing is asked once the claim is lost', async () => {
  answers = [undefined];
  await expect(journal.beforeAsking('assess')).rejects.toThrow(RunLeaseLost);
});

test('a run goes on from what it will read when it is resumed', async () => {
  expect(Object.is(await journal.keep(step('zero', -0)), 0)).toBe(true);
});
