import { z } from 'zod';
import { name } from '../names.js';
import { documentOf } from './document-of.js';
import { declareNestedStep, mostStepsOfList, nestedSteps } from './nested-steps.js';
import type { NestedStep } from './nested-steps.js';
import { onError } from './on-error.js';
import { json } from '../json.js';
import { eventSourceKinds, expression, jsonSchema, refTo } from './references.js';
import { stepSpecs } from './steps.generated.js';
import type { UnknownName } from '../issue-words.js';

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
 * stored output of every step that this one needs, directly or through others; the flow's decision sees the outputs of all steps of its own list). A step
 * within another one also sees what that one sees.
 */
export const flowStep = z
  .strictObject({
    id: name.describe('The name of the step, unique in the flow. Expressions read its output as `steps.ID`.'),
    needs: z
      .array(name)
      .max(50)
      .optional()
      .describe('Ids of the steps of the same list that must finish before this one starts; default: the step above.'),
    when: expression.optional().describe('A condition; the step is skipped unless it is true.'),
    onError: onError.optional().describe('What happens when the step fails; default: the run fails with it.'),
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
  })
  .meta({ id: 'Step' });
export type FlowStep = z.infer<typeof flowStep>;
declareNestedStep(flowStep);

/** A list of steps within a step. */
export interface StepsWithin {
  /** The place of the list in the step. */
  readonly path: readonly (string | number)[];
  readonly steps: readonly FlowStep[];
  /** Names that its expressions see beside those of the step, each with the names within it, or undefined if they depend on the event. */
  readonly adds: Readonly<Record<string, readonly string[] | undefined>>;
}

/** The lists of steps within a step, in the order of its document. */
export function stepsWithin(step: FlowStep): StepsWithin[] {
  const list = (path: StepsWithin['path'], steps: readonly NestedStep[] | undefined, adds: StepsWithin['adds'] = {}): StepsWithin[] =>
    steps === undefined ? [] : [{ path, steps, adds }];
  const { branch, forEach } = step;
  return [
    ...(branch?.cases ?? []).flatMap(({ steps }, at) => list(['branch', 'cases', at, 'steps'], steps)),
    ...list(['branch', 'else'], branch?.else),
    ...(forEach === undefined ? [] : list(['forEach', 'steps'], forEach.steps, { [forEach.as]: undefined })),
    ...list(['onError', 'steps'], step.onError?.steps, { error: fallbackErrorFields }),
  ];
}

/** The fields of the `error` that the steps of `onFailure` see. */
const errorFields = ['code', 'message'];
/** The fields of the `error` that a fallback sees. */
export const fallbackErrorFields = [...errorFields, 'output'];

/** The lists of steps of a flow: its own, and the one that runs when a run is given up. */
export function stepsOfFlow({ steps, onFailure }: Pick<FlowSpec, 'steps' | 'onFailure'>): StepsWithin[] {
  const own = { path: ['steps'], steps, adds: {} };
  if (typeof onFailure === 'string') return [own];
  return [own, { path: ['onFailure', 'steps'], steps: onFailure.steps, adds: { error: errorFields } }];
}

/** The policy for later events of the customer when a run is given up. */
export function failurePolicyOf({ onFailure }: Pick<FlowSpec, 'onFailure'>): FailurePolicy {
  return typeof onFailure === 'string' ? onFailure : onFailure.policy;
}

const failurePolicy = z
  .enum(['park-key', 'skip'])
  .default('park-key')
  .describe(
    'What happens to later events of the same customer and lane when a run is given up. `park-key`: they are held until its dead letter is resolved. `skip`: they are processed.',
  );
type FailurePolicy = z.infer<typeof failurePolicy>;

/** The times that a caller may wait for a decision, ms. A process that stops answers all its callers in the longest one. */
export const decisionWaitMs = { shortest: 1_000, usual: 5_000, longest: 20_000 };

const onRequest = z.strictObject({
  waitMs: z
    .int()
    .min(decisionWaitMs.shortest)
    .max(decisionWaitMs.longest)
    .default(decisionWaitMs.usual)
    .describe('How long a caller waits that does not say how long, in ms, 1 000 to 20 000.'),
  default: z
    .union([expression, json.refine((value) => typeof value !== 'string', 'must be an expression, or a value that is not text')])
    .describe(
      'The default decision, which counts if the flow has not decided by the deadline, or cannot. A text is an expression over `event`; any other value is the decision itself.',
    ),
  deliverDefault: z
    .array(refTo('Destination'))
    .max(20)
    .default([])
    .describe('Names of the destinations that the default decision is delivered to; default: none.'),
  draft: name
    .optional()
    .describe(
      'The id of an `infer` step, not within a `forEach`: callers can follow its text as the model writes it, before it is checked (`Accept: text/event-stream`); default: no text is shown.',
    ),
  schema: jsonSchema
    .optional()
    .describe('The JSON Schema of the data of requests. A request that does not fit is refused; default: any object.'),
});
export type OnRequest = z.infer<typeof onRequest>;

/** The most steps of a flow, those within others included. */
export const mostStepsOfFlow = 200;
/** The most lists of steps around a step. */
export const deepestSteps = 5;

export const flowSpec = z
  .strictObject({
    on: z
      .strictObject({
        sources: z
          .array(refTo(...eventSourceKinds))
          .min(1)
          .max(100)
          .optional()
          .describe('Names of the sources, schedules and pulls whose events start a run; default: all.'),
        types: z
          .array(z.string().min(1).max(256))
          .min(1)
          .max(100)
          .optional()
          .describe('Patterns of event types; `*` matches any text; default: all types.'),
        when: expression.optional().describe('A condition over `event`; no run starts unless it is true.'),
      })
      .prefault({})
      .describe('Which events start a run; default: every event of the tenant, or none where the flow has `onRequest`.'),
    onRequest: onRequest
      .optional()
      .describe(
        'Lets callers request a decision of this flow, with `POST /v1/decisions/FLOW` and `POST /v1/jobs`; default: nobody can. `on` does not matter for the events of requests.',
      ),
    steps: z.array(flowStep).min(1).max(mostStepsOfList).describe('The steps, 1 to 50. A step can need only steps above it.'),
    onFailure: z
      .union([
        failurePolicy.unwrap(),
        z.strictObject({
          policy: failurePolicy,
          steps: nestedSteps
            .min(1)
            .describe(
              'Steps that run when a run is given up, 1 to 50, such as one that tells a person or calls another flow. They see `error` (`code`, `message`), `event`, and in `steps` the outputs of the steps of the flow that ended.',
            ),
        }),
      ])
      .default('park-key')
      .describe(
        'What happens when a run is given up: a policy for later events of the same customer and lane, or one with steps that run then.',
      ),
    decision: expression.optional().describe('The run’s decision; default: the output of the last step that is not a `deliver` step.'),
  })
  .superRefine((spec, context) => {
    const ids = new Set<string>();
    const check = (list: readonly FlowStep[], path: readonly (string | number)[], depth: number, items: readonly string[]): void => {
      if (depth > deepestSteps) {
        const message = `is a list of steps at level ${depth}; ${deepestSteps} levels are the most`;
        return context.addIssue({ code: 'custom', path: [...path], message });
      }
      const before = new Set<string>();
      for (const [at, step] of list.entries()) {
        const place = [...path, at];
        if (ids.has(step.id)) context.addIssue({ code: 'custom', path: [...place, 'id'], message: `is used twice: ${step.id}` });
        for (const [index, need] of (step.needs ?? []).entries()) {
          if (!before.has(need)) {
            const where = depth === 1 ? '' : ' in the same list';
            context.addIssue({
              code: 'custom',
              path: [...place, 'needs', index],
              message: `names no step above this one${where}: ${need}`,
              params: { given: need, known: [...before] } satisfies UnknownName,
            });
          }
        }
        ids.add(step.id);
        before.add(step.id);
        const { as } = step.forEach ?? {};
        if (as !== undefined && items.includes(as)) {
          const message = `names the items around the step already: ${as}; give these another name`;
          context.addIssue({ code: 'custom', path: [...place, 'forEach', 'as'], message });
        }
        for (const within of stepsWithin(step)) {
          const names = Object.keys(within.adds).filter((one) => one === as);
          check(within.steps, [...place, ...within.path], depth + 1, [...items, ...names]);
        }
      }
    };
    const lists = stepsOfFlow(spec);
    for (const { steps, path } of lists) check(steps, path, 1, []);
    const asked = new Set(lists.flatMap(({ steps }) => allSteps(steps)).flatMap(({ id, infer }) => (infer === undefined ? [] : [id])));
    const checkSchemas = (list: readonly FlowStep[], path: readonly (string | number)[]): void => {
      for (const [at, step] of list.entries()) {
        const { schemaOf } = step.review ?? {};
        if (schemaOf !== undefined && !asked.has(schemaOf)) {
          const message = `names no \`infer\` step of this flow: ${schemaOf}; there is ${[...asked].join(', ') || 'none'}`;
          context.addIssue({
            code: 'custom',
            path: [...path, at, 'review', 'schemaOf'],
            message,
            params: { given: schemaOf, known: [...asked] } satisfies UnknownName,
          });
        }
        for (const within of stepsWithin(step)) checkSchemas(within.steps, [...path, at, ...within.path]);
      }
    };
    for (const { steps, path } of lists) checkSchemas(steps, path);
    const { draft } = spec.onRequest ?? {};
    const followable = stepsOutsideItems(spec.steps).flatMap(({ id, infer }) => (infer === undefined ? [] : [id]));
    if (draft !== undefined && !followable.includes(draft)) {
      const message = `names no \`infer\` step among \`steps\` that is outside of each \`forEach\`: ${draft}; there is ${followable.join(', ') || 'none'}`;
      context.addIssue({ code: 'custom', path: ['onRequest', 'draft'], message });
    }
    const all = lists.flatMap(({ steps }) => allSteps(steps)).length;
    if (all > mostStepsOfFlow) {
      const message = `has ${all} steps, those within others included; ${mostStepsOfFlow} are the most`;
      context.addIssue({ code: 'custom', path: ['steps'], message });
    }
  });
export type FlowSpec = z.infer<typeof flowSpec>;

/** All steps of a list, those within others included, each before those within it. */
export function allSteps(steps: readonly FlowStep[]): FlowStep[] {
  return steps.flatMap((step) => [step, ...stepsWithin(step).flatMap((within) => allSteps(within.steps))]);
}

/** The steps that run at most once in a run, those within others included. */
function stepsOutsideItems(steps: readonly FlowStep[]): FlowStep[] {
  return steps.flatMap((step) => {
    const within = stepsWithin(step).filter(({ path: [kind] }) => kind !== 'forEach');
    return [step, ...within.flatMap((list) => stepsOutsideItems(list.steps))];
  });
}

/** The steps of its list that one step waits for, and those that it may read. */
export interface StepOrder {
  /** Ids of the steps that must have finished. */
  readonly needs: readonly string[];
  /**
   * Ids of the steps whose outputs the step may read: its needs, and all that they need in turn. Others may or may not have finished by then. A step
   * within another one may also read what that one may read.
   */
  readonly reads: readonly string[];
}

/** The order of a list of steps, one entry for each. */
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

/** The type of the event of a request that names none. */
export const usualRequestType = 'decision.requested';

/** True if no event but those of its requests starts a run of the flow. */
export function isForRequestsAlone(spec: Pick<FlowSpec, 'on' | 'onRequest'>): boolean {
  return spec.onRequest !== undefined && Object.values(spec.on).every((given) => given === undefined);
}

/** The sources and types of the events other than requests that start a run of the flow, if its `when` is met. Without sources: those of any. */
export function takenBy({ spec }: FlowDocument): { readonly sources?: string[]; readonly types: string[] } {
  const { sources, types = ['*'] } = spec.on;
  return { ...(sources !== undefined && { sources }), types: isForRequestsAlone(spec) ? [] : types };
}

/**
 * The conditions of a list of events for those that the flow can run on, before its types and its `when` are asked: none of requests for other flows. The
 * source of a request is the name of its flow.
 */
export function eventsFor({ metadata, spec }: FlowDocument): { readonly sources?: string[]; readonly runnableBy: string } {
  const { sources } = spec.on;
  const runnableBy = metadata.name;
  if (isForRequestsAlone(spec)) return { sources: [runnableBy], runnableBy };
  if (sources === undefined) return { runnableBy };
  return { sources: [...sources, ...(spec.onRequest === undefined ? [] : [runnableBy])], runnableBy };
}
