import { z } from 'zod';
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

export const deliveryState = enumeration(
  'DeliveryState',
  {
    pending: 'Under way: an attempt is due, running or will be repeated.',
    delivered: 'The destination accepted it.',
    parked: 'Given up; it waits for a redelivery, or to be skipped.',
    skipped: 'Given up for good by an operator.',
    superseded: 'Not sent any more: a newer delivery of the same object takes its place.',
  },
  'How far a delivery got.',
);
export const attemptOutcome = enumeration(
  'AttemptOutcome',
  {
    succeeded: 'The destination accepted the request.',
    failed: 'The destination certainly did not take it: it refused, or nothing reached it.',
    uncertain: 'The destination may have taken it: no response came, or one that does not tell.',
  },
  'How an attempt ended.',
);

export const delivery = entity(
  'Delivery',
  {
    id: id.describe('Also the `webhook-id` and `Idempotency-Key` that the destination sees.'),
    destination: z.string().describe('The name of the Destination document.'),
    state: deliveryState.describe('How far it got.'),
    flow: z.string().describe('The name of the flow whose run planned it.'),
    step: z.string().describe('The path of the `deliver` step in the flow.'),
    generation: z.int().describe('The generation of its run: 0 for the first.'),
    payload: json.describe('What is sent.'),
    attemptCount: z
      .int()
      .describe(
        'How many attempts ended so far, those before a redelivery included. One that found the destination disabled counts, although nothing was sent.',
      ),
    nextAttemptAt: timestamp
      .nullable()
      .describe('When the next attempt is due; null if none is due: it waits behind another delivery of its queue, or it is settled.'),
    errorCode: z.string().nullable().describe('Why the last attempt failed, as a code; null if none failed, or the last one succeeded.'),
    errorMessage: z.string().nullable().describe('Why the last attempt failed, for a person; null as `errorCode` is.'),
    reachedAt: timestamp
      .nullable()
      .describe(
        'When the first attempt began that the destination took, or may have taken; null if there is none, or a redelivery that accepted a second effect came after it. With the state PARKED the outcome is unknown.',
      ),
    atLeastOnce: z
      .boolean()
      .describe('Whether its flow consents to more than one effect at a destination of the idempotency class `none`.'),
    object: z
      .string()
      .nullable()
      .describe('The key of the object that it sets, of which a newer delivery takes its place; null if the destination names none.'),
    createdAt: timestamp.describe('When it was planned.'),
    settledAt: timestamp.nullable().describe('When it was delivered, parked, skipped or superseded; null while it is pending.'),
  },
  { idPrefix: 'dlv', about: 'One decision to one destination.' },
);
export type DeliveryRow = z.infer<typeof delivery> & { eventId: string; runId: string; customer: string };

export const attempt = entity(
  'Attempt',
  {
    number: z.int().describe('Counts from 1.'),
    outcome: attemptOutcome.describe('How it ended.'),
    status: z.int().nullable().describe('The HTTP status; null if there was no response.'),
    errorCode: z.string().nullable().describe('Why it failed, as a code; null if it succeeded.'),
    errorMessage: z.string().nullable().describe('Why it failed, for a person; null if it succeeded.'),
    responseExcerpt: z.string().nullable().describe('The beginning of the response’s body, at most 16 KiB; null if there was no response.'),
    startedAt: timestamp.describe('When the request began.'),
    finishedAt: timestamp.describe('When it ended.'),
  },
  { about: 'One request to the destination.' },
);
export type AttemptRow = z.infer<typeof attempt> & { deliveryId: string };

export const deliveryFilter = inputObject(
  'DeliveryFilter',
  {
    customer: z.string().nullish().describe('The key of a customer.'),
    destination: z.string().nullish().describe('The name of a destination.'),
    state: deliveryState.nullish().describe('Only deliveries in this state.'),
    flow: z.string().nullish().describe('The name of a flow.'),
    createdFrom: timestamp.nullish().describe('Planned at this time or later.'),
    createdBefore: timestamp.nullish().describe('Planned before this time.'),
  },
  'Which deliveries a list has. All conditions given must hold.',
);
export type DeliveryFilter = z.infer<typeof deliveryFilter>;

export const getDelivery = query({
  name: 'delivery',
  about: 'A delivery by its id; null if there is none.',
  scope: 'read',
  input: z.strictObject({ id: id.describe('The id of the delivery, `dlv_…`.') }),
  output: delivery.nullable(),
  failures: [],
});

export const listDeliveries = query({
  name: 'deliveries',
  about: 'Deliveries, the last created first.',
  scope: 'read',
  cost: { weight: 5 },
  input: z.strictObject({
    ...pageArguments,
    filter: deliveryFilter.nullish().describe('Only the rows that meet all of these conditions; default: every row.'),
  }),
  output: pageOf(delivery),
  failures: [],
});

export const redeliver = command({
  name: 'redeliver',
  about:
    'Tries a delivery again at once, with its effect key unchanged and a fresh retry budget. The same `idempotencyKey` asks for the same redelivery\nhowever often it is sent; with another input it is refused.',
  scope: 'operate',
  cost: { weight: 20 },
  input: z.strictObject({
    deliveryId: id.describe('The id of the delivery, `dlv_…`.'),
    evenIfTaken: z
      .boolean()
      .nullish()
      .describe('True: also where the destination took it, or may have, and might take it a second time. Default: refused then.'),
    idempotencyKey,
  }),
  result: { commandId, delivery: delivery.describe('As it was when the command was given.') },
  aboutResult: 'The command is on the log; the delivery, or a subscription, shows its effect.',
  failures: ['delivery.unknown', 'delivery.secondEffect', 'delivery.superseded', 'request.idempotencyMismatch', 'log.unavailable'],
});
export type RedeliverInput = InputOf<typeof redeliver>;
