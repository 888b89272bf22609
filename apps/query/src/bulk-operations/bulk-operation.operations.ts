import { z } from 'zod';
import { bulkOperationKinds, bulkSelections } from '#libs/contracts';
import { deadLetterFilter } from '../dead-letters/dead-letter.operations.js';
import { deliveryFilter } from '../deliveries/delivery.operations.js';
import { eventFilter } from '../events/event.operations.js';
import { command, query } from '../operations/operation.js';
import type { InputOf } from '../operations/operation.js';
import {
  commandId,
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

export const bulkOperationKind = enumeration(
  'BulkOperationKind',
  valuesOf(bulkOperationKinds, {
    replay: 'A replay of an event: its flows run again as a new generation.',
    redelivery: 'A redelivery of a delivery, with its effect key unchanged.',
    promotion: 'A promotion: the outcome of a trial becomes a generation of its event, and is delivered.',
  }),
  'The command that is ordered for each item.',
);
export const bulkSelection = enumeration(
  'BulkSelection',
  valuesOf(bulkSelections, {
    events: 'Events.',
    deliveries: 'Deliveries.',
    deadLetters: 'Open dead letters: of runs for a replay, of deliveries for a redelivery.',
    outcomes: 'The outcomes of a trial.',
  }),
  'The list that a bulk operation takes its items from.',
);
export const bulkOperationState = enumeration(
  'BulkOperationState',
  {
    running: 'Under way, or waiting for its turn.',
    completed: 'Everything is ordered. The fate of each item stands at the item.',
    cancelled: 'It was cancelled; what was ordered before goes on.',
    failed: 'It stopped at an error; see `errorCode`.',
  },
  'How far a bulk operation got.',
);

export const leftOutItems = entity(
  'LeftOutItems',
  {
    code: z
      .string()
      .describe('Why, as the code with which a command for one of them is refused: `delivery.secondEffect` or `delivery.superseded`.'),
    count: z.int().describe('How many.'),
  },
  { about: 'Items of a bulk operation for which nothing is ordered.' },
);
export type LeftOutItems = z.infer<typeof leftOutItems>;

export const bulkOperation = entity(
  'BulkOperation',
  {
    id: id.describe('The id, `bop_…`, from `bulkReplay` or `bulkRedeliver`.'),
    kind: bulkOperationKind.describe('What is ordered for each item.'),
    state: bulkOperationState.describe('Whether it is under way, or how it ended.'),
    selection: bulkSelection.describe('The list that its items come from.'),
    filter: json.nonoptional().describe('The conditions that its items meet.'),
    flow: z.string().nullable().describe('The only flow that a replay runs; null for all that match, and for redeliveries.'),
    ratePerSecond: z.int().describe('The most commands that are appended per second.'),
    total: count.nullable().describe('How many items matched when it started; null until they are counted.'),
    done: z
      .int()
      .describe(
        'Items whose command the log has. It may end below `total`: an item that no longer matches when its turn comes is left out.',
      ),
    failed: z.int().describe('Items whose command the log will never take.'),
    leftOut: z
      .array(leftOutItems)
      .describe('Items for which nothing was ordered so far, by reason: deliveries that `redeliver` would refuse.'),
    actor: z.string().describe('Who asked for it.'),
    startedAt: timestamp.describe('When it was taken up.'),
    finishedAt: timestamp.nullable().describe('When it completed, failed or was cancelled; null while it runs.'),
    errorCode: z.string().nullable().describe('Why it failed, as a code; null unless it failed.'),
    errorMessage: z.string().nullable().describe('Why it failed, for a person; null unless it failed.'),
  },
  { idPrefix: 'bop', about: 'Many replays or redeliveries that were asked for at once.' },
);
export type BulkOperationRow = z.infer<typeof bulkOperation>;

export const bulkOperationFilter = inputObject(
  'BulkOperationFilter',
  {
    kind: bulkOperationKind.nullish().describe('Only operations that order this.'),
    state: bulkOperationState.nullish().describe('Only operations in this state.'),
  },
  'Which bulk operations a list has. All conditions given must hold.',
);
export type BulkOperationFilter = z.infer<typeof bulkOperationFilter>;

export const getBulkOperation = query({
  name: 'bulkOperation',
  about: 'A bulk operation by its id; null if there is none.',
  scope: 'read',
  input: z.strictObject({ id: id.describe('The id of the bulk operation, `bop_…`.') }),
  output: bulkOperation.nullable(),
  failures: [],
});

export const listBulkOperations = query({
  name: 'bulkOperations',
  about: 'Bulk operations, the last started first.',
  scope: 'read',
  cost: { weight: 5 },
  input: z.strictObject({
    ...pageArguments,
    filter: bulkOperationFilter.nullish().describe('Only the rows that meet all of these conditions; default: every row.'),
  }),
  output: pageOf(bulkOperation),
  failures: [],
});

const ratePerSecond = z
  .int()
  .default(50)
  .describe('Commands appended per second, 1 to 1000. They are carried out at the pace of their owner.');
const dryRun = z.boolean().default(false).describe('Only count: nothing is ordered, and the key is not used up.');
const startFailures = ['request.idempotencyMismatch', 'log.unavailable'] as const;
const operationId = id.nullable().describe('The operation, which can be queried a moment later; null for a dry run.');

export const bulkReplay = command({
  name: 'bulkReplay',
  about:
    'Replays everything that the filter finds and that is there when the operation starts, each customer’s oldest first, at a rate. The same\n`idempotencyKey` asks for the same operation however often it is sent; with another input it is refused.',
  scope: 'operate',
  cost: { weight: 200 },
  input: z.strictObject({
    filter: oneOf(
      'BulkReplayFilter',
      {
        events: eventFilter.optional().describe('These events, in whatever state.'),
        deadLetters: deadLetterFilter
          .optional()
          .describe(
            'Events with an open dead letter of kind RUN, each with the flow that was given up. What is retried already is left out.',
          ),
      },
      'Which events a bulk replay takes. Exactly one field is given.',
    ).describe('Which events are replayed.'),
    flow: z
      .string()
      .nullish()
      .describe(
        'With `events`: only this flow, on the events that it takes or has run on before; default: every flow that matches. To run a flow on another event, name it in `replayEvents`. A dead letter’s flow is its own.',
      ),
    ratePerSecond,
    dryRun,
    idempotencyKey,
  }),
  result: {
    matched: count.describe('How many events the filter finds now, counted exactly up to 100 000.'),
    operationId,
  },
  failures: startFailures,
});
export type BulkReplayInput = InputOf<typeof bulkReplay>;

export const bulkRedeliver = command({
  name: 'bulkRedeliver',
  about:
    'Redelivers everything that the filter finds, as `bulkReplay` replays it: at once, with effect keys unchanged and fresh retry budgets.\nDeliveries that `redeliver` would refuse without `evenIfTaken` are left out and counted.',
  scope: 'operate',
  cost: { weight: 200 },
  input: z.strictObject({
    filter: oneOf(
      'BulkRedeliverFilter',
      {
        deliveries: deliveryFilter
          .optional()
          .describe('These deliveries; `state` must be given, because DELIVERED ones would be sent again.'),
        deadLetters: deadLetterFilter.optional().describe('Deliveries with an open dead letter.'),
      },
      'Which deliveries a bulk redelivery takes. Exactly one field is given.',
    ).describe('Which deliveries are redelivered.'),
    ratePerSecond,
    dryRun,
    idempotencyKey,
  }),
  result: {
    matched: count.describe('How many deliveries the filter finds now, counted exactly up to 100 000.'),
    leftOut: z
      .array(leftOutItems)
      .describe(
        'Those of `matched` that would not be sent now, by reason: `redeliver` would refuse them, so the operation leaves them out.',
      ),
    operationId,
  },
  failures: startFailures,
});
export type BulkRedeliverInput = InputOf<typeof bulkRedeliver>;

export const cancelBulkOperation = command({
  name: 'cancelBulkOperation',
  about: 'Orders nothing more; what was ordered goes on. An operation that is over stays as it is.',
  scope: 'operate',
  cost: { weight: 20 },
  input: z.strictObject({ id: id.describe('The id of the bulk operation, `bop_…`.'), idempotencyKey }),
  result: { commandId, operation: bulkOperation.describe('As it was when the cancel was ordered.') },
  aboutResult: 'The cancel is ordered; the operation hears of it within a second.',
  failures: ['bulkOperation.unknown', 'request.idempotencyMismatch', 'log.unavailable'],
});
export type CancelBulkOperationInput = InputOf<typeof cancelBulkOperation>;
