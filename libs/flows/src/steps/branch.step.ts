import type { Step } from '../step.js';

/** The case that was taken, by its place; null: none, so the steps of `else` run. */
type Choice = { case: number | null };

/** Takes the first case whose condition is true. The choice is stored before any of its steps can act, so a resumed run takes the same case. */
export const branchStep: Step<'branch'> = {
  hasSteps: true,
  compile: (spec, _, { expression, steps }) => {
    const cases = spec.cases.map((one) => ({ condition: expression(one.when), steps: steps(one.steps) }));
    const otherwise = steps(spec.else ?? []);
    return async (scope, { begin, runSteps }) => {
      const choose = async (): Promise<Choice> => {
        for (const [at, { condition }] of cases.entries()) if ((await condition.evaluate(scope)) === true) return { case: at };
        return { case: null };
      };
      const { case: taken } = await begin('choice', choose);
      return runSteps(taken === null ? otherwise : cases[taken]!.steps);
    };
  },
};
