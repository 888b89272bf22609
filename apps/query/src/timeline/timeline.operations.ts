import { z } from 'zod';
import { entity, enumeration, id, timestamp, valuesOf } from '../operations/shape.js';

const kinds = [
  'received',
  'recorded',
  'runStarted',
  'modelAttempt',
  'stepFinished',
  'runCompleted',
  'runFailed',
  'deliveryScheduled',
  'deliveryAttempt',
  'parked',
  'replayRequested',
  'redeliveryRequested',
] as const;

export const timelineKind = enumeration('TimelineKind', valuesOf(kinds));
export type TimelineKind = z.infer<typeof timelineKind>;

export const timelineEntry = entity(
  'TimelineEntry',
  {
    at: timestamp,
    kind: timelineKind,
    code: z.string().nullable().describe('The failure’s code; null if nothing failed.'),
    runId: id.nullable(),
    step: z.string().nullable(),
    deliveryId: id.nullable(),
    deadLetterId: id.nullable(),
    attempt: z.int().nullable().describe('The number of the attempt, on attempts.'),
    actor: z.string().nullable().describe('Who asked for it, on requests.'),
  },
  { about: 'One thing that happened to an event. The ids name what it happened to.' },
);
