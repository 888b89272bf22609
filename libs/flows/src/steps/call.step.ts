import type { FlowStep } from '#libs/contracts';
import type { Step, StepServices, StepWork } from '../step.js';

type Spec = NonNullable<FlowStep['call']>;
type CalledFlow = Extract<Spec, { flow: string }>;
type CalledOperation = Exclude<Spec, CalledFlow>;

/** Runs another flow within this one, or acts by an operation of a connection. */
export const callStep: Step<'call'> = {
  hasSteps: (spec) => 'flow' in spec,
  compile: (spec, _, services) => ('flow' in spec ? flowWork(spec, services) : operationWork(spec, services)),
};

/** The version of the flow and its input are stored before any of its steps can act, so a resumed run goes on with them. */
function flowWork({ flow, input }: CalledFlow, { expression }: StepServices): StepWork {
  const data = expression(input ?? 'event.data');
  return async (scope, { begin, currentVersion, runFlow }) => {
    const called = await begin('flow', async () => ({
      flow,
      version: currentVersion(flow),
      input: (await data.evaluate(scope)) ?? null,
    }));
    return runFlow(called.flow, called.version, called.input);
  };
}

/** The output of the operation is stored, so a later try of the run does not send it again. */
function operationWork(spec: CalledOperation, { expression, operations }: StepServices): StepWork {
  const { connection, operation, atLeastOnce, idempotency } = spec;
  const input = expression(spec.input ?? 'event.data');
  return async (scope, { path, signal, requireClaim, call, effectKey, reachedAt, noteInput }) => {
    const data = (await input.evaluate(scope)) ?? null;
    noteInput(data);
    const made = {
      step: path,
      connection,
      operation,
      input: data,
      signal,
      requireClaim,
      effectKey: effectKey(),
      reachedAt: reachedAt(),
      atLeastOnce,
      idempotency,
    };
    return { output: await operations.call(made, call) };
  };
}
