import type { FlowStep } from '#libs/contracts';
import type { Expression } from '#libs/expressions';
import type { Json } from '#libs/json';
import type { OutputChecks } from '#libs/models';
import type { Step, StepInput, StepServices } from '../step.js';

type InferSpec = NonNullable<FlowStep['infer']>;

/** Calls a model. Its output passes all gates, or the step fails. */
export const inferStep: Step<'infer'> = {
  compile: (spec, id, { tenant, flow, models, expression, schema }) => {
    const target = spec.route === undefined ? { model: spec.model!, provider: spec.provider } : { route: spec.route };
    const input = expression(spec.input ?? 'event.data');
    const outputSchema = schema(spec.output);
    const checksFor = compileChecks(spec, expression);
    return async (scope, { path, lane, signal, call, observer, noteInput }) => {
      const data = (await input.evaluate(scope)) ?? null;
      noteInput(data);
      const checks = await checksFor(scope, data);
      const { output, model, responseModel, usage } = await call((record) =>
        models.infer({
          tenant,
          flow,
          step: path,
          customer: scope.event.customer,
          lane,
          target,
          instructions: spec.instructions,
          input: data,
          outputSchema,
          checks,
          prompt: { datamark: spec.datamark, maxInputLength: spec.maxInputLength },
          schemaName: id,
          cache: spec.cache,
          temperature: spec.temperature,
          maxOutputTokens: spec.maxOutputTokens,
          timeoutMs: spec.timeoutMs,
          signal,
          observer,
          onAttempt: (attempt) => record({ kind: 'model', ...attempt }),
        }),
      );
      const inference = {
        model,
        responseModel,
        inputTokens: usage?.inputTokens ?? null,
        outputTokens: usage?.outputTokens ?? null,
      };
      return { output, inference };
    };
  },
};

/** The checks of the outputs for one input. @throws ExpressionFailed, EvaluationsBusy by rejection only */
function compileChecks(
  { rules = [], grounded = [], markup }: InferSpec,
  expression: StepServices['expression'],
): (scope: StepInput, input: Json) => Promise<OutputChecks> {
  const compiledRules = rules.map(({ name, message, check }) => ({ name, message, check: expression(check) }));
  const compiledFields = grounded.map(({ field, as, in: source }) => ({
    field,
    as,
    source: source === undefined ? undefined : expression(source),
  }));
  return async (scope, input) => ({
    rules: compiledRules.map(({ name, message, check }) => ({
      name,
      message,
      holds: async (output) => (await check.evaluate({ ...scope, input, value: output })) === true,
    })),
    grounded: await Promise.all(
      compiledFields.map(async ({ field, as, source }) => ({ field, as, ...(source && { source: await valueOf(source, scope) }) })),
    ),
    ...(markup && { markup }),
  });
}

async function valueOf(source: Expression, scope: StepInput): Promise<Json> {
  return (await source.evaluate(scope)) ?? null;
}
