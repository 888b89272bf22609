import { z } from 'zod';
import { nestedSteps } from './nested-steps.js';
import { expression } from './references.js';

/** The conduct of a step that fails. */
export const onError = z
  .strictObject({
    retry: z
      .strictObject({
        times: z.int().min(1).max(5).describe('How often the step is tried again, 1 to 5.'),
        delayMs: z.int().min(0).max(60_000).default(1_000).describe('The wait before each of these tries, in ms, up to a minute.'),
      })
      .optional()
      .describe(
        'Tries the step again at once, whatever it failed with; default: only the run is tried again, after failures that may pass.',
      ),
    value: expression
      .optional()
      .describe(
        'The output instead, over `error` (`code`, `message`, and `output`: the output of a model that a gate refused), `event` and `steps`. Give either `value` or `steps`.',
      ),
    steps: nestedSteps
      .min(1)
      .optional()
      .describe('Steps that run instead, 1 to 50, which also see `error`. Their output is that of the step.'),
  })
  .superRefine(({ retry, value, steps }, context) => {
    if (retry === undefined && value === undefined && steps === undefined)
      context.addIssue({ code: 'custom', message: 'must have retry, value or steps' });
    if (value !== undefined && steps !== undefined)
      context.addIssue({ code: 'custom', path: ['value'], message: 'must not be given with `steps`: one of both is the fallback' });
  });
