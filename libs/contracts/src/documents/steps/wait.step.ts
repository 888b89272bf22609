import { z } from 'zod';
import { duration } from '../duration.js';
import { expression } from '../references.js';

/** The most events that a wait looks at, those of other types not counted. */
export const mostArrivalsOfWait = 1_000;
/** Ends the run’s work until its time has come. */
export const waitStep = z
  .strictObject({
    for: duration
      .optional()
      .describe('How long to wait, from when the step begins: ms, or a duration of ISO 8601 such as `PT15M` or `P2D`. At most 90 days.'),
    until: expression
      .optional()
      .describe(
        'When the wait ends: an expression that yields a time of ISO 8601, or ms since 1970. A time that is past ends it at once; one that is more than 90 days ahead fails the run.',
      ),
    event: z
      .strictObject({
        types: z.array(z.string().min(1).max(256)).min(1).max(20).describe('Patterns of the types of the event; `*` matches any text.'),
        match: expression
          .optional()
          .describe(
            'Whether an event is the one: an expression over `arrived`, which has the fields of `event`, and all that the step can read. Default: the first of such a type.',
          ),
        timeout: duration.describe('The longest wait, from when the step begins: ms, or a duration of ISO 8601. At most 90 days.'),
      })
      .optional()
      .describe('The event of the same customer that ends the wait. It was received after the event of the run, and before the time-out.'),
  })
  .superRefine((spec, context) => {
    const given = (['for', 'until', 'event'] as const).filter((word) => spec[word] !== undefined);
    if (given.length !== 1)
      context.addIssue({ code: 'custom', message: `must have exactly one of for, until, event; it has ${given.join(' and ') || 'none'}` });
  })
  .describe(
    'Waits until a time, or for an event. The run lets go of its event meanwhile, so later events of the customer go on. Its output says why the wait ended, and when.',
  );
