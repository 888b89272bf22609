import { z } from 'zod';
import { event } from '../events/event.operations.js';
import { subscription } from '../operations/operation.js';
import { entity, enumeration, id, inputObject, timestamp } from '../operations/shape.js';

export const change = enumeration('Change', {
  recorded: null,
  decided: 'A run completed.',
  failed: 'A run was given up.',
  delivered: null,
  retrying: 'An attempt of a delivery failed; another follows.',
  parked: 'A delivery was given up.',
});
export type Change = z.infer<typeof change>;

export const eventChange = entity('EventChange', {
  change,
  at: timestamp,
  code: z.string().nullable().describe('The failure’s code, on FAILED, RETRYING and PARKED.'),
  runId: id.nullable(),
  deliveryId: id.nullable(),
  merged: z
    .int()
    .describe(
      'How many earlier changes of the event this one stands for. They are left out where a subscriber reads more slowly than changes come in; the event’s timeline has them.',
    ),
  event: event.describe('The event as it is when this is sent.'),
});
/** A change with the event as it is now. */
export type EventChangeRow = z.infer<typeof eventChange>;

export const eventChangeFilter = inputObject('EventChangeFilter', {
  eventId: id.nullish(),
  customer: z.string().nullish(),
  source: z.string().nullish(),
  type: z.string().nullish().describe('A type, or a prefix with `*` after it.'),
});
export type EventChangeFilter = z.infer<typeof eventChangeFilter>;

export const eventChanged = subscription({
  name: 'eventChanged',
  about:
    'Changes of events, as they happen, from the moment the subscription is open: what happened before, also while a client was not connected, is\nread with `events`. Over `graphql-transport-ws` at this same path, or as server-sent events.',
  scope: 'read',
  input: z.strictObject({ filter: eventChangeFilter.nullish() }),
  output: eventChange,
  failures: ['subscription.overflow'],
});
