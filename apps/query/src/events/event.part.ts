import { z } from 'zod';
import { eventId } from '#libs/contracts';
import { deadLetter } from '../dead-letters/dead-letter.operations.js';
import { deadLettersOfEvent } from '../dead-letters/dead-letter.table.js';
import { delivery } from '../deliveries/delivery.operations.js';
import { deliveriesOfEvent } from '../deliveries/delivery.table.js';
import { fieldsOf, handle, part } from '../operations/part.js';
import { json, priced } from '../operations/shape.js';
import { decision, run } from '../runs/run.operations.js';
import { runsOfEvent } from '../runs/run.table.js';
import { timelineEntry } from '../timeline/timeline.operations.js';
import { timelineOfEvent } from '../timeline/timeline.table.js';
import { event, eventIdentity, eventState, getEvent, getEventFromSource, listEvents } from './event.operations.js';
import type { EventRow } from './event.operations.js';
import { EventTable, eventById, eventData, eventMarks, eventSchemaProblem, eventStateOf } from './event.table.js';

const newest = 'The newest 100.';

export const eventPart = part({
  providers: [EventTable],
  node: { entity: event, find: ({ load }, id) => load(eventById, id) },
  fields: [
    fieldsOf<EventRow>(event, (field) => ({
      state: field(eventState.describe('How far it got.'), ({ id }, { load }) => load(eventStateOf, id)),
      isTest: field(
        z.boolean().describe('True: a person sent a kept request again to see what follows.'),
        async ({ id }, { load }) => (await load(eventMarks, id)).isTest,
      ),
      schemaProblem: field(
        z.string().nullable().describe('What does not fit the schema that its source has for it; null where nothing is known to be wrong.'),
        ({ id }, { load }) => load(eventSchemaProblem, id),
      ),
      identifiedBy: field(eventIdentity.describe('What tells it from other events of its source.'), async ({ providerEventId }) =>
        providerEventId === null ? 'body' : 'providerEventId',
      ),
      data: field(
        json.describe('The body as flows see it: JSON as its value, a form as its fields, text as text, null for anything else.'),
        ({ id }, { load }) => load(eventData, id),
      ),
      timeline: field(
        priced({ weight: 10, rows: 20 }, z.array(timelineEntry)).describe('Everything that happened to it, in order.'),
        ({ id }, { load }) => load(timelineOfEvent, id),
      ),
      runs: field(priced({ weight: 2, rows: 3 }, z.array(run)).describe(newest), ({ id }, { load }) => load(runsOfEvent, id)),
      decisions: field(
        priced({ weight: 2, rows: 3 }, z.array(decision)).describe('The decisions of its runs, the newest 100.'),
        async ({ id }, { load }) => (await load(runsOfEvent, id)).filter(({ state }) => state === 'completed'),
      ),
      deliveries: field(priced({ weight: 2, rows: 3 }, z.array(delivery)).describe(newest), ({ id }, { load }) =>
        load(deliveriesOfEvent, id),
      ),
      deadLetters: field(priced({ weight: 2, rows: 1 }, z.array(deadLetter)).describe(newest), ({ id }, { load }) =>
        load(deadLettersOfEvent, id),
      ),
    })),
  ],
  operations: [
    handle(getEvent, ({ load }, { id }) => load(eventById, id)),
    // The id follows from source and provider id, so nothing is looked up.
    handle(getEventFromSource, ({ principal, load }, { source, providerEventId }) =>
      load(eventById, eventId(principal.tenant, source, { providerEventId })),
    ),
    handle(listEvents, ({ principal, get }, { filter, ...page }) => get(EventTable).page(principal.tenant, filter ?? {}, page)),
  ],
});
