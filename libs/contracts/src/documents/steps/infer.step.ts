import { z } from 'zod';
import { expression, jsonSchema } from '../references.js';

/** Asks a model. */
export const inferStep = z.strictObject({
  model: z.string().min(1).describe('The model’s name at the provider, such as `local/rules-1`.'),
  instructions: z.string().min(1).max(32_768).describe('The system message. The event is only in the user message.'),
  input: expression.optional().describe('The input of the model; default: `event.data`.'),
  output: jsonSchema.describe(
    'The JSON Schema of the model’s output. It is sent as a strict `response_format`, and the output is checked against it.',
  ),
  temperature: z.number().min(0).max(2).optional(),
  maxOutputTokens: z.int().min(1).max(128_000).optional(),
  timeoutMs: z.int().min(100).max(600_000).default(60_000).describe('Deadline of the whole step in ms, including retries and repairs.'),
});
