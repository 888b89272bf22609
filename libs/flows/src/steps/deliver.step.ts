import type { Json } from '#libs/json';
import type { Step } from '../step.js';

/** The delivery that the run plans once it is decided. Without a payload, the envelope around the run's decision is sent. */
export type DeliverOutput = {
  destination: string;
  payload?: Json;
  /** Present if it is true. */
  atLeastOnce?: true;
};

/** Plans a delivery, which is sent once the whole run is decided. */
export const deliverStep: Step<'deliver'> = {
  compile: ({ destination, payload, atLeastOnce }, _, { expression }) => {
    const planned: DeliverOutput = { destination, ...(atLeastOnce ? { atLeastOnce } : {}) };
    if (payload === undefined) return () => Promise.resolve({ output: planned });
    const compiled = expression(payload);
    return async (scope) => ({ output: { ...planned, payload: (await compiled.evaluate(scope)) ?? null } satisfies DeliverOutput });
  },
};
