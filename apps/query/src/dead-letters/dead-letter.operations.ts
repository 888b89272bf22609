import { z } from 'zod';
import { command, query } from '../operations/operation.js';
import type { InputOf } from '../operations/operation.js';
import { entity, enumeration, id, idempotencyKey, inputObject, pageArguments, pageOf, timestamp } from '../operations/shape.js';

export const deadLetterKind = enumeration('DeadLetterKind', {
  record: 'A record of the log that nobody could process.',
  run: null,
  delivery: null,
});
export const deadLetterResolution = enumeration('DeadLetterResolution', {
  replayed: 'A later generation of the run completed.',
  redelivered: 'The delivery arrived after all.',
  retried: 'The record was handled after all.',
  skipped: 'An operator gave it up.',
});
export const holdReason = enumeration('HoldReason', {
  poison: 'A record, or a run of it, was given up.',
  overflow: 'There are more records than memory has room for. It ends by itself.',
});

export const deadLetter = entity(
  'DeadLetter',
  {
    id,
    kind: deadLetterKind,
    customer: z.string(),
    code: z.string(),
    message: z.string(),
    position: z.string().nullable().describe('The position of the record in the log, for kind RECORD: `topic/partition/offset`.'),
    createdAt: timestamp,
    resolvedAt: timestamp.nullable().describe('When it was put right, or given up for good.'),
    resolution: deadLetterResolution.nullable().describe('Null while it is not resolved.'),
  },
  { idPrefix: 'dlq', about: 'A record, run or delivery that was given up, with its reason.' },
);
export type DeadLetterRow = z.infer<typeof deadLetter> & { eventId: string | null; runId: string | null; deliveryId: string | null };

export const hold = entity(
  'Hold',
  {
    group: z.string().describe('The consumer group: `flows` for runs, `deliveries` for what follows from decisions.'),
    topic: z.string(),
    customer: z.string(),
    reason: holdReason,
    retryRequestedAt: timestamp.nullable(),
    createdAt: timestamp,
    heldRecords: z.int().describe('The failed record included.'),
  },
  { about: 'Records of one customer that wait, in the order of the log, until something that failed before them is settled.' },
);
export type HoldRow = z.infer<typeof hold> & { deadLetterId: string | null };

export const deadLetterFilter = inputObject('DeadLetterFilter', {
  customer: z.string().nullish(),
  kind: deadLetterKind.nullish(),
  code: z.string().nullish(),
  resolved: z.boolean().nullish().describe('False: those that still wait for an operator.'),
  flow: z.string().nullish().describe('Of runs of this flow, and of their deliveries.'),
  destination: z.string().nullish().describe('Of deliveries to this destination.'),
  createdFrom: timestamp.nullish(),
  createdBefore: timestamp.nullish(),
});
export type DeadLetterFilter = z.infer<typeof deadLetterFilter>;

export const getDeadLetter = query({
  name: 'deadLetter',
  scope: 'read',
  input: z.strictObject({ id }),
  output: deadLetter.nullable(),
  failures: [],
});

export const listDeadLetters = query({
  name: 'deadLetters',
  about: 'Everything that was given up, the last first.',
  scope: 'read',
  cost: { weight: 5 },
  input: z.strictObject({ ...pageArguments, filter: deadLetterFilter.nullish() }),
  output: pageOf(deadLetter),
  failures: [],
});

const settlement = {
  scope: 'operate',
  cost: { weight: 20 },
  inputName: 'SettleDeadLetterInput',
  input: z.strictObject({ id, idempotencyKey }),
  result: { commandId: id, deadLetter },
  aboutResult: 'The command is on the log; the dead letter shows when it is resolved.',
} as const;

export const skipDeadLetter = command({
  ...settlement,
  name: 'skipDeadLetter',
  about:
    'Gives a dead letter up for good: the record, run or delivery is not tried again, and what waits behind it goes on. The same `idempotencyKey` asks\nfor the same however often it is sent.',
  failures: ['deadLetter.unknown', 'deadLetter.resolved', 'request.idempotencyMismatch', 'log.unavailable'],
});

export const retryDeadLetter = command({
  ...settlement,
  name: 'retryDeadLetter',
  about:
    'Tries what failed again: a record is handled again, a run is replayed as a new generation, a delivery is redelivered. When that succeeds the dead\nletter is resolved, and what waits behind it goes on in order.',
  failures: ['deadLetter.unknown', 'deadLetter.resolved', 'deadLetter.notHeld', 'request.idempotencyMismatch', 'log.unavailable'],
});
export type SettleDeadLetterInput = InputOf<typeof skipDeadLetter>;
