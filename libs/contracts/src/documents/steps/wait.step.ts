import { z } from 'zod';
import { expression } from '../references.js';

/** The most events that a wait looks at, those of other types not counted. */
export const mostArrivalsOfWait = 1_000;
/** The longest wait of a step: 90 days. */
export const longestWaitMs = 90 * 86_400_000;

const durationPattern = /^P(?=.)(?:(\d{1,4})W)?(?:(\d{1,5})D)?(?:T(?=.)(?:(\d{1,6})H)?(?:(\d{1,7})M)?(?:(\d{1,9})S)?)?$/;

/** The length of a duration in ms; undefined if it is none. Days have 24 hours. */
export function durationMs(duration: number | string): number | undefined {
  if (typeof duration === 'number') return duration;
  const parts = durationPattern.exec(duration);
  if (parts === null) return undefined;
  const [weeks = 0, days = 0, hours = 0, minutes = 0, seconds = 0] = parts.slice(1).map((part) => Number(part ?? 0));
  return ((((weeks * 7 + days) * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000;
}

const duration = z
  .union([z.int().min(1, 'must be at least 1 ms'), z.string()])
  .refine((given) => durationMs(given) !== undefined, {
    error: 'must be a number of ms, or a duration such as PT15M, P2DT12H or P1W; months and years have no fixed length',
    abort: true,
  })
  .refine((given) => durationMs(given)! > 0 && durationMs(given)! <= longestWaitMs, 'must be longer than 0 and at most 90 days');

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
