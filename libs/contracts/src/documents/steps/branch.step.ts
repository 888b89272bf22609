import { z } from 'zod';
import { nestedSteps } from '../nested-steps.js';
import { expression } from '../references.js';

/** Takes one of several ways. */
export const branchStep = z
  .strictObject({
    cases: z
      .array(
        z.strictObject({
          when: expression.describe('The condition of the case. The first case whose condition is true is taken.'),
          steps: nestedSteps.describe('The steps of the case, up to 50; empty: nothing is done.'),
        }),
      )
      .min(1)
      .max(20)
      .describe('The cases, 1 to 20, in the order in which their conditions are asked.'),
    else: nestedSteps.optional().describe('The steps if no condition is true; default: none, and the output is null.'),
  })
  .describe(
    'Runs the steps of the first case whose condition is true. Its output is that of the last of them that is not a `deliver` step.',
  );
