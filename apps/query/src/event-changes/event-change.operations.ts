import { z } from 'zod';
import { event } from '../events/event.operations.js';
import { subscription } from '../operations/operation.js';
import { entity, enumeration, id, inputObject, timestamp } from '../operations/shape.js';

export const change = enumeration(
  'Change',
  {
    recorded: 'The event was stored and can be queried.',
    decided: 'A run completed.',
    failed: 'A run was given up.',
    delivered: 'A destination accepted a delivery.',
    retrying: 'An attempt of a delivery failed; another follows.',
    parked: 'A delivery was given up.',
    superseded: 'An attempt of a delivery failed, and a newer delivery of its object takes its place.',
  },
  'What happened to an event.',
);
export type Change = z.infer<typeof change>;

export const eventChange = entity(
  'EventChange',
  {
    change: change.describe('What happened.'),
    at: timestamp.describe('When it happened.'),
    code: z.string().nullable().describe('The failure’s code, on FAILED, RETRYING and PARKED.'),
    runId: id.nullable().describe('The run, `run_…`, on DECIDED and FAILED; null otherwise.'),
    deliveryId: id.nullable().describe('The delivery, `dlv_…`, on DELIVERED, RETRYING and PARKED; null otherwise.'),
    merged: z
      .int()
      .describe(
        'How many earlier changes of the event this one stands for. They are left out where a subscriber reads more slowly than changes come in; the event’s timeline has them.',
      ),
    event: event.describe('The event as it is when this is sent.'),
  },
  { about: 'One change of an event.' },
);
/** A change with the event as it is now. */
export type EventChangeRow = z.infer<typeof eventChange>;

export const eventChangeFilter = inputObject(
  'EventChangeFilter',
  {
    eventId: id.nullish().describe('The id of one event, `evt_…`.'),
    customer: z.string().nullish().describe('The key of a customer.'),
    source: z.string().nullish().describe('The name of a source.'),
    type: z.string().nullish().describe('A type, or a prefix with `*` after it.'),
  },
  'Of which events changes are sent. All conditions given must hold.',
);
export type EventChangeFilter = z.infer<typeof eventChangeFilter>;

export const eventChanged = subscription({
  name: 'eventChanged',
  about:
    'Changes of events, as they happen, from the moment the subscription is open: what happened before, also while a client was not connected, is\nread with `events`. Over `graphql-transport-ws` at this same path, or as server-sent events.',
  scope: 'read',
  input: z.strictObject({
    filter: eventChangeFilter.nullish().describe('Only changes of events that meet all of these conditions; default: of every event.'),
  }),
  output: eventChange,
  failures: ['subscription.overflow'],
});
