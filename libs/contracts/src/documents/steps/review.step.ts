import { z } from 'zod';
import { name } from '../../names.js';
import { duration, durationMs } from '../duration.js';
import { expression, jsonSchema } from '../references.js';

/** The bounds of the priority of a review. */
export const reviewPriorities = { least: 0, default: 5, most: 9 } as const;

const { least, most } = reviewPriorities;

/** Asks a person. */
export const reviewStep = z
  .strictObject({
    proposal: expression.describe('The value that a person decides on. Approved as it is, it is the value of the output.'),
    needed: expression
      .optional()
      .describe(
        'Whether a person has to look, such as `steps.assess.confidence < 0.8`. Anything but true: nobody is asked, and the proposal is the value. Default: a person has to look.',
      ),
    schema: jsonSchema.optional().describe('The JSON Schema of the values that a person may choose. Default: any value.'),
    schemaOf: name
      .optional()
      .describe('Instead of `schema`: the id of an `infer` step of this flow; the values have to fit the schema of its output.'),
    default: expression
      .optional()
      .describe(
        'The value if nobody decides in time, or the proposal is rejected; it has to fit the schema. Default: null, whatever the schema says.',
      ),
    expiresAfter: duration.describe(
      'How long people have, from when the step begins: ms, or a duration of ISO 8601 such as `PT4H` or `P2D`. At most 90 days.',
    ),
    escalateAfter: duration
      .optional()
      .describe('When the review goes to the front of the queue, marked as escalated: shorter than `expiresAfter`. Default: never.'),
    priority: z
      .union([z.int().min(least).max(most), expression])
      .optional()
      .describe('Its place in the queue, from 0 to 9: 9 comes first. A number, or an expression that yields one. Default: 5.'),
    reason: expression
      .optional()
      .describe('Why a person is asked, as the queue shows it: text of at most 1 000 characters. Default: nothing.'),
    context: expression
      .optional()
      .describe(
        'What is shown beside the proposal, such as the texts that it is about. What is longer than 65 536 characters as JSON is cut, and shown as text. Default: nothing.',
      ),
  })
  .superRefine(({ schema, schemaOf, expiresAfter, escalateAfter }, context) => {
    if (schema !== undefined && schemaOf !== undefined)
      context.addIssue({ code: 'custom', path: ['schemaOf'], message: 'must not be given with `schema`: one of both says what fits' });
    if (escalateAfter !== undefined && durationMs(escalateAfter)! >= durationMs(expiresAfter)!)
      context.addIssue({ code: 'custom', path: ['escalateAfter'], message: 'must be shorter than `expiresAfter`' });
  })
  .describe(
    'Asks a person to approve, correct or reject a value. The run lets go of its event meanwhile, so later events of the customer go on. Its output is `{ outcome, value, by, reason, at }`.',
  );
