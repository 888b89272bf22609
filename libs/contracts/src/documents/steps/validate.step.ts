import { z } from 'zod';
import { expression, jsonSchema } from '../references.js';

/** Judges its input, which is also its output. */
export const validateStep = z
  .strictObject({
    input: expression.describe('The value to check, such as `steps.assess`. It is also the step’s output.'),
    schema: jsonSchema
      .optional()
      .describe('The JSON Schema (draft 2020-12) that the input must fit; default: none, so only the rules apply.'),
    rules: z
      .array(
        z.strictObject({
          check: expression.describe('Must be true.'),
          message: z.string().min(1).max(500).describe('The problem that is reported if the check is not true.'),
        }),
      )
      .max(100)
      .default([])
      .describe('Rules across fields. In a rule, `value` is the input.'),
  })
  .refine((step) => step.schema !== undefined || step.rules.length > 0, { path: ['rules'], error: 'needs a schema or at least one rule' })
  .describe('Judges its input, which is also its output. The run fails if the input does not fit the schema or breaks a rule.');
