import { stepKinds } from '#libs/contracts';
import type { FlowStep, StepKind } from '#libs/contracts';
import type { Step, StepServices, StepWork } from './step.js';
import { steps } from './steps.generated.js';

/** A kind of the contract that has no file in `steps` does not compile here. */
const implementations: { readonly [K in StepKind]: Step<K> } = steps;

export function compileStep(step: FlowStep, services: StepServices): { kind: StepKind; work: StepWork } {
  for (const kind of stepKinds) {
    const compiled = compileAs(kind, step, services);
    if (compiled !== undefined) return compiled;
  }
  throw new Error(`The step ${step.id} is of no kind`);
}

function compileAs<K extends StepKind>(kind: K, step: FlowStep, services: StepServices): { kind: K; work: StepWork } | undefined {
  const spec: FlowStep[K] = step[kind];
  return spec === undefined ? undefined : { kind, work: implementations[kind].compile(spec, step.id, services) };
}
