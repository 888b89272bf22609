import { gauge, logger } from '#libs/tracing';
import type { ModelFailure } from './model.errors.js';
import { ModelKeyRefused, ModelMisconfigured } from './model.errors.js';

const log = logger('models');

const states = ['usable', 'misconfigured', 'key_refused'] as const;
/** A provider of the installation serves every tenant. */
const owners = ['installation', 'tenant'] as const;
const kept = new Set<ProviderState>();
gauge(
  'millrace_model_providers',
  'Model providers that this process uses by state: `usable`, `misconfigured` (no model API at the address), `key_refused`. While one is not usable, runs that ask no other one wait.',
  { state: states, owner: owners },
  (providers) => {
    for (const owner of owners) {
      const present = [...kept].filter((one) => one.owner === owner).map(({ state }) => state);
      for (const state of states) providers.set({ state, owner }, present.filter((one) => one === state).length);
    }
  },
);

/** A provider that takes no request is tried again at most this often. */
const betweenTriesMs = 10_000;

/** The failures that every request to the provider has until an operator mends the settings. */
export type ProviderUnusable = ModelMisconfigured | ModelKeyRefused;

/**
 * Keeps whether there is a model API at the provider's address, and whether it takes the key. While it does not, one call or probe goes out every ten
 * seconds, and all others fail at once with the reason.
 */
export class ProviderState {
  /** `stated` is the last failure that the provider itself reported. */
  private unusable: { readonly failure: ProviderUnusable; readonly stated: ProviderUnusable; triedAtMs: number } | undefined;

  /**
   * @param now a monotonic clock, in ms
   * @param owner whose provider it is
   * @param remedy what an operator is to look at if the provider takes no request
   */
  constructor(
    private readonly now: () => number,
    readonly owner: (typeof owners)[number],
    private readonly remedy: string,
  ) {
    kept.add(this);
  }

  /** Ends the count of this provider among those in use. */
  forget(): void {
    kept.delete(this);
  }

  /** The reason why there is no use in calling the provider; undefined if there is none, or if it is time to try again. */
  takeReason(): ProviderUnusable | undefined {
    if (this.unusable === undefined) return undefined;
    if (this.now() - this.unusable.triedAtMs < betweenTriesMs) return this.unusable.failure;
    this.unusable.triedAtMs = this.now();
    return undefined;
  }

  /**
   * Notes how a call or probe ended; undefined: it succeeded. A provider that cannot be reached shows nothing about its address and the key, so the
   * reason stays, with what the last try brought. Each change is logged once.
   */
  note(failure: ModelFailure | undefined): void {
    if (failure instanceof ModelMisconfigured || failure instanceof ModelKeyRefused) {
      const reason = failure.message;
      if (this.unusable === undefined)
        log.error({ reason }, `check ${this.remedy}; runs that have no other model wait until the provider takes requests`);
      this.unusable = { failure, stated: failure, triedAtMs: this.now() };
    } else if (this.unusable !== undefined && failure?.code === 'model.unavailable') {
      const { stated } = this.unusable;
      const Unusable = stated instanceof ModelMisconfigured ? ModelMisconfigured : ModelKeyRefused;
      this.unusable = { ...this.unusable, failure: new Unusable(`${stated.message}. The last try: ${failure.message}`, { cause: stated }) };
    } else if (failure?.code !== 'model.unavailable') {
      if (this.unusable === undefined) return;
      log.warn('the model provider takes requests again');
      this.unusable = undefined;
    }
  }

  get state(): (typeof states)[number] {
    const { failure } = this;
    return failure === undefined ? 'usable' : failure instanceof ModelMisconfigured ? 'misconfigured' : 'key_refused';
  }

  /** The reason why the provider takes no request; undefined while it may take some. */
  get failure(): ProviderUnusable | undefined {
    return this.unusable?.failure;
  }
}
