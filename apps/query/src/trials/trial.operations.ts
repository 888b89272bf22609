import { z } from 'zod';
import { longestTrialSeconds, looksPerTriedEvent, mostEventsOfTrial, trialKinds } from '#libs/contracts';
import { eventFilter } from '../events/event.operations.js';
import { command, query } from '../operations/operation.js';
import type { InputOf } from '../operations/operation.js';
import {
  count,
  entity,
  enumeration,
  id,
  idempotencyKey,
  inputObject,
  json,
  oneOf,
  pageArguments,
  pageOf,
  timestamp,
  valuesOf,
} from '../operations/shape.js';
import { stepFailure, stepKind, stepState } from '../runs/run.operations.js';

export const trialKind = enumeration(
  'TrialKind',
  valuesOf(trialKinds, { try: 'One event.', backtest: 'Many events that came.' }),
  'How many events a trial is of.',
);
export const trialState = enumeration(
  'TrialState',
  {
    running: 'Under way, or waiting for its turn.',
    completed: 'It has its results; see `stoppedBy` if it ended before its last event.',
    cancelled: 'It was cancelled. Its results until then are kept.',
    failed: 'It stopped at an error; see `errorCode`.',
  },
  'How far a trial got.',
);
export const trialStop = enumeration(
  'TrialStop',
  {
    cost: 'Its calls of models had cost what they may.',
    time: 'Its time was over.',
    looks: `It had looked at as many events as it may: ${looksPerTriedEvent} for each that it may take.`,
  },
  'Why a trial ended before its last event.',
);
export const trialChange = enumeration(
  'TrialChange',
  {
    same: 'The flow decides what was decided; or it fails with the same code.',
    different: 'The decision or a delivery differs, see `differences`.',
    new: 'There is no run that has ended to compare with.',
    notRun: 'The flow would not run on the event, on which it has run.',
    failed: 'The flow fails.',
    recovered: 'The flow decides, where the stored run failed.',
  },
  'How the result of a trial compares with what is stored.',
);
export const trialObstacle = enumeration(
  'TrialObstacle',
  {
    failed: 'The flow failed.',
    acts: 'A step acts in another system, which a trial does not.',
    givenOutputs: 'Outputs of steps were given.',
    tooLarge: 'The results of its steps are too large to be kept.',
    part: 'Only one step was tried.',
    sample: 'The event never came.',
    document: 'The flow is not applied.',
    notRun: 'The flow does not run on the event.',
  },
  'Why a result cannot become a generation of its event.',
);

export const reviewSource = enumeration(
  'ReviewSource',
  {
    stored:
      'A person decided the same question of the stored run: the same proposal with the same schema and, of a rejection, the same default.',
    otherQuestion: 'It expired in the trial: a person decided at this step of the stored run, but on another question.',
    nobody: 'It expired in the trial: no person decided at this step of the stored run.',
  },
  'Where the decision of a review comes from in a trial.',
);

export const trial = entity(
  'Trial',
  {
    id: id.describe('The id, `trl_…`, from `tryFlow` or `startBacktest`.'),
    kind: trialKind.describe('Whether it is of one event or of many.'),
    flow: z.string().describe('The name of the flow.'),
    flowVersion: z.int().nullable().describe('The version that is tried; null: a document that is not applied.'),
    step: z.string().nullable().describe('The only step that is tried; null: all.'),
    state: trialState.describe('Whether it is under way, or how it ended.'),
    stoppedBy: trialStop.nullable().describe('Why it ended before its last event; null if it did not.'),
    maxEvents: z.int().describe('The most events that it takes.'),
    maxSeconds: z.int().describe('The longest time that it takes.'),
    scanned: z.int().describe('Events that it looked at.'),
    skipped: z.int().describe('Of these, those that the flow neither runs on nor has run on. They have no result.'),
    actor: z.string().describe('Who asked for it.'),
    askedAt: timestamp.describe('When it was taken up. A backtest takes events that came before.'),
    startedAt: timestamp.nullable().describe('When it got its turn; null if it waits for that.'),
    finishedAt: timestamp.nullable().describe('When it ended; null while it runs.'),
    errorCode: z.string().nullable().describe('Why it failed, as a code; null unless it failed.'),
    errorMessage: z.string().nullable().describe('Why it failed, for a person; null unless it failed.'),
  },
  {
    idPrefix: 'trl',
    about: 'A flow that is carried out on events without effects. It is kept for 7 days, and of a tenant the latest 20 are.',
  },
);
export type TrialRow = z.infer<typeof trial>;

export const trialSummary = entity(
  'TrialSummary',
  {
    events: z.int().describe('Events with a result.'),
    same: z.int().describe('Of these, SAME.'),
    different: z.int().describe('DIFFERENT.'),
    new: z.int().describe('NEW.'),
    notRun: z.int().describe('NOT_RUN.'),
    failed: z.int().describe('FAILED.'),
    recovered: z.int().describe('RECOVERED.'),
    promotable: z.int().describe('Results without an obstacle.'),
    storedReviews: z.int().describe('Reviews that have the decision of a person from the stored run, see `ReviewSource`.'),
    expiredReviews: z.int().describe('Reviews that expired in the trial, because there is no such decision.'),
    medianDurationMs: z.number().nullable().describe('Half of the events took at most so long; null if there is none.'),
    baseMedianDurationMs: z.number().nullable().describe('The same of the stored runs, their waits included.'),
  },
  { about: 'The results of a trial so far.' },
);
export type TrialSummaryRow = z.infer<typeof trialSummary> & {
  trialId: string;
  costs: Record<string, number>;
  baseCosts: Record<string, number>;
};

export const trialDifference = entity(
  'TrialDifference',
  {
    path: z.string().describe('Where: such as `decision.lines[2].sku`, or `deliveries.tell to crm.amount`.'),
    before: json.describe('What stands there in the stored run; null if nothing does.'),
    after: json.describe('What the flow yields there; null if it is nothing.'),
  },
  { about: 'One place at which the result of a trial differs from the stored run.' },
);

export const trialDelivery = entity(
  'TrialDelivery',
  {
    step: z.string().describe('The path of the step.'),
    destination: z.string().describe('The destination.'),
    payload: json.describe('What would be sent.'),
  },
  { about: 'A delivery that a run would plan. It is never sent.' },
);

export const triedStep = entity(
  'TriedStep',
  {
    id: id.describe('The path of the step, as of a step of a run.'),
    kind: stepKind.describe('What it does.'),
    state: stepState.describe('How it ended.'),
    input: json.describe('What it asked a model or another system; null if it asked nobody.'),
    output: json.describe('Its output; null if it was skipped.'),
    model: z.string().nullable().describe('The model that was asked.'),
    failure: stepFailure.nullable().describe('Why it failed, or what it fell back from; null if it did not.'),
    durationMs: z.int().describe('How long it took.'),
    reviewSource: reviewSource.nullable().describe('Of a `review` that asks: where its decision comes from. Null of other steps.'),
  },
  { about: 'A step that a trial did. Those whose outputs were given or stored are not among them.' },
);
export type TriedStepRow = z.infer<typeof triedStep> & { costs: Record<string, number>; acts: boolean; reviewId: string | null };

export const trialOutcome = entity(
  'TrialOutcome',
  {
    eventId: z.string().describe('The id of the event; `evt_sample`: one that never came.'),
    change: trialChange.describe('How it compares with the stored run.'),
    isMatch: z.boolean().describe('False if no run would begin on the event.'),
    decision: json.describe('What the flow decides; of one step its output. Null if it fails.'),
    deliveries: z.array(trialDelivery).describe('What it would deliver.'),
    differences: z.array(trialDifference).describe('The first 50 places at which it differs from the stored run.'),
    differenceCount: z.int().describe('How many there are.'),
    errorCode: z.string().nullable().describe('Why the flow fails, as a code; null if it does not.'),
    errorMessage: z.string().nullable().describe('Why the flow fails, for a person; null if it does not.'),
    durationMs: z.int().nullable().describe('How long the flow took; null if it did not run.'),
    baseDurationMs: z.int().nullable().describe('How long the stored run took, its waits included; null if there is none.'),
    obstacle: trialObstacle.nullable().describe('Why the result cannot become a generation of the event; null if it can.'),
    waits: z
      .boolean()
      .describe(
        'True if a step waits, for a time, an event or a person. Its generation has the steps before, as they are shown, and goes on by itself: what is shown behind them is what came of waits that took no time and of reviews that expired. A review with the decision of a person from the stored run makes nothing wait.',
      ),
    storedReviews: z
      .int()
      .describe(
        'How many of its reviews have the decision of a person from the stored run. A promotion asks nobody again, unless the review stands behind a wait.',
      ),
    expiredReviews: z.int().describe('How many of its reviews expired, because there is no such decision.'),
  },
  { about: 'What a flow does on one event.' },
);
export type TrialOutcomeRow = z.infer<typeof trialOutcome> & {
  trialId: string;
  ordinal: number;
  baseRunId: string | null;
  promotedRunId: string | null;
  costs: Record<string, number>;
  baseCosts: Record<string, number>;
};

export const getTrial = query({
  name: 'trial',
  about: 'A trial by its id; null if there is none.',
  scope: 'read',
  input: z.strictObject({ id: id.describe('The id of the trial, `trl_…`.') }),
  output: trial.nullable(),
  failures: [],
});

export const trialFilter = inputObject(
  'TrialFilter',
  {
    kind: trialKind.nullish().describe('Only of this kind.'),
    flow: z.string().nullish().describe('Only of this flow.'),
    state: trialState.nullish().describe('Only in this state.'),
  },
  'Which trials a list has. All conditions given must hold.',
);
export type TrialFilter = z.infer<typeof trialFilter>;

export const listTrials = query({
  name: 'trials',
  about: 'Trials, the last asked for first.',
  scope: 'read',
  cost: { weight: 5 },
  input: z.strictObject({
    ...pageArguments,
    filter: trialFilter.nullish().describe('Only the rows that meet all of these conditions; default: every row.'),
  }),
  output: pageOf(trial),
  failures: [],
});

export const trialOutcomeFilter = inputObject(
  'TrialOutcomeFilter',
  {
    changes: z
      .array(trialChange)
      .max(6, { error: 'may have at most 6 entries' })
      .nullish()
      .describe('Only those that compare so, up to 6.'),
    event: id.nullish().describe('Only that of this event.'),
  },
  'Which results of a trial a list has. All conditions given must hold.',
);
export type TrialOutcomeFilter = z.infer<typeof trialOutcomeFilter>;

export const listTrialOutcomes = query({
  name: 'trialOutcomes',
  about: 'The results of a trial, in the order in which they came.',
  scope: 'read',
  cost: { weight: 5 },
  input: z.strictObject({
    ...pageArguments,
    trial: id.describe('The id of the trial, `trl_…`.'),
    filter: trialOutcomeFilter.nullish().describe('Only the rows that meet all of these conditions; default: every row.'),
  }),
  output: pageOf(trialOutcome),
  failures: [],
});

const triedFlow = oneOf(
  'TriedFlow',
  {
    applied: inputObject(
      'AppliedFlow',
      {
        name: z.string().describe('The name of the flow.'),
        version: z.int().nullish().describe('One of its versions; default: the current one.'),
      },
      'A flow that was applied.',
    )
      .optional()
      .describe('A flow that was applied.'),
    document: json.optional().describe('A Flow document that need not be applied; it needs the scope ADMIN, as apply does.'),
  },
  'The flow that is tried. Exactly one field is given.',
);

const outputs = json
  .nullish()
  .describe(
    'An object: outputs that take the place of steps, by their paths. Those steps are not done. A step that acts in another system needs one if the stored run has none.',
  );

const startFailures = ['flow.unknown', 'event.unknown', 'document.invalid', 'request.idempotencyMismatch', 'log.unavailable'] as const;
const startResult = { trialId: id.describe('The trial, which can be queried a moment later.') };

export const tryFlow = command({
  name: 'tryFlow',
  about:
    'Carries out a flow on one event without effects: models are asked and systems are read, nothing is delivered, nothing acts, nothing waits. The trial has each step with its\ninput and output. The calls of models cost what they cost. With `step`, only that step is done; the results of the others are those of the stored run, as far as it has them.',
  scope: 'operate',
  cost: { weight: 100 },
  input: z.strictObject({
    flow: triedFlow.describe('The flow.'),
    event: oneOf(
      'TriedEvent',
      {
        id: id.optional().describe('An event of the tenant, `evt_…`. It need not be one that the flow runs on.'),
        sample: inputObject(
          'SampleEvent',
          {
            type: z.string().describe('Its type.'),
            source: z.string().describe('Its source.'),
            customer: z.string().describe('Its customer.'),
            data: json.describe('Its data.'),
          },
          'An event that never came.',
        )
          .optional()
          .describe('An event that never came.'),
      },
      'The event that a flow is tried on. Exactly one field is given.',
    ).describe('The event.'),
    step: z.string().nullish().describe('The id of the only step that is done, from the list of the flow itself.'),
    outputs,
    idempotencyKey,
  }),
  result: startResult,
  aboutResult: 'The trial is ordered.',
  failures: startFailures,
});
export type TryFlowInput = InputOf<typeof tryFlow>;

export const startBacktest = command({
  name: 'startBacktest',
  about:
    'Carries out a flow on the latest events that it runs on, without effects, as `tryFlow` does on one, and compares the results with what was decided. It has the low lane of limited\nmodels. Of a tenant one backtest is under way at a time, and 20 trials may wait.',
  scope: 'operate',
  cost: { weight: 200 },
  input: z.strictObject({
    flow: triedFlow.describe('The flow.'),
    filter: eventFilter.nullish().describe('Only events that meet all of these conditions; default: all that the flow runs on.'),
    last: z
      .int()
      .default(100)
      .describe(`The most events, 1 to ${mostEventsOfTrial}. At most ${looksPerTriedEvent} times as many are looked at.`),
    maxSeconds: z.int().default(900).describe(`The longest time, 1 to ${longestTrialSeconds} s.`),
    maxCost: inputObject(
      'CostLimit',
      {
        amount: z.string().describe('A decimal number with up to nine places, such as `2.50`.'),
        currency: z.string().describe('A code of ISO 4217, such as `USD`.'),
      },
      'A limit of costs.',
    )
      .nullish()
      .describe(
        'No further event is taken once the calls of models have cost this much; up to four are under way then. Default: no limit.',
      ),
    outputs,
    idempotencyKey,
  }),
  result: startResult,
  aboutResult: 'The backtest is ordered.',
  failures: startFailures,
});
export type StartBacktestInput = InputOf<typeof startBacktest>;

export const promoteTrial = command({
  name: 'promoteTrial',
  about:
    'Makes the outcomes of a trial count: each becomes the next generation of its event, with the stored decision and outputs, and its deliveries are made. No model is asked. One\nthat `waits` has the stored outputs of the steps before, and goes on by itself: the review is opened, the time is waited. Decisions of people that it has from the stored run stand. The older\nevents of a customer come first. Only the outcomes of a flow that is applied and without an obstacle can be promoted, each once. The same `idempotencyKey` asks for the same operation\nhowever often it is sent.',
  scope: 'operate',
  cost: { weight: 200 },
  input: z.strictObject({
    id: id.describe('The id of the trial, `trl_…`.'),
    onlyChanged: z
      .boolean()
      .default(true)
      .describe('False: also outcomes that are as they were decided, so that the same is delivered again under new effect keys.'),
    ratePerSecond: z.int().default(50).describe('Outcomes promoted per second, 1 to 1000.'),
    dryRun: z.boolean().default(false).describe('Only count: nothing is ordered, and the key is not used up.'),
    idempotencyKey,
  }),
  result: {
    matched: count.describe('How many outcomes would be promoted now.'),
    storedReviews: z
      .int()
      .describe(
        'How many decisions of people these outcomes have from the stored runs: nobody is asked about them again. The audit has it, too.',
      ),
    operationId: id.nullable().describe('The bulk operation that promotes them; null for a dry run.'),
  },
  failures: ['trial.unknown', 'request.idempotencyMismatch', 'log.unavailable'],
});
export type PromoteTrialInput = InputOf<typeof promoteTrial>;

export const cancelTrial = command({
  name: 'cancelTrial',
  about:
    'Ends a trial: calls that are under way are broken off within seconds, and its results until then are kept. One that is over stays as it is.',
  scope: 'operate',
  cost: { weight: 20 },
  input: z.strictObject({ id: id.describe('The id of the trial, `trl_…`.'), idempotencyKey }),
  result: { trial: trial.describe('As it was when the cancel was ordered.') },
  aboutResult: 'The cancel is ordered.',
  failures: ['trial.unknown', 'request.idempotencyMismatch', 'log.unavailable'],
});
export type CancelTrialInput = InputOf<typeof cancelTrial>;
