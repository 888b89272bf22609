import { ValidationFailed } from '../flow.errors.js';
import type { Step } from '../step.js';

/** Outputs its input unchanged, or fails with all broken rules at once. */
export const validateStep: Step<'validate'> = {
  compile: (spec, id, { expression, schema: compileSchema }) => {
    const input = expression(spec.input);
    const schema = spec.schema === undefined ? undefined : compileSchema(spec.schema);
    const rules = spec.rules.map(({ check, message }) => ({ check: expression(check), message }));
    return async (scope) => {
      const value = (await input.evaluate(scope)) ?? null;
      const problems = [...((await schema?.problemsOf(value)) ?? [])];
      for (const { check, message } of rules) {
        if ((await check.evaluate({ ...scope, value })) !== true) problems.push(message);
      }
      if (problems.length > 0) throw new ValidationFailed(id, problems);
      return { output: value };
    };
  },
};
