import type { FlowServices, StoredStep, TenantOperations } from '#libs/flows';
import { ActsOutside } from './trial.errors.js';

/** The systems that the steps of one trial of one event reach: models and reads as in a run, in the low lane, and nothing that acts. */
export class TriedServices implements FlowServices {
  /** The path of the first step that would have acted before the run waits; undefined if there is none. */
  actedAt: string | undefined;
  /** True: a run would have waited, so that it does by itself what follows. */
  hasWaited = false;
  readonly models: FlowServices['models'];

  /** @param outputs by path: the outputs of steps that act, from an earlier run */
  constructor(
    private readonly real: FlowServices,
    private readonly outputs: (step: string) => StoredStep | undefined,
  ) {
    this.models = { infer: (request) => real.models.infer({ ...request, lane: 'low' }) };
  }

  readonly operations = {
    of: (tenant: string): TenantOperations => {
      const real = this.real.operations.of(tenant);
      return {
        read: (operation, caching, send) => real.read(operation, caching, send),
        call: (operation) => {
          if (!this.hasWaited) this.actedAt ??= operation.step;
          const stored = this.outputs(operation.step);
          return stored === undefined ? Promise.reject(new ActsOutside(operation.step)) : Promise.resolve(stored.output);
        },
      };
    },
  };
}
