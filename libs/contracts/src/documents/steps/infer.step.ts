import { z } from 'zod';
import { expression, jsonSchema, modelName } from '../references.js';

/** Asks a model. */
export const inferStep = z
  .strictObject({
    model: modelName.describe('The model’s name at the provider, such as `local/rules-1`.'),
    instructions: z.string().min(1).max(32_768).describe('The system message. The event is only in the user message.'),
    input: expression.optional().describe('The input of the model; default: `event.data`.'),
    output: jsonSchema.describe(
      'The JSON Schema of the model’s output. It is sent as a strict `response_format`, and the output is checked against it.',
    ),
    temperature: z
      .number()
      .min(0)
      .max(2)
      .optional()
      .describe('How random the model’s choice of words is, 0 to 2; default: the provider’s.'),
    maxOutputTokens: z
      .int()
      .min(1)
      .max(128_000)
      .optional()
      .describe('The longest output in tokens, including those of reasoning; default: the provider’s.'),
    timeoutMs: z.int().min(100).max(600_000).default(60_000).describe('Deadline of the whole step in ms, including retries and repairs.'),
  })
  .describe('Asks a model. The step’s output is the model’s, as JSON that fits `output`.');
