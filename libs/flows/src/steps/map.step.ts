import type { Step } from '../step.js';

/** Computes a value; null where the expression yields nothing. */
export const mapStep: Step<'map'> = {
  compile: (spec, _, { expression }) => {
    const compiled = expression(spec.expression);
    return async (scope) => ({ output: (await compiled.evaluate(scope)) ?? null });
  },
};
