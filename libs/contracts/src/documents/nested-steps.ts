import { z } from 'zod';

/** A step within another step. It is a `FlowStep`; TypeScript cannot infer the type of a schema that contains itself. */
export interface NestedStep {
  readonly id: string;
}

/** The most steps of one list. */
export const mostStepsOfList = 50;

let stepSchema: z.ZodType<NestedStep> | undefined;

/** Called once, where a step is declared: some kinds of steps contain steps, and a step is one of all kinds. */
export function declareNestedStep(schema: z.ZodType<NestedStep>): void {
  stepSchema = schema;
}

/** A list of steps within a step, under the same rules as the list of a flow. A kind that has one names it in `stepsWithin`. */
export const nestedSteps = z.array(z.lazy(() => stepSchema!)).max(mostStepsOfList);
