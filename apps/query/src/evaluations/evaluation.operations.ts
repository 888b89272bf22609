import { z } from 'zod';
import { query } from '../operations/operation.js';
import type { InputOf } from '../operations/operation.js';
import { entity, enumeration, id, json } from '../operations/shape.js';

export const valueType = enumeration(
  'ValueType',
  {
    nothing: 'No value: a path that leads nowhere, for example. A step stores null then.',
    null: 'Null.',
    boolean: 'True or false.',
    number: 'A number.',
    string: 'Text.',
    array: 'A list.',
    object: 'An object.',
  },
  'The type of a value.',
);
export type ValueType = z.infer<typeof valueType>;

export const evaluationLimit = enumeration(
  'EvaluationLimit',
  {
    time: 'The processor time of an evaluation.',
    memory: 'The memory of an evaluation.',
    depth: 'The depth of its calls.',
    items: 'The items of a sequence.',
    size: 'The characters of its result.',
  },
  'A limit that an evaluation can reach.',
);

export const evaluationError = entity(
  'EvaluationError',
  {
    code: z
      .string()
      .describe('`document.invalid`: it is no expression, and apply would refuse it. `flow.expressionFailed`: it fails on this input.'),
    message: z.string().describe('The reason, for a person.'),
    position: z.int().nullable().describe('The number of characters up to the place of the error; null if it is not known.'),
    limit: evaluationLimit.nullable().describe('The limit that it reached; null if it failed for another reason.'),
  },
  { about: 'The reason why an expression has no value.' },
);

export const evaluation = entity(
  'Evaluation',
  {
    value: json.describe('The value; null if there is none.'),
    type: valueType.nullable().describe('Its type; null if the expression failed.'),
    error: evaluationError.nullable().describe('Why the expression failed; null if it did not.'),
    warnings: z
      .array(z.string())
      .describe(
        'Names in the expression that have no value here: functions, variables, steps and fields that do not exist. Apply refuses most of them.',
      ),
    durationMs: z.number().describe('How long it took by the clock, ms, waiting for its turn included.'),
  },
  { about: 'The value of an expression on one event.' },
);
export type EvaluationRow = z.infer<typeof evaluation>;

/** The same as of an expression in a document. */
const longestExpression = 4_096;

export const evaluateExpression = query({
  name: 'evaluate',
  about:
    'Evaluates an expression on a stored event, under the limits of an expression in a flow. It sees what such an expression sees: `event`, `steps`, and the names given. One expression\nof a tenant that takes long is evaluated at a time.',
  scope: 'read',
  cost: { weight: 50 },
  input: z.strictObject({
    expression: z
      .string()
      .min(1, { error: 'must not be empty' })
      .max(longestExpression, { error: `must have at most ${longestExpression} characters` })
      .describe('The expression, in JSONata; at most 4096 characters.'),
    event: id.nullish().describe('The id of the event, `evt_…`; default: that of the run.'),
    run: id
      .nullish()
      .describe('The id of a run, `run_…`: `steps` has the stored outputs of the steps of its flow. Default: `steps` is empty.'),
    names: json
      .nullish()
      .describe(
        'An object: names that the expression also sees, such as `item` of a `forEach` step, `error` or `value`; not `event` or `steps`.',
      ),
  }),
  output: evaluation,
  failures: ['event.unknown', 'run.unknown', 'evaluation.busy'],
});
export type EvaluateInput = InputOf<typeof evaluateExpression>;
