import { z } from 'zod';
import { customer } from '../customers/customer.operations.js';
import type { CustomerRow } from '../customers/customer.operations.js';
import { delivery } from '../deliveries/delivery.operations.js';
import { deliveryById } from '../deliveries/delivery.table.js';
import { event } from '../events/event.operations.js';
import type { EventRow } from '../events/event.operations.js';
import { eventById } from '../events/event.table.js';
import { fieldsOf, handle, part } from '../operations/part.js';
import { priced } from '../operations/shape.js';
import { run } from '../runs/run.operations.js';
import { runById } from '../runs/run.table.js';
import { deadLetter, getDeadLetter, hold, listDeadLetters, retryDeadLetter, skipDeadLetter } from './dead-letter.operations.js';
import type { DeadLetterRow, HoldRow } from './dead-letter.operations.js';
import { DeadLetterTable, deadLetterById } from './dead-letter.table.js';
import { HoldsTable, holdOfEvent, holdsOfCustomer, holdsOfDeadLetter } from './hold.table.js';
import { SettlementService } from './settlement.service.js';

const holds = priced({ weight: 2, rows: 2 }, z.array(hold));

export const deadLetterPart = part({
  providers: [DeadLetterTable, HoldsTable, SettlementService],
  node: { entity: deadLetter, find: ({ load }, id) => load(deadLetterById, id) },
  fields: [
    fieldsOf<DeadLetterRow>(deadLetter, (field) => ({
      event: field(
        event.nullable().describe('The event that it concerns; null for a record that names none.'),
        async ({ eventId }, { load }) => (eventId === null ? null : load(eventById, eventId)),
      ),
      run: field(run.nullable().describe('The run that it concerns; null if none.'), async ({ runId }, { load }) =>
        runId === null ? null : load(runById, runId),
      ),
      delivery: field(
        delivery.nullable().describe('The delivery that was given up; null for other kinds.'),
        async ({ deliveryId }, { load }) => (deliveryId === null ? null : load(deliveryById, deliveryId)),
      ),
      holds: field(holds.describe('The customers’ records that wait for it, one hold per consumer group.'), ({ id }, { load }) =>
        load(holdsOfDeadLetter, id),
      ),
    })),
    fieldsOf<CustomerRow>(customer, (field) => ({
      holds: field(holds.describe('The records of this customer that wait.'), ({ key }, { load }) => load(holdsOfCustomer, key)),
    })),
    fieldsOf<EventRow>(event, (field) => ({
      hold: field(
        priced({ weight: 5 }, hold.nullable()).describe(
          'The hold in which its record waits for something that failed before it; null if it does not wait, or failed itself.',
        ),
        ({ id }, { load }) => load(holdOfEvent, id),
      ),
    })),
    fieldsOf<HoldRow>(hold, (field) => ({
      // Also null while the dead letter is on its way from the log.
      deadLetter: field(deadLetter.nullable().describe('What they wait for; null for OVERFLOW.'), async ({ deadLetterId }, { load }) =>
        deadLetterId === null ? null : load(deadLetterById, deadLetterId),
      ),
    })),
  ],
  operations: [
    handle(getDeadLetter, ({ load }, { id }) => load(deadLetterById, id)),
    handle(listDeadLetters, ({ principal, get }, { filter, ...page }) => get(DeadLetterTable).page(principal.tenant, filter ?? {}, page)),
    handle(skipDeadLetter, ({ principal, get }, input) => get(SettlementService).skip(principal, input)),
    handle(retryDeadLetter, ({ principal, get }, input) => get(SettlementService).retry(principal, input)),
  ],
});
