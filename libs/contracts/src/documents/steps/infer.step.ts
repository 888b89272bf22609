import { z } from 'zod';
import { name } from '../../names.js';
import { expression, jsonSchema, modelName, refTo } from '../references.js';

function problemOfTarget(model: string | undefined, provider: string | undefined, route: string | undefined): [string, string] | undefined {
  if (route === undefined) return model === undefined ? ['model', 'is missing: set it, or `route`'] : undefined;
  const other = model !== undefined ? 'model' : provider !== undefined ? 'provider' : undefined;
  return other === undefined ? undefined : [other, 'cannot stand beside `route`, which names its models itself: leave one of them out'];
}

const day = 86_400_000;

/** A field of the output: `lines.*.amount`. */
const outputField = z
  .string()
  .max(500)
  .regex(/^[^.\s]+(\.[^.\s]+)*$/, 'must be names of properties with dots between them, and * for each item of a list');

const rule = z.strictObject({
  name: name.describe('A word for the rule, unique in the step. Problems begin with it.'),
  check: expression.describe('Must be true. `value` is the output, `input` the input of the model.'),
  message: z.string().min(1).max(500).describe('The problem, in words that tell the model how to mend its output.'),
});

const groundedField = z.strictObject({
  field: outputField.describe(
    'A field of the output: names of properties with dots between them; `*` stands for each item of a list, or each property. Such as `reasons.*.quote`.',
  ),
  as: z
    .enum(['quote', 'id', 'number'])
    .describe(
      'How the value must occur. `quote`: word by word in one text. `id`: as a whole, not as a part of a longer id. `number`: as the same number, however it is written.',
    ),
  in: expression.optional().describe('The value that it must occur in, such as `steps.orders.id`; default: the input of the model.'),
});

const gates = {
  rules: z
    .array(rule)
    .max(50)
    .refine(areUnique, 'has two rules of one name')
    .optional()
    .describe('Rules across the fields of the output. The model is told which ones are broken, and answers again.'),
  grounded: z
    .array(groundedField)
    .max(50)
    .optional()
    .describe('Fields of the output whose values must occur in the input, so that the model cannot make them up. A null makes no claim.'),
  markup: z
    .enum(['fromInput', 'none', 'any'])
    .optional()
    .describe(
      'Which addresses, mail addresses, HTML, Markdown links and images the texts of the output may have. `fromInput`, the default: those that stand in the input, in `instructions` or in `output`. `none`: none. `any`: the model may write its own.',
    ),
};

function areUnique(rules: readonly { readonly name: string }[]): boolean {
  return new Set(rules.map((one) => one.name)).size === rules.length;
}

/** Asks a model. */
export const inferStep = z
  .strictObject({
    model: modelName.optional().describe('The model’s name at the provider, such as `local/rules-1`. It, or `route`, must be set.'),
    provider: refTo('ModelProvider')
      .optional()
      .describe('The provider of the model, a document of the same tenant; default: the provider of the installation.'),
    route: refTo('ModelRoute')
      .optional()
      .describe(
        'Instead of `model`: the name of a route, a document of the same tenant. It says which models are asked, one after another.',
      ),
    instructions: z.string().min(1).max(32_768).describe('The system message. The event is only in the user message.'),
    input: expression.optional().describe('The input of the model; default: `event.data`.'),
    output: jsonSchema.describe(
      'The JSON Schema of the model’s output. It is sent as a strict `response_format`, and the output is checked against it.',
    ),
    ...gates,
    datamark: z
      .boolean()
      .optional()
      .describe(
        'True writes each space of the input as a character that the input does not have, such as ^, so that the model sees at each word what is data. It takes more tokens: 1.2 times as many for JSON, 1.7 times for prose. Default: false.',
      ),
    maxInputLength: z
      .int()
      .min(1)
      .max(4_194_304)
      .optional()
      .describe('The longest input in characters, as JSON or text. A longer one is not sent, and the step fails. Default: 262144.'),
    cache: z
      .strictObject({
        ttlMs: z
          .int()
          .min(1)
          .max(30 * day)
          .describe('How long an output is used again for an equal request, in ms: at most 30 days.'),
      })
      .optional()
      .describe(
        'Uses outputs again that passed all gates, for all runs of the tenant; equal requests at the same time in a process make one call. Default: the model is asked each time.',
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
  .superRefine(({ model, provider, route }, context) => {
    const problem = problemOfTarget(model, provider, route);
    if (problem !== undefined) context.addIssue({ code: 'custom', path: [problem[0]], message: problem[1] });
  })
  .describe('Asks a model. The step’s output is the model’s, as JSON that fits `output` and passes the checks of the step.');
