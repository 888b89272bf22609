import { z } from 'zod';
import { expression, refTo } from '../references.js';

/** Sends to a destination, once in effect. */
export const deliverStep = z.strictObject({
  destination: refTo('Destination'),
  payload: expression.optional().describe('What is sent; default: an envelope with the event’s id, type, customer and the decision.'),
});
