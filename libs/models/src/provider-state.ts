import type { ModelFailure } from './model.errors.js';
import { ModelMisconfigured } from './model.errors.js';

/** A misconfigured provider is tried again at most this often. */
const betweenTriesMs = 10_000;

/**
 * Keeps whether there is a model API at the provider's address. While there is none, one call or probe goes out every ten seconds, and all others fail
 * at once with the reason.
 */
export class ProviderState {
  private misconfigured: { readonly failure: ModelMisconfigured; triedAtMs: number } | undefined;

  /** @param now a monotonic clock, in ms */
  constructor(private readonly now: () => number) {}

  /** The reason why there is no use in calling the provider; undefined if there is none, or if it is time to try again. */
  takeReason(): ModelMisconfigured | undefined {
    if (this.misconfigured === undefined) return undefined;
    if (this.now() - this.misconfigured.triedAtMs < betweenTriesMs) return this.misconfigured.failure;
    this.misconfigured.triedAtMs = this.now();
    return undefined;
  }

  /** Notes how a call or probe ended; undefined: it succeeded. A provider that cannot be reached shows nothing about its address. */
  note(failure: ModelFailure | undefined): void {
    if (failure instanceof ModelMisconfigured) this.misconfigured = { failure, triedAtMs: this.now() };
    else if (failure?.code !== 'model.unavailable') this.misconfigured = undefined;
  }

  /** The failure that made the provider misconfigured; undefined while it is not. */
  get failure(): ModelMisconfigured | undefined {
    return this.misconfigured?.failure;
  }
}
