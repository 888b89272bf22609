import { z } from 'zod';
import { event } from '../events/event.operations.js';
import { eventById } from '../events/event.table.js';
import { fieldsOf, handle, part } from '../operations/part.js';
import { priced } from '../operations/shape.js';
import { run } from '../runs/run.operations.js';
import { runById } from '../runs/run.table.js';
import { attempt, delivery, getDelivery, listDeliveries, redeliver } from './delivery.operations.js';
import type { DeliveryRow } from './delivery.operations.js';
import { DeliveryTable, attemptsOfDelivery, deliveryById } from './delivery.table.js';
import { RedeliveryService } from './redelivery.service.js';

export const deliveryPart = part({
  providers: [DeliveryTable, RedeliveryService],
  node: { entity: delivery, find: ({ load }, id) => load(deliveryById, id) },
  fields: [
    // A delivery always has its event and its run: both are stored before it is planned.
    fieldsOf<DeliveryRow>(delivery, (field) => ({
      event: field(event.describe('The event that it follows from.'), async ({ eventId }, { load }) => (await load(eventById, eventId))!),
      run: field(run.describe('The run that planned it.'), async ({ runId }, { load }) => (await load(runById, runId))!),
      attempts: field(priced({ weight: 2, rows: 3 }, z.array(attempt)).describe('Its attempts, in order.'), ({ id }, { load }) =>
        load(attemptsOfDelivery, id),
      ),
    })),
  ],
  operations: [
    handle(getDelivery, ({ load }, { id }) => load(deliveryById, id)),
    handle(listDeliveries, ({ principal, get }, { filter, ...page }) => get(DeliveryTable).page(principal.tenant, filter ?? {}, page)),
    handle(redeliver, ({ principal, get }, input) => get(RedeliveryService).redeliver(principal, input)),
  ],
});
