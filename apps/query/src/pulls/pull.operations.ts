import { z } from 'zod';
import { pullStates } from '#libs/contracts';
import { command, query } from '../operations/operation.js';
import type { InputOf } from '../operations/operation.js';
import { commandId, entity, enumeration, idempotencyKey, timestamp, valuesOf } from '../operations/shape.js';

export const pullStateValues = enumeration(
  'PullState',
  valuesOf(pullStates, {
    working: 'Its last page was read, or it has not begun yet.',
    retrying: 'It failed for a reason that may pass, and tries again by itself.',
    needsConsent: 'Its connection sends nothing before a person acts: `authorizeConnection`, or a new version of its document.',
    refused: 'It failed for a reason that hardly passes by itself, and is tried again at most hourly.',
  }),
  'Whether a pull reads its list.',
);

export const pullFailure = entity(
  'PullFailure',
  {
    at: timestamp.describe('When it happened.'),
    code: z.string().describe('A code such as `operation.limited`.'),
    message: z.string().describe('A sentence for people.'),
  },
  { about: 'Why a pull could not read.' },
);

export const pull = entity(
  'Pull',
  {
    name: z.string().describe('The name of its document, which is the source of its events.'),
    connection: z.string().describe('The connection that it reads from.'),
    operation: z.string().describe('The operation that reads the list.'),
    state: pullStateValues.describe('Whether it reads.'),
    cursor: z
      .string()
      .nullable()
      .describe('The greatest value of the items of all passes that ended, as JSON: `since` of the next pass. Null if there is none.'),
    cursorMovedAt: timestamp.nullable().describe('When the cursor last moved; null if it never did.'),
    passStartedAt: timestamp.nullable().describe('When the pass began that is under way; null if none is.'),
    nextAt: timestamp.nullable().describe('When a pass begins or goes on; null if no process knows the pull yet.'),
    lastSuccessAt: timestamp.nullable().describe('When a pass last reached the end of the list; null if none has.'),
    pages: z.int().describe('How many pages were read.'),
    items: z.int().describe('How many items were read, repeated ones included.'),
    repeated: z.int().describe('How many of them were left out because their events are recorded.'),
    skipped: z.int().describe('How many of them were left out because they are larger than an event may be.'),
    lastEventId: z.string().nullable().describe('The id of the last event; null if there is none.'),
    failures: z.int().describe('How often in a row it has failed; 0 if its last page was read.'),
    lastFailure: pullFailure.nullable().describe('The last failure; null if there was none.'),
  },
  { about: 'Reads a list of another system again and again, and how far it is.' },
);
export type PullRow = z.infer<typeof pull>;

export const listPulls = query({
  name: 'pulls',
  about: 'The pulls of the tenant, by name.',
  scope: 'read',
  cost: { weight: 10 },
  input: z.strictObject({}),
  output: z.array(pull),
  failures: [],
});

export const startPull = command({
  name: 'startPull',
  about:
    'Begins a pass of a pull now, also one that waits after a failure. From the beginning, its cursor is forgotten, and items whose events are recorded make no\nsecond ones.',
  scope: 'operate',
  cost: { weight: 20 },
  input: z.strictObject({
    name: z.string().describe('The name of the pull.'),
    fromBeginning: z.boolean().nullish().describe('True: the list is read as if it had never been read. Default: from its cursor.'),
    idempotencyKey,
  }),
  result: { commandId },
  aboutResult: 'The command is on the log; the pass follows.',
  failures: ['pull.unknown', 'request.idempotencyMismatch', 'log.unavailable'],
});
export type StartPullInput = InputOf<typeof startPull>;
