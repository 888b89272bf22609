import { compileExpression } from '#libs/expressions';
import type { ModelGateway } from '#libs/models';
import type { Step } from '../step.js';

/** Asks a model. Its output fits the schema, or the step fails. */
export function inferStep(models: ModelGateway): Step<'infer'> {
  return {
    compile: (spec, id) => {
      const input = compileExpression(spec.input ?? 'event.data');
      return async (scope, { signal, beforeAsking, onModelAttempt }) => {
        const asked = (await input.evaluate(scope)) ?? null;
        await beforeAsking();
        const inference = await models.infer({
          model: spec.model,
          instructions: spec.instructions,
          input: asked,
          outputSchema: spec.output,
          schemaName: id,
          temperature: spec.temperature,
          maxOutputTokens: spec.maxOutputTokens,
          timeoutMs: spec.timeoutMs,
          signal,
          onAttempt: onModelAttempt,
        });
        return {
          output: inference.output,
          inference: {
            model: spec.model,
            responseModel: inference.responseModel,
            inputTokens: inference.usage?.inputTokens ?? null,
            outputTokens: inference.usage?.outputTokens ?? null,
          },
        };
      };
    },
  };
}
