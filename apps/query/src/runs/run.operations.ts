import { z } from 'zod';
import { stepKinds } from '#libs/contracts';
import { query } from '../operations/operation.js';
import { entity, enumeration, id, inputObject, json, pageArguments, pageOf, timestamp, valuesOf } from '../operations/shape.js';

export const runState = enumeration('RunState', { running: null, completed: null, failed: null });
export const stepKind = enumeration('StepKind', valuesOf(stepKinds));
export const stepState = enumeration('StepState', { succeeded: null, skipped: null });

export const run = entity(
  'Run',
  {
    id,
    flow: z.string(),
    flowVersion: z.int().describe('The version it started with and keeps.'),
    generation: z.int().describe('0 for the first run of a flow on an event; each replay adds one.'),
    state: runState,
    decision: json.describe('The validated output; null until the run completed.'),
    errorCode: z.string().nullable().describe('Why it failed.'),
    errorMessage: z.string().nullable(),
    startedAt: timestamp,
    finishedAt: timestamp.nullable(),
    traceId: z.string().nullable(),
  },
  { idPrefix: 'run', about: 'One flow on one event, one generation.' },
);
export type RunRow = z.infer<typeof run> & { eventId: string };

export const tokenUsage = entity('TokenUsage', { inputTokens: z.int(), outputTokens: z.int() });
export type TokenUsage = z.infer<typeof tokenUsage>;

export const step = entity('Step', {
  id: id.describe('The step’s name in its flow.'),
  kind: stepKind,
  state: stepState,
  output: json.describe('The first result, which wins for ever; null if the step was skipped.'),
  model: z.string().nullable().describe('The model that was asked, on an `infer` step.'),
  responseModel: z.string().nullable().describe('The model that says it answered.'),
  startedAt: timestamp,
  finishedAt: timestamp,
});

export const modelAttempt = entity(
  'ModelAttempt',
  {
    step: z.string(),
    number: z.int().describe('Counts from 1 within the step.'),
    model: z.string(),
    responseModel: z.string().nullable(),
    providerRequestId: z.string().nullable().describe('The id of the call at the provider.'),
    outcome: z.string(),
    errorCode: z.string().nullable(),
    errorMessage: z.string().nullable(),
    startedAt: timestamp,
    finishedAt: timestamp,
  },
  { about: 'One call of a model.' },
);

export const decision = entity(
  'Decision',
  { flow: z.string(), flowVersion: z.int(), generation: z.int() },
  { about: 'The validated output of a completed run.' },
);

export const runFilter = inputObject('RunFilter', {
  customer: z.string().nullish(),
  flow: z.string().nullish(),
  state: runState.nullish(),
});
export type RunFilter = z.infer<typeof runFilter>;

export const getRun = query({ name: 'run', scope: 'read', input: z.strictObject({ id }), output: run.nullable(), failures: [] });

export const listRuns = query({
  name: 'runs',
  about: 'Runs, the last started first.',
  scope: 'read',
  cost: { weight: 5 },
  input: z.strictObject({ ...pageArguments, filter: runFilter.nullish() }),
  output: pageOf(run),
  failures: [],
});
