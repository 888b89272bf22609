import { z } from 'zod';
import { name } from '../names.js';
import { expression } from './source.js';

/** A JSON Schema (draft 2020-12) as it stands in a document; compiled when the document is applied, so a bad one never reaches a run. */
export const jsonSchema = z.record(z.string(), z.json()).describe('A JSON Schema, draft 2020-12.');

/**
 * What expressions see: `event` (`id`, `type`, `source`, `customer`, `occurredAt`, `receivedAt`, `data`: the parsed body) and `steps` (by
 * id, the stored output of every step that this one needs, directly or through others; the flow's decision sees all of them).
 */
const input = expression.optional();

export const inferStep = z.strictObject({
  model: z.string().min(1).describe('The model’s name at the provider, such as `local/rules-1`.'),
  instructions: z.string().min(1).max(32_768).describe('The system message. The event never stands here, only in the user message.'),
  input: input.describe('What the model reads; default: `event.data`.'),
  output: jsonSchema.describe('What the model must answer with; sent as a strict `response_format`, and checked here all the same.'),
  temperature: z.number().min(0).max(2).optional(),
  maxOutputTokens: z.int().min(1).max(128_000).optional(),
  timeoutMs: z.int().min(100).max(600_000).default(60_000).describe('Deadline of the whole step, repairs and retries included.'),
});

export const validateStep = z
  .strictObject({
    input: expression.describe('What is judged, such as `steps.assess`; it is also the step’s output.'),
    schema: jsonSchema.optional(),
    rules: z
      .array(z.strictObject({ check: expression.describe('Must be true.'), message: z.string().min(1).max(500) }))
      .default([])
      .describe('Rules across fields, with `value` being the input.'),
  })
  .refine((step) => step.schema !== undefined || step.rules.length > 0, { path: ['rules'], error: 'needs a schema or at least one rule' });

export const mapStep = z.strictObject({ expression });

export const deliverStep = z.strictObject({
  destination: name,
  payload: input.describe('What is sent; default: an envelope with the event’s id, type, customer and the decision.'),
});

/** Every kind of step. A step names exactly one. */
export const stepKinds = ['infer', 'validate', 'map', 'deliver'] as const;
export type StepKind = (typeof stepKinds)[number];

export const flowStep = z
  .strictObject({
    id: name,
    needs: z.array(name).optional().describe('Steps that must have finished; default: the one above.'),
    when: expression.optional().describe('The step is skipped where this is not true.'),
    infer: inferStep.optional(),
    validate: validateStep.optional(),
    map: mapStep.optional(),
    deliver: deliverStep.optional(),
  })
  .superRefine((step, context) => {
    const named = stepKinds.filter((kind) => step[kind] !== undefined);
    if (named.length !== 1) {
      context.addIssue({
        code: 'custom',
        message: `must have exactly one of ${stepKinds.join(', ')}; it has ${named.join(' and ') || 'none'}`,
      });
    }
  });
export type FlowStep = z.infer<typeof flowStep>;

export const flowSpec = z
  .strictObject({
    on: z
      .strictObject({
        sources: z.array(name).min(1).optional().describe('Names of sources; default: all.'),
        types: z.array(z.string().min(1)).min(1).optional().describe('Type patterns; `*` stands for anything; default: all.'),
        when: expression.optional().describe('A condition over `event`.'),
      })
      .prefault({}),
    steps: z.array(flowStep).min(1).max(50),
    onFailure: z
      .enum(['park-key', 'skip'])
      .default('park-key')
      .describe(
        'What later events of the same customer and lane do when a run is given up. `park-key`: they wait until its dead letter is resolved; `skip`: they go on.',
      ),
    decision: expression.optional().describe('The run’s decision; default: the output of the last step that is not a delivery.'),
  })
  .superRefine((flow, context) => {
    const before = new Set<string>();
    for (const [at, step] of flow.steps.entries()) {
      if (before.has(step.id)) context.addIssue({ code: 'custom', path: ['steps', at, 'id'], message: `is used twice: ${step.id}` });
      for (const [index, need] of (step.needs ?? []).entries()) {
        if (!before.has(need)) {
          context.addIssue({ code: 'custom', path: ['steps', at, 'needs', index], message: `names no step above this one: ${need}` });
        }
      }
      before.add(step.id);
    }
  });
export type FlowSpec = z.infer<typeof flowSpec>;
