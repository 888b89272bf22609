import type { Step } from '../step.js';

/** Reads by an operation of a connection. The stored output is what every later try of the run sees. */
export const enrichStep: Step<'enrich'> = {
  compile: ({ connection, operation, input, cache }, _, { expression, operations }) => {
    const compiled = expression(input ?? 'event.data');
    return async (scope, { path, signal, call, noteInput }) => {
      const data = (await compiled.evaluate(scope)) ?? null;
      noteInput(data);
      return { output: await operations.read({ step: path, connection, operation, input: data, signal }, cache, call) };
    };
  },
};
