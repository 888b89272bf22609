import { z } from 'zod';
import { nestedSteps } from '../nested-steps.js';
import { expression } from '../references.js';

/** The most items of one step. */
const mostItems = 1_000;
/** Names that expressions know already. */
const takenNames = ['event', 'steps', 'value', 'error'];

/** Does the same for each item of a list. */
export const forEachStep = z
  .strictObject({
    items: expression.describe('The list. One value that is no list is a list of one, and nothing or null is an empty one.'),
    as: z
      .string()
      .regex(/^[a-zA-Z][a-zA-Z0-9_]{0,62}$/, 'must be 1 to 63 letters, digits or underscores, beginning with a letter')
      .refine((as) => !takenNames.includes(as), { error: `must not be one of ${takenNames.join(', ')}, which expressions know already` })
      .default('item')
      .describe('The name by which the expressions of the steps read the item.'),
    key: expression
      .optional()
      .describe(
        'The key of an item, over the item: text of 1 to 128 characters, or a number, different for each item. The results and deliveries of an item are stored under it. Default: the place in the list, from 0; then an item that comes in between moves the keys of those behind it.',
      ),
    concurrency: z.int().min(1).max(16).default(4).describe('The most items at the same time, 1 to 16.'),
    steps: nestedSteps.min(1).describe('The steps that run for each item, 1 to 50.'),
    onItemFailure: z
      .enum(['fail', 'collect'])
      .default('fail')
      .describe(
        'What happens when an item fails for good. `fail`: the step fails with it. `collect`: the others go on, and the output tells of each item either its output or its error; a failed item delivers nothing.',
      ),
    max: z.int().min(1).max(mostItems).default(mostItems).describe('The most items; with more of them the step fails. At most 1 000.'),
  })
  .describe(
    'Runs its steps for each item of a list. Its output is the list of their outputs, in the order of the items; with `onItemFailure: collect` a list of `{ key, output }` or `{ key, error: { code, message } }`.',
  );
