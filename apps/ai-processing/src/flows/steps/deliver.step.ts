import type { Json } from '#libs/json';
import type { Step } from '../step.js';

/** The delivery that the run plans once it is decided. Without a payload, the envelope around the run's decision is sent. */
export type DeliverOutput = {
  destination: string;
  payload?: Json;
};

/** Plans a delivery, which is sent once the whole run is decided. */
export const deliverStep: Step<'deliver'> = {
  compile: ({ destination, payload }, _, { expression }) => {
    if (payload === undefined) return () => Promise.resolve({ output: { destination } satisfies DeliverOutput });
    const compiled = expression(payload);
    return async (scope) => ({ output: { destination, payload: (await compiled.evaluate(scope)) ?? null } satisfies DeliverOutput });
  },
};
