import { stepKinds } from '#libs/contracts';
import type { FlowStep, StepKind } from '#libs/contracts';
import type { CompiledStep, Step, StepServices } from './step.js';
import { steps } from './steps.generated.js';

/** A kind of the contract that has no file in `steps` does not compile here. */
const implementations: { readonly [K in StepKind]: Step<K> } = steps;

export function compileStep(step: FlowStep, services: StepServices): Pick<CompiledStep, 'kind' | 'work' | 'hasSteps'> {
  for (const kind of stepKinds) {
    const compiled = compileAs(kind, step, services);
    if (compiled !== undefined) return compiled;
  }
  throw new Error(`The step ${step.id} is of no kind`);
}

function compileAs<K extends StepKind>(
  kind: K,
  step: FlowStep,
  services: StepServices,
): ({ kind: K } & Pick<CompiledStep, 'work' | 'hasSteps'>) | undefined {
  const spec: FlowStep[K] = step[kind];
  if (spec === undefined) return undefined;
  const implementation = implementations[kind];
  const { hasSteps = false } = implementation;
  const work = implementation.compile(spec, step.id, services);
  return { kind, work, hasSteps: typeof hasSteps === 'boolean' ? hasSteps : hasSteps(spec) };
}
