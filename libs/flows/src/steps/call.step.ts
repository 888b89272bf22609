import type { Step } from '../step.js';

/** Runs another flow within this one. Its version and input are stored before any of its steps can act, so a resumed run goes on with them. */
export const callStep: Step<'call'> = {
  hasSteps: true,
  compile: ({ flow, input }, _, { expression }) => {
    const data = expression(input ?? 'event.data');
    return async (scope, { begin, currentVersion, runFlow }) => {
      const called = await begin('flow', async () => ({
        flow,
        version: currentVersion(flow),
        input: (await data.evaluate(scope)) ?? null,
      }));
      return runFlow(called.flow, called.version, called.input);
    };
  },
};
