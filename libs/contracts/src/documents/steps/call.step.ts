import { z } from 'zod';
import { idempotency } from '../idempotency.js';
import { expression, refTo } from '../references.js';

const calledFlow = z
  .strictObject({
    flow: refTo('Flow').describe('The name of the flow, a document of the same tenant. Its `on` and `onFailure` do not count here.'),
    input: expression.optional().describe('The value that the called flow reads as `event.data`; default: `event.data`.'),
  })
  .describe('Runs another flow as a part of this one: by its steps, on the input, up to its decision, which is the output.');

const calledOperation = z
  .strictObject({
    connection: refTo('Connection').describe('The name of the connection, a document of the same tenant.'),
    operation: z.string().min(1).max(63).describe('An operation of its connector that writes.'),
    input: expression.optional().describe('The input of the operation; default: `event.data`.'),
    atLeastOnce: z
      .boolean()
      .default(false)
      .describe(
        'True: an operation of the idempotency class `none` is repeated after an attempt whose outcome is unknown, so it may take effect twice. False: the run is parked instead. Operations of another class need no consent.',
      ),
    idempotency: idempotency
      .optional()
      .describe('What makes the operation take effect once, where its input decides that, as for `request` of the connector `rest`.'),
  })
  .describe('Acts in another system by an operation of a connection, once in effect.');

/** Runs another flow, or acts in another system. */
export const callStep = z
  .union([calledFlow, calledOperation])
  .describe('Runs another flow as a part of this one (`flow`), or acts in another system by an operation of a connection (`connection`).');
