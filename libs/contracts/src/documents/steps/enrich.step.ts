import { z } from 'zod';
import { expression, refTo } from '../references.js';

const day = 86_400_000;

/** Reads from another system. */
export const enrichStep = z
  .strictObject({
    connection: refTo('Connection').describe('The name of the connection, a document of the same tenant.'),
    operation: z.string().min(1).max(63).describe('An operation of its connector that reads.'),
    input: expression.optional().describe('The input of the operation; default: `event.data`.'),
    cache: z
      .strictObject({
        ttlMs: z
          .int()
          .min(1)
          .max(30 * day)
          .describe('How long an output is used again for the same input, in ms: at most 30 days.'),
        staleIfErrorMs: z
          .int()
          .min(1)
          .max(30 * day)
          .optional()
          .describe(
            'How long after that it is used where the system is away, limits requests or refuses the credential, in ms; default: not at all.',
          ),
      })
      .optional()
      .describe('Uses outputs again, for all runs of a process. Default: the system is asked each time.'),
  })
  .describe('Reads from another system by an operation of a connection.');
