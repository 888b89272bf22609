import { z } from 'zod';
import { eventStates, lanes } from '#libs/contracts';
import { customer } from '../customers/customer.operations.js';
import { query } from '../operations/operation.js';
import { entity, enumeration, id, inputObject, pageArguments, pageOf, timestamp, valuesOf } from '../operations/shape.js';

export const lane = enumeration(
  'Lane',
  valuesOf(lanes, {
    high: 'The most urgent events.',
    normal: 'The lane of a source that says nothing else.',
    low: 'The least urgent events.',
  }),
  'The priority class of an event, chosen at the door.',
);

export const eventState = enumeration(
  'EventState',
  valuesOf(eventStates, {
    recorded: 'Stored; no flow has taken it up: none takes it, or not yet, or it waits for something that failed before it (`Event.hold`).',
    running: 'A flow is at work on it, or a run of it waits.',
    delivering: 'Decided; a delivery is still under way.',
    completed:
      'Nothing is left to do: every flow decided and everything is delivered, except for what an operator gave up for good (skipped, or cancelled).',
    parked: 'A record, run or delivery was given up and waits for an operator.',
  }),
  'How far an event got. If a flow ran more than once, the newest generation that nobody cancelled counts.',
);
export type EventState = z.infer<typeof eventState>;

export const eventIdentity = enumeration(
  'EventIdentity',
  {
    providerEventId: 'The id that the partner gave it.',
    body: 'A hash of its body, because it came without a usable id: another request with the same bytes is taken for a repeat.',
  },
  'By what a repeat of an event is known.',
);

export const event = entity(
  'Event',
  {
    id: id.describe(
      'The id, `evt_…`: it follows from the source and the partner’s own id, or the body if there is none, so a repeat has the same.',
    ),
    type: z.string().describe('What kind of fact it is, such as `invoice.paid`.'),
    source: z.string().describe('The name of the source it came through.'),
    customer: customer.describe('The customer that it is about.'),
    lane: lane.describe('Its priority class.'),
    providerEventId: z.string().nullable().describe('The partner’s own id, if it sends one.'),
    contentType: z.string().describe('The media type of its body.'),
    occurredAt: timestamp.describe('When it happened, by the partner’s word.'),
    receivedAt: timestamp.describe('When it arrived at Millrace.'),
    recordedAt: timestamp.describe('When it could first be queried.'),
    traceId: z.string().nullable().describe('The id of the trace that it was received in; null if there was none.'),
  },
  { idPrefix: 'evt', about: 'A fact that a partner reported.' },
);
export type EventRow = z.infer<typeof event>;

export const eventFilter = inputObject(
  'EventFilter',
  {
    customer: z.string().nullish().describe('The key of a customer.'),
    sources: z.array(z.string()).max(20, { error: 'may have at most 20 entries' }).nullish().describe('Names of sources, up to 20.'),
    type: z.string().nullish().describe('A type, or a prefix with `*` after it: `invoice.paid`, `invoice.*`.'),
    states: z.array(eventState).max(20, { error: 'may have at most 20 entries' }).nullish().describe('In any of these states, up to 20.'),
    receivedFrom: timestamp.nullish().describe('Received at this time or later.'),
    receivedBefore: timestamp.nullish().describe('Received before this time.'),
  },
  'Which events a list has. All conditions given must hold.',
);
export type EventFilter = z.infer<typeof eventFilter>;

export const getEvent = query({
  name: 'event',
  about: 'An event by its id.',
  scope: 'read',
  input: z.strictObject({ id: id.describe('The id of the event, `evt_…`.') }),
  output: event.nullable(),
  failures: [],
});

export const getEventFromSource = query({
  name: 'eventFromSource',
  about: 'An event by its partner’s id.',
  scope: 'read',
  input: z.strictObject({
    source: z.string().describe('The name of the source.'),
    providerEventId: z.string().describe('The id that the partner gave the event.'),
  }),
  output: event.nullable(),
  failures: [],
});

export const listEvents = query({
  name: 'events',
  about: 'Events, the last received first.',
  scope: 'read',
  cost: { weight: 5 },
  input: z.strictObject({
    ...pageArguments,
    filter: eventFilter.nullish().describe('Only the rows that meet all of these conditions; default: every row.'),
  }),
  output: pageOf(event),
  failures: [],
});
