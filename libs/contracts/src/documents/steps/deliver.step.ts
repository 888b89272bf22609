import { z } from 'zod';
import { expression, refTo } from '../references.js';

/** Sends to a destination, once in effect. */
export const deliverStep = z
  .strictObject({
    destination: refTo('Destination').describe('The name of the destination, a document of the same tenant.'),
    payload: expression
      .optional()
      .describe(
        'The payload; default: an envelope with the event’s id, type, source, customer and time, the name of the flow, and the decision.',
      ),
    atLeastOnce: z
      .boolean()
      .default(false)
      .describe(
        'True: a delivery to a destination of the idempotency class `none` is repeated after an attempt whose outcome is unknown, so it may take effect twice. False: it waits for a person instead. Destinations of another class need no consent.',
      ),
  })
  .describe('Sends to a destination, once in effect.');
