import { z } from 'zod';
import { command, query } from '../operations/operation.js';
import type { InputOf } from '../operations/operation.js';
import { entity, enumeration, id, idempotencyKey, inputObject, json, pageArguments, pageOf, timestamp } from '../operations/shape.js';

export const deliveryState = enumeration('DeliveryState', {
  pending: 'Under way: an attempt is due, running or will be repeated.',
  delivered: null,
  parked: 'Given up; it waits for a redelivery, or to be skipped.',
  skipped: 'Given up for good by an operator.',
});
export const attemptOutcome = enumeration('AttemptOutcome', { succeeded: null, failed: null });

export const delivery = entity(
  'Delivery',
  {
    id: id.describe('Also the `webhook-id` and `Idempotency-Key` that the destination sees.'),
    destination: z.string(),
    state: deliveryState,
    flow: z.string(),
    step: z.string().describe('The `deliver` step of the flow.'),
    generation: z.int(),
    payload: json.describe('What is sent.'),
    attemptCount: z.int(),
    nextAttemptAt: timestamp.nullable(),
    errorCode: z.string().nullable().describe('Why the last attempt failed.'),
    errorMessage: z.string().nullable(),
    createdAt: timestamp,
    settledAt: timestamp.nullable(),
  },
  { idPrefix: 'dlv', about: 'One decision to one destination.' },
);
export type DeliveryRow = z.infer<typeof delivery> & { eventId: string; runId: string; customer: string };

export const attempt = entity(
  'Attempt',
  {
    number: z.int().describe('Counts from 1.'),
    outcome: attemptOutcome,
    status: z.int().nullable().describe('The HTTP status; null if there was no response.'),
    errorCode: z.string().nullable(),
    errorMessage: z.string().nullable(),
    responseExcerpt: z.string().nullable(),
    startedAt: timestamp,
    finishedAt: timestamp,
  },
  { about: 'One request to the destination.' },
);
export type AttemptRow = z.infer<typeof attempt> & { deliveryId: string };

export const deliveryFilter = inputObject('DeliveryFilter', {
  customer: z.string().nullish(),
  destination: z.string().nullish(),
  state: deliveryState.nullish(),
  flow: z.string().nullish(),
  createdFrom: timestamp.nullish(),
  createdBefore: timestamp.nullish(),
});
export type DeliveryFilter = z.infer<typeof deliveryFilter>;

export const getDelivery = query({
  name: 'delivery',
  scope: 'read',
  input: z.strictObject({ id }),
  output: delivery.nullable(),
  failures: [],
});

export const listDeliveries = query({
  name: 'deliveries',
  about: 'Deliveries, the last created first.',
  scope: 'read',
  cost: { weight: 5 },
  input: z.strictObject({ ...pageArguments, filter: deliveryFilter.nullish() }),
  output: pageOf(delivery),
  failures: [],
});

export const redeliver = command({
  name: 'redeliver',
  about:
    'Tries a delivery again at once, with its effect key unchanged and a fresh retry budget. The same `idempotencyKey` asks for the same redelivery\nhowever often it is sent; with another input it is refused.',
  scope: 'operate',
  cost: { weight: 20 },
  input: z.strictObject({ deliveryId: id, idempotencyKey }),
  result: { commandId: id, delivery },
  aboutResult: 'The command is on the log; the delivery, or a subscription, shows its effect.',
  failures: ['delivery.unknown', 'request.idempotencyMismatch', 'log.unavailable'],
});
export type RedeliverInput = InputOf<typeof redeliver>;
