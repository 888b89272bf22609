import type { Step } from '../step.js';

/** Calls a model. Its output fits the schema, or the step fails. */
export const inferStep: Step<'infer'> = {
  compile: (spec, id, { models, expression, schema }) => {
    const input = expression(spec.input ?? 'event.data');
    const outputSchema = schema(spec.output);
    return async (scope, { signal, call }) => {
      const data = (await input.evaluate(scope)) ?? null;
      const { output, responseModel, usage } = await call((record) =>
        models.infer({
          model: spec.model,
          instructions: spec.instructions,
          input: data,
          outputSchema,
          schemaName: id,
          temperature: spec.temperature,
          maxOutputTokens: spec.maxOutputTokens,
          timeoutMs: spec.timeoutMs,
          signal,
          onAttempt: (attempt) => record({ kind: 'model', ...attempt }),
        }),
      );
      const inference = {
        model: spec.model,
        responseModel,
        inputTokens: usage?.inputTokens ?? null,
        outputTokens: usage?.outputTokens ?? null,
      };
      return { output, inference };
    };
  },
};
