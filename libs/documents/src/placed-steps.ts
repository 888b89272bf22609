import { stepsOfFlow, stepsWithin } from '#libs/contracts';
import type { FlowSpec, FlowStep } from '#libs/contracts';

/** A step with its place in the document. */
export interface PlacedStep {
  readonly step: FlowStep;
  readonly path: readonly string[];
}

/** All steps of a flow, those within others included, each before those within it. */
export function placedSteps(spec: FlowSpec): PlacedStep[] {
  return stepsOfFlow(spec).flatMap(({ steps, path }) => placed(steps, ['spec', ...path.map(String)]));
}

function placed(steps: readonly FlowStep[], path: readonly string[]): PlacedStep[] {
  return steps.flatMap((step, at) => {
    const here = [...path, String(at)];
    const within = stepsWithin(step).flatMap((list) => placed(list.steps, [...here, ...list.path.map(String)]));
    return [{ step, path: here }, ...within];
  });
}
