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
  })
  .describe('Sends to a destination, once in effect.');
