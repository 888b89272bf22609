import { z } from 'zod';
import { entity, enumeration, id, timestamp } from '../operations/shape.js';

export const timelineKind = enumeration(
  'TimelineKind',
  {
    received: 'The event arrived.',
    recorded: 'The event was stored and can be queried.',
    runStarted: 'A flow began to work on it.',
    modelAttempt: 'A call of a model ended.',
    modelPassedOver:
      'A model of a route was not called, for the reason in `code`: a budget is spent, it is away, or its rate is limited. A run that looks again and again tells it once.',
    operationAttempt: 'An operation of a connection ended, or was sent and its result was lost.',
    stepBegan: 'A step began: it made the choice that decides about the steps within it, stored its items, called a flow, or it waits.',
    stepFinished: 'A step ended, fell back or was skipped.',
    stepFailed: 'A step failed for good.',
    runDelayed:
      'A run could not go on until something outside of it changed, such as a budget that is spent; `Run.waitingFor` says if it still cannot.',
    reviewRequested: 'A run asks a person.',
    reviewEscalated: 'Nobody had answered, and the review went to the front of the queue.',
    reviewEnded: 'A person decided, nobody did so in time, or the run ended without it.',
    runCompleted: 'A run reached its decision, or the default decision counts; then `code` says why.',
    runFailed: 'A run was given up.',
    deliveryScheduled: 'A delivery was planned.',
    deliveryAttempt: 'An attempt of a delivery ended.',
    parked: 'A record, run or delivery was given up, and has a dead letter.',
    skipped: 'An operator gave a parked record, run or delivery up for good.',
    replayRequested: 'Someone asked for a replay.',
    redeliveryRequested: 'Someone asked for a redelivery.',
  },
  'What a timeline can tell.',
);
export type TimelineKind = z.infer<typeof timelineKind>;

export const timelineEntry = entity(
  'TimelineEntry',
  {
    at: timestamp.describe('When it happened.'),
    kind: timelineKind.describe('What happened.'),
    code: z.string().nullable().describe('The failure’s code; null if nothing failed.'),
    runId: id.nullable().describe('The run, `run_…`; null if it concerns no run.'),
    step: z.string().nullable().describe('The path of the step in its flow; null if it concerns no step.'),
    deliveryId: id.nullable().describe('The delivery, `dlv_…`; null if it concerns no delivery.'),
    deadLetterId: id.nullable().describe('The dead letter, on PARKED and SKIPPED; null otherwise.'),
    attempt: z.int().nullable().describe('The number of the attempt, on attempts.'),
    actor: z
      .string()
      .nullable()
      .describe(
        'Who asked for it, on requests and skips; who decided, on reviews and on steps that have the decision of an earlier review.',
      ),
  },
  { about: 'One thing that happened to an event. The ids name what it happened to.' },
);
