import { stepKinds } from '#libs/contracts';
import type { FlowStep, StepKind } from '#libs/contracts';
import type { ModelGateway } from '#libs/models';
import type { Step, StepWork } from './step.js';
import { deliverStep } from './steps/deliver.step.js';
import { inferStep } from './steps/infer.step.js';
import { mapStep } from './steps/map.step.js';
import { validateStep } from './steps/validate.step.js';

/** Every kind a flow document can name; a kind without its line here does not compile. */
export type StepKinds = { readonly [K in StepKind]: Step<K> };

export function stepKindsWith(models: ModelGateway): StepKinds {
  return {
    infer: inferStep(models),
    validate: validateStep,
    map: mapStep,
    deliver: deliverStep,
  };
}

export function compileStep(kinds: StepKinds, step: FlowStep): { kind: StepKind; work: StepWork } {
  for (const kind of stepKinds) {
    const compiled = compileAs(kinds, kind, step);
    if (compiled !== undefined) return compiled;
  }
  throw new Error(`The step ${step.id} is of no kind`);
}

function compileAs<K extends StepKind>(kinds: StepKinds, kind: K, step: FlowStep): { kind: K; work: StepWork } | undefined {
  const spec: FlowStep[K] = step[kind];
  return spec === undefined ? undefined : { kind, work: kinds[kind].compile(spec, step.id) };
}
