import { z } from 'zod';
import { command, query } from '../operations/operation.js';
import type { InputOf } from '../operations/operation.js';
import { commandId, entity, enumeration, id, idempotencyKey, inputObject, pageArguments, pageOf, timestamp } from '../operations/shape.js';

export const deadLetterKind = enumeration(
  'DeadLetterKind',
  {
    record: 'A record of the log that nobody could process.',
    run: 'A run that was given up.',
    delivery: 'A delivery that was given up.',
  },
  'The kind of work that was given up.',
);
export const deadLetterResolution = enumeration(
  'DeadLetterResolution',
  {
    replayed: 'A later generation of the run completed.',
    redelivered: 'The delivery arrived after all.',
    retried: 'The record was handled after all.',
    skipped: 'An operator gave it up.',
    superseded: 'A later generation of the run was given up, too: its dead letter takes the place of this one.',
  },
  'How a dead letter was settled.',
);
export const holdReason = enumeration(
  'HoldReason',
  {
    poison: 'A record, or a run of it, was given up.',
    overflow: 'There are more records than memory has room for. It ends by itself.',
  },
  'Why records of a customer wait.',
);

export const deadLetter = entity(
  'DeadLetter',
  {
    id: id.describe('The id, for `skipDeadLetter` and `retryDeadLetter`.'),
    kind: deadLetterKind.describe('What was given up.'),
    customer: z.string().describe('The key of the customer that it concerns.'),
    code: z.string().describe('The code of the failure, from the closed list in `docs/failures.md`.'),
    message: z.string().describe('What went wrong, for a person.'),
    position: z.string().nullable().describe('The position of the record in the log, for kind RECORD: `topic/partition/offset`.'),
    createdAt: timestamp.describe('When it was given up.'),
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
    topic: z.string().describe('The topic of the log that the records stand on.'),
    customer: z.string().describe('The key of the customer whose records wait.'),
    reason: holdReason.describe('Why they wait.'),
    retryRequestedAt: timestamp.nullable().describe('When an operator asked to try the failed record again; null if nobody did.'),
    createdAt: timestamp.describe('When the hold began.'),
    heldRecords: z.int().describe('The failed record included.'),
  },
  { about: 'Records of one customer that wait, in the order of the log, until something that failed before them is settled.' },
);
export type HoldRow = z.infer<typeof hold> & { deadLetterId: string | null };

export const deadLetterFilter = inputObject(
  'DeadLetterFilter',
  {
    customer: z.string().nullish().describe('The key of a customer.'),
    kind: deadLetterKind.nullish().describe('Only what is of this kind.'),
    code: z.string().nullish().describe('Only failures with this code.'),
    resolved: z.boolean().nullish().describe('False: those that still wait for an operator.'),
    flow: z.string().nullish().describe('Of runs of this flow, and of their deliveries.'),
    destination: z.string().nullish().describe('Of deliveries to this destination.'),
    createdFrom: timestamp.nullish().describe('Given up at this time or later.'),
    createdBefore: timestamp.nullish().describe('Given up before this time.'),
  },
  'Which dead letters a list has. All conditions given must hold.',
);
export type DeadLetterFilter = z.infer<typeof deadLetterFilter>;

export const getDeadLetter = query({
  name: 'deadLetter',
  about: 'A dead letter by its id; null if there is none.',
  scope: 'read',
  input: z.strictObject({ id: id.describe('The id of the dead letter.') }),
  output: deadLetter.nullable(),
  failures: [],
});

export const listDeadLetters = query({
  name: 'deadLetters',
  about: 'Everything that was given up, the last first.',
  scope: 'read',
  cost: { weight: 5 },
  input: z.strictObject({
    ...pageArguments,
    filter: deadLetterFilter.nullish().describe('Only the rows that meet all of these conditions; default: every row.'),
  }),
  output: pageOf(deadLetter),
  failures: [],
});

const settlement = {
  scope: 'operate',
  cost: { weight: 20 },
  inputName: 'SettleDeadLetterInput',
  aboutInput: 'The input of `skipDeadLetter` and `retryDeadLetter`.',
  input: z.strictObject({ id: id.describe('The id of the dead letter, from `deadLetters`.'), idempotencyKey }),
  result: { commandId, deadLetter: deadLetter.describe('As it was when the command was given.') },
  aboutResult: 'The command is on the log; the dead letter shows when it is resolved.',
} as const;

export const skipDeadLetter = command({
  ...settlement,
  name: 'skipDeadLetter',
  about:
    'Gives a dead letter up for good: the record, run or delivery is not tried again, and what waits behind it goes on. Retries of a run that have not\nended are cancelled as by `cancelRun`: one that a process works on is as soon as it pauses, and counts if it ends before. The same `idempotencyKey` asks\nfor the same however often it is sent, and one that is skipped already may be skipped again.',
  failures: ['deadLetter.unknown', 'deadLetter.resolved', 'request.idempotencyMismatch', 'log.unavailable'],
});

export const retryDeadLetter = command({
  ...settlement,
  name: 'retryDeadLetter',
  about:
    'Tries what failed again: a record is handled again, a run is replayed as a new generation, a delivery is redelivered. When that succeeds the dead\nletter is resolved, and what waits behind it goes on in order. A run is replayed once, however many retries ask for it: while a later generation is\nunder way, a retry is refused with `deadLetter.underWay` and its id; of retries at the same moment, bulk ones included, one takes effect.',
  failures: [
    'deadLetter.unknown',
    'deadLetter.resolved',
    'deadLetter.underWay',
    'deadLetter.notHeld',
    'delivery.secondEffect',
    'delivery.superseded',
    'request.idempotencyMismatch',
    'log.unavailable',
  ],
});
export type SettleDeadLetterInput = InputOf<typeof skipDeadLetter>;
