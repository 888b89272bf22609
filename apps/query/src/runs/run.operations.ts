import { z } from 'zod';
import { describedStepKinds } from '#libs/contracts';
import { command, query } from '../operations/operation.js';
import type { InputOf } from '../operations/operation.js';
import {
  commandId,
  entity,
  enumeration,
  id,
  idempotencyKey,
  inputObject,
  json,
  pageArguments,
  pageOf,
  timestamp,
} from '../operations/shape.js';

export const runState = enumeration(
  'RunState',
  {
    running: 'Under way, or waiting for another try; see `waitingFor`.',
    waiting: 'A step of it waits, see `waits`: nothing of it is at work until then.',
    completed: 'It reached its decision.',
    failed: 'It was given up, or cancelled; see `errorCode`.',
  },
  'How far a run got.',
);
export const stepKind = enumeration('StepKind', describedStepKinds, 'The kind of a step, which says what it does.');
export const stepState = enumeration(
  'StepState',
  {
    began:
      'It began the steps within it. `output` is what decides about them: the choice of a branch, the items, the version of a called flow.',
    succeeded: 'It has its output.',
    skipped: 'Its condition `when` was not true.',
    failed: 'It failed for good; see `failure`. The id ends with `:error` if the flow handles it.',
  },
  'How a step ended, or that it began steps within it.',
);

export const run = entity(
  'Run',
  {
    id: id.describe('The id, `run_…`; it begins with the time at which the run was planned.'),
    flow: z.string().describe('The name of its flow.'),
    flowVersion: z.int().describe('The version it started with and keeps.'),
    generation: z.int().describe('0 for the first run of a flow on an event; each replay adds one.'),
    state: runState.describe('How far it got.'),
    decision: json.describe('The validated output, or the default decision; null until the run completed.'),
    defaultReason: z
      .string()
      .nullable()
      .describe('Why its decision is the default one, as a code; null if the flow decided, and until the run completed.'),
    decideBy: timestamp.nullable().describe('The time by which its caller needed the decision; null if nobody waited.'),
    errorCode: z.string().nullable().describe('Why it failed, as a code; null unless it failed.'),
    errorMessage: z.string().nullable().describe('Why it failed, for a person; null unless it failed.'),
    startedAt: timestamp.describe('When it began.'),
    finishedAt: timestamp.nullable().describe('When it completed or was given up; null while it runs.'),
    traceId: z.string().nullable().describe('The id of its trace; null if there was none.'),
  },
  { idPrefix: 'run', about: 'One flow on one event, one generation.' },
);
export type RunRow = z.infer<typeof run> & { eventId: string };

export const tokenUsage = entity(
  'TokenUsage',
  {
    inputTokens: z.int().describe('Tokens that the model read.'),
    outputTokens: z.int().describe('Tokens that the model wrote.'),
  },
  { about: 'The tokens of model calls, as the provider counts them.' },
);
export type TokenUsage = z.infer<typeof tokenUsage>;

export const modelCost = entity(
  'ModelCost',
  {
    amount: z.string().describe('A decimal number with up to nine places, such as `0.000425`.'),
    currency: z.string().describe('A code of ISO 4217, such as `USD`.'),
  },
  { about: 'What calls of models cost, by the prices in the documents of their providers.' },
);
export type ModelCost = z.infer<typeof modelCost>;

export const stepFailure = entity(
  'StepFailure',
  {
    code: z.string().describe('The code of the failure.'),
    message: z.string().describe('The reason, for a person.'),
  },
  { about: 'Why a step failed.' },
);

export const step = entity(
  'Step',
  {
    id: id.describe(
      'The step’s path: its id in the flow, behind the ids of the steps around it, and the keys of items, such as `orders/4711/tell`. What a step began with has a word behind a colon, such as `route:choice`, and so has a failure that the flow handles: `assess:error`.',
    ),
    kind: stepKind.describe('What it does.'),
    state: stepState.describe('How it ended.'),
    output: json.describe('The first result, which wins for ever; null if the step was skipped.'),
    model: z.string().nullable().describe('The model that was asked, on an `infer` step.'),
    responseModel: z.string().nullable().describe('The model that says it answered.'),
    failure: stepFailure
      .nullable()
      .describe('Why it failed; on a step that succeeded: the failure that it fell back from, by its `onError`. Null if it did not fail.'),
    startedAt: timestamp.describe('When it began.'),
    finishedAt: timestamp.describe('When it ended.'),
  },
  { about: 'A finished step of a run, or one that began the steps within it.' },
);

export const waitReason = enumeration(
  'WaitReason',
  { elapsed: 'Its time came.', event: 'An event arrived that may be the one: the run looks, and waits on if it is not.' },
  'Why a wait ended.',
);

export const runWait = entity(
  'RunWait',
  {
    step: z.string().describe('The id of the step, behind those of the steps around it.'),
    forEvent: z.boolean().describe('True if an event can end it before its time comes.'),
    dueAt: timestamp.describe('When its time comes.'),
    beganAt: timestamp.describe('When the run began to wait.'),
    endedAt: timestamp.nullable().describe('When it ended; null while it goes on.'),
    reason: waitReason.nullable().describe('Why it ended; null while it goes on, and if its run was cancelled.'),
  },
  { about: 'The wait of a step of a run.' },
);

export const runDelay = entity(
  'RunDelay',
  {
    step: z.string().nullable().describe('The path of the step that cannot go on; null if it is none.'),
    code: z.string().describe('The code of the failure that has to pass, such as `model.budgetSpent`.'),
    message: z.string().describe('The reason, for a person.'),
    budget: z.string().nullable().describe('The name of the Budget document that is spent; null if it is another reason.'),
    since: timestamp.describe('When the step could not go on for the first time.'),
    until: timestamp
      .nullable()
      .describe(
        'When it passes by itself, such as the end of the month of a budget; null if that is not known. It may pass before: a budget can be raised.',
      ),
  },
  { about: 'Why a run cannot go on, although nothing is wrong with it. It looks again by itself, which uses up no try.' },
);

export const modelAttempt = entity(
  'ModelAttempt',
  {
    step: z.string().describe('The path of the step that asked.'),
    number: z.int().describe('Counts from 1 within the step; models that were passed over count, too.'),
    provider: z.string().nullable().describe('The name of the ModelProvider document; null: the provider of the installation.'),
    model: z.string().describe('The model that was asked, or passed over.'),
    responseModel: z.string().nullable().describe('The model that says it answered; null if it did not say.'),
    providerRequestId: z.string().nullable().describe('The id of the call at the provider.'),
    outcome: z.string().describe('`succeeded`, `failed`, or `passedOver`: a model of a route that was not called.'),
    errorCode: z.string().nullable().describe('Why it failed or was passed over, as a code; null if it succeeded.'),
    errorMessage: z.string().nullable().describe('Why it failed or was passed over, for a person; null if it succeeded.'),
    budget: z
      .string()
      .nullable()
      .describe(
        'The name of the Budget document that is spent, and for which the model was passed over; null if it is another reason, or none.',
      ),
    startedAt: timestamp.describe('When the request began, or the model was passed over.'),
    finishedAt: timestamp.describe('When it ended; the same time for a model that was passed over.'),
  },
  {
    about:
      'One call of a model, or the note that a route passed a model over. A run that looks again and again has one note for each reason.',
  },
);

export const operationOutcome = enumeration(
  'OperationOutcome',
  {
    succeeded: 'The system did it.',
    failed: 'The system certainly did not do it.',
    uncertain: 'It failed, and may have taken effect all the same.',
    unknown: 'It is under way, or its result was lost with the process that sent it.',
  },
  'How an attempt of an operation ended.',
);

export const operationAttempt = entity(
  'OperationAttempt',
  {
    step: z.string().describe('The path of the step that sent it.'),
    connection: z.string().describe('The name of the connection.'),
    operation: z.string().describe('The operation of its connector.'),
    outcome: operationOutcome.describe('How it ended.'),
    status: z.int().nullable().describe('The status of the response; null if there was none.'),
    responseExcerpt: z.string().nullable().describe('The start of the response, without credentials; null if there was none.'),
    errorCode: z.string().nullable().describe('Why it failed, as a code; null if it did not.'),
    errorMessage: z.string().nullable().describe('Why it failed, for a person; null if it did not.'),
    startedAt: timestamp.describe('When it began.'),
    finishedAt: timestamp.nullable().describe('When it ended; null if that is not known.'),
  },
  { about: 'One attempt of an operation that a step sent to another system. Outputs that were used again are none.' },
);

export const decision = entity(
  'Decision',
  {
    flow: z.string().describe('The name of the flow that decided.'),
    flowVersion: z.int().describe('The version of the flow.'),
    generation: z.int().describe('The generation of the run: 0 for the first.'),
    decideBy: timestamp.nullable().describe('The time by which its caller needed it; null if nobody waited.'),
  },
  { about: 'The validated output of a completed run, or its default decision.' },
);

export const runFilter = inputObject(
  'RunFilter',
  {
    customer: z.string().nullish().describe('The key of a customer.'),
    flow: z.string().nullish().describe('The name of a flow.'),
    state: runState.nullish().describe('Only runs in this state.'),
  },
  'Which runs a list has. All conditions given must hold.',
);
export type RunFilter = z.infer<typeof runFilter>;

export const getRun = query({
  name: 'run',
  about: 'A run by its id; null if there is none.',
  scope: 'read',
  input: z.strictObject({ id: id.describe('The id of the run, `run_…`.') }),
  output: run.nullable(),
  failures: [],
});

export const listRuns = query({
  name: 'runs',
  about: 'Runs, the last started first.',
  scope: 'read',
  cost: { weight: 5 },
  input: z.strictObject({
    ...pageArguments,
    filter: runFilter.nullish().describe('Only the rows that meet all of these conditions; default: every row.'),
  }),
  output: pageOf(run),
  failures: [],
});

const longestReason = 500;

export const cancelRun = command({
  name: 'cancelRun',
  about:
    'Ends a run that has not ended: one that waits, or one that is tried again and again. It fails with `run.cancelled`, without a dead letter; nothing of it\nis delivered, and no later event is held for it. If a caller waits for its decision, the default decision counts at once, with its deliveries. While a process works on it, the command waits. The same `idempotencyKey` asks for the same however often it\nis sent, and a run that is cancelled already may be cancelled again.',
  scope: 'operate',
  cost: { weight: 20 },
  input: z.strictObject({
    id: id.describe('The id of the run, `run_…`.'),
    reason: z
      .string()
      .trim()
      .min(1, { error: 'must not be empty' })
      .max(longestReason, { error: `must have at most ${longestReason} characters` })
      .nullish()
      .describe('Why, for people who look at the run: at most 500 characters.'),
    idempotencyKey,
  }),
  result: { commandId, run: run.describe('As it was when the command was given.') },
  aboutResult: 'The command is on the log; the run shows when it has ended.',
  failures: ['run.unknown', 'run.finished', 'request.idempotencyMismatch', 'log.unavailable'],
});
export type CancelRunInput = InputOf<typeof cancelRun>;
