import { compileExpression } from '#libs/expressions';
import type { Step } from '../step.js';

/** Computes a value; null where the expression yields nothing. */
export const mapStep: Step<'map'> = {
  compile: (spec) => {
    const expression = compileExpression(spec.expression);
    return async (scope) => ({ output: (await expression.evaluate(scope)) ?? null });
  },
};
