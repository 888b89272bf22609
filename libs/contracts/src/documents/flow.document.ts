import { z } from 'zod';
import { name } from '../names.js';
import { documentOf } from './document-of.js';
import { eventSourceKinds, expression, refTo } from './references.js';
import { stepSpecs } from './steps.generated.js';

/** The word by which a step of a flow says what it does. A kind is declared in `steps/<kind>.step.ts`. */
export type StepKind = keyof typeof stepSpecs;
export const stepKinds = Object.keys(stepSpecs) as StepKind[];
/** Each kind of step with the description of its spec. */
export const describedStepKinds = Object.fromEntries(
  Object.entries(stepSpecs).map(([kind, spec]) => [kind, spec.description ?? '']),
) as Record<StepKind, string>;

type StepShape = { [K in StepKind]: z.ZodOptional<(typeof stepSpecs)[K]> };
const stepShape = Object.fromEntries(Object.entries(stepSpecs).map(([kind, spec]) => [kind, spec.optional()])) as StepShape;

/**
 * One step: its id and exactly one kind with its spec.
 *
 * Expressions see `event` (`id`, `type`, `source`, `customer`, `occurredAt`, `receivedAt`, `data`: the parsed body) and `steps` (by id, the
 * stored output of every step that this one needs, directly or through others; the flow's decision sees all of them).
 */
export const flowStep = z
  .strictObject({
    id: name.describe('The name of the step, unique in the flow. Expressions read its output as `steps.ID`.'),
    needs: z.array(name).max(50).optional().describe('Ids of the steps that must finish before this one starts; default: the step above.'),
    when: expression.optional().describe('A condition; the step is skipped unless it is true.'),
    ...stepShape,
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
        sources: z
          .array(refTo(...eventSourceKinds))
          .min(1)
          .max(100)
          .optional()
          .describe('Names of the sources and schedules whose events start a run; default: all.'),
        types: z
          .array(z.string().min(1).max(256))
          .min(1)
          .max(100)
          .optional()
          .describe('Patterns of event types; `*` matches any text; default: all types.'),
        when: expression.optional().describe('A condition over `event`; no run starts unless it is true.'),
      })
      .prefault({})
      .describe('Which events start a run; default: every event of the tenant.'),
    steps: z.array(flowStep).min(1).max(50).describe('The steps, 1 to 50. A step can need only steps above it.'),
    onFailure: z
      .enum(['park-key', 'skip'])
      .default('park-key')
      .describe(
        'What happens to later events of the same customer and lane when a run is given up. `park-key`: they are held until its dead letter is resolved. `skip`: they are processed.',
      ),
    decision: expression.optional().describe('The run’s decision; default: the output of the last step that is not a `deliver` step.'),
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

/** The steps that one step waits for, and those that it may read. */
export interface StepOrder {
  /** Ids of the steps that must have finished. */
  readonly needs: readonly string[];
  /** Ids of the steps whose outputs the step may read: its needs, and all that they need in turn. Others may or may not have finished by then. */
  readonly reads: readonly string[];
}

/** The order of a flow's steps, one entry for each. */
export function stepOrder(steps: readonly Pick<FlowStep, 'id' | 'needs'>[]): StepOrder[] {
  const readsOf = new Map<string, readonly string[]>();
  return steps.map(({ id, needs: given }, at) => {
    const above = steps[at - 1];
    const needs = given ?? (above === undefined ? [] : [above.id]);
    const reads = [...new Set(needs.flatMap((need) => [...(readsOf.get(need) ?? []), need]))];
    readsOf.set(id, reads);
    return { needs, reads };
  });
}

export const flowDocument = documentOf(
  'Flow',
  flowSpec.describe('Which events start a run, what its steps do, and what it decides.'),
  'Describes what happens to which events. Immutable per version: a run keeps the version it started with.',
);
export type FlowDocument = z.infer<typeof flowDocument>;
