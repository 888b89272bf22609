import type { LimitStore } from '#libs/limits';
import { LruMap } from '#libs/lru';
import { gauge } from '#libs/tracing';
import { Deadline } from './deadline.js';
import { ModelCircuit } from './model-circuit.js';
import type { CircuitSubject } from './model-circuit.js';
import { ModelLimiter } from './model-limiter.js';
import type { ModelLimits } from './model-limits.js';
import type { ModelProvider, ProviderCallOptions } from './model-provider.js';
import {
  ModelAnswerTooLarge,
  ModelCredentialRefused,
  ModelFailure,
  ModelKeyRefused,
  ModelLimited,
  ModelMisconfigured,
  ModelRefused,
  ModelUnavailable,
} from './model.errors.js';
import { ProviderState } from './provider-state.js';

const probeTimeoutMs = 10_000;
/** Circuits of one endpoint that are kept. One that is forgotten begins anew as closed. */
const mostCircuits = 10_000;
const mostLimiters = 1_000;

const inUse = new Set<ModelEndpoint>();
gauge(
  'millrace_model_circuits_open',
  'Pairs of tenant and model of which this process makes no calls, or only a few to find out, because too many failed.',
  {},
  (open) => open.set([...inUse].reduce((sum, endpoint) => sum + endpoint.openCircuits, 0)),
);

export interface Clock {
  /** In ms. It never goes back. */
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

export interface ModelEndpointOptions {
  /** The endpoint closes it. */
  provider: ModelProvider;
  /** The name of its ModelProvider document; null: the installation names it. */
  name: string | null;
  /** Names its credential among all whose limits `limitStore` keeps. */
  scope: string;
  limitStore: LimitStore;
  /** Limits of each model for which a candidate names none. Default: there are none. */
  limits?: ModelLimits | undefined;
  clock: Clock;
  /** The place in which an operator mends its address and its key, for a line of the log. */
  remedy: string;
}

/** One provider with what is known of it: whether it takes requests with its key, and which of its models answer. */
export class ModelEndpoint {
  readonly provider: ModelProvider;
  readonly name: string | null;
  private readonly now: () => number;
  private readonly state: ProviderState;
  private readonly limiters = new LruMap<string, ModelLimiter>(mostLimiters);
  private readonly circuits = new LruMap<string, ModelCircuit>(mostCircuits);

  constructor(private readonly options: ModelEndpointOptions) {
    const { provider, name, clock, remedy } = options;
    this.provider = provider;
    this.name = name;
    this.now = clock.now;
    this.state = new ProviderState(clock.now, name === null ? 'installation' : 'tenant', remedy);
    inUse.add(this);
  }

  /** The address that requests are sent to, without credentials. */
  get address(): string {
    return this.provider.server.href;
  }

  get openCircuits(): number {
    return this.outages().length;
  }

  /** The tenants and models of which this process makes no calls, or only a few. */
  outages(): CircuitSubject[] {
    return [...this.circuits.values()].filter(({ isStopping }) => isStopping).map(({ subject }) => subject);
  }

  circuitOf(tenant: string, model: string): ModelCircuit {
    return this.circuits.getOrMake(`${tenant}/${model}`, () => new ModelCircuit({ tenant, provider: this.name, model }, this.now));
  }

  /** @param limits as configured for this endpoint; they do not change */
  limiterOf(model: string, limits: ModelLimits = this.options.limits ?? {}): ModelLimiter {
    const { scope, limitStore: store, clock } = this.options;
    return this.limiters.getOrMake(model, () => new ModelLimiter({ scope: `${scope}/${model}`, model, store, clock, limits }));
  }

  /** @throws ModelMisconfigured or ModelKeyRefused while there is no use in a call */
  requireUsable(): void {
    const reason = this.state.takeReason();
    if (reason !== undefined) throw reason;
  }

  /** Notes how a call ended; undefined: it succeeded. */
  note(failure: ModelFailure | undefined): void {
    this.state.note(failure);
  }

  /**
   * Finds out whether there is a model API at the address, and whether it takes the key. Every call does the same.
   * @throws ModelMisconfigured, ModelKeyRefused, ModelUnavailable
   */
  async check(signal?: AbortSignal): Promise<void> {
    using deadline = new Deadline(probeTimeoutMs, signal, this.now);
    const failure = await this.probe(deadline);
    this.state.note(failure);
    if (failure !== undefined) throw failure;
  }

  /**
   * Checks the provider, and asks it for the names of its models. Empty if it does not list them: a provider that takes probes may refuse this key the list,
   * or have something else at its address.
   * @throws ModelMisconfigured, ModelKeyRefused, ModelUnavailable, ModelLimited
   */
  async models(signal?: AbortSignal): Promise<readonly string[]> {
    await this.check(signal);
    using deadline = new Deadline(probeTimeoutMs, signal, this.now);
    try {
      return await this.provider.models(callOptions(deadline));
    } catch (error) {
      const failure = failureWithin(deadline, error);
      if (failure instanceof ModelUnavailable || failure instanceof ModelLimited) throw failure;
      return [];
    }
  }

  /** Checks a provider that takes no request again if that is due. @throws ModelMisconfigured or ModelKeyRefused as long as it does not */
  async ready(): Promise<void> {
    if (this.state.failure === undefined) return;
    if (this.state.takeReason() === undefined) await this.check().catch(() => undefined);
    if (this.state.failure !== undefined) throw this.state.failure;
  }

  /**
   * Finds out whether a failure concerns the one request: then the API takes a probe, and the request is refused for good. A key without credit takes a
   * probe, too, and is still refused. An answer that is too large or unlike any of a model API keeps its class, unless a probe shows that no model API is
   * there.
   */
  async settled(failure: ModelFailure, deadline: Deadline): Promise<ModelFailure> {
    if (failure instanceof ModelAnswerTooLarge || (failure instanceof ModelUnavailable && failure.mayConcernRequest)) {
      const ofProbe = await this.probe(deadline);
      return ofProbe instanceof ModelMisconfigured ? ofProbe : failure;
    }
    if (failure instanceof ModelCredentialRefused || failure.mayConcernRequest) {
      const ofProbe = await this.probe(deadline);
      if (ofProbe?.code === failure.code) return this.ofEveryRequest(failure);
      const details = { providerRequestId: failure.providerRequestId, cause: failure };
      if (failure.mayConcernRequest && ofProbe === undefined) return new ModelRefused(failure.message, details);
      if (failure.mayConcernRequest) return new ModelUnavailable(failure.message, details);
    }
    return failure instanceof ModelMisconfigured ? this.ofEveryRequest(failure) : failure;
  }

  /** Waits for calls under way, then closes the connections. */
  async close(): Promise<void> {
    inUse.delete(this);
    this.state.forget();
    await this.provider.close();
  }

  /** Sends a probe. Returns its failure; undefined if it is taken. */
  private async probe(deadline: Deadline): Promise<ModelFailure | undefined> {
    try {
      await this.provider.probe(callOptions(deadline));
      return undefined;
    } catch (error) {
      return this.ofEveryRequest(failureWithin(deadline, error));
    }
  }

  /** The failure of a provider that takes no request, with its address; any other as it is. */
  private ofEveryRequest(failure: ModelFailure): ModelFailure {
    const details = { providerRequestId: failure.providerRequestId, cause: failure };
    if (failure instanceof ModelMisconfigured)
      return new ModelMisconfigured(`There is no model API at POST ${this.address}. ${failure.message}`, details);
    if (failure instanceof ModelCredentialRefused)
      return new ModelKeyRefused(`The key is refused at POST ${this.address}. ${failure.message}`, details);
    return failure;
  }
}

/** Longer than any deadline, which ends the call by its signal. One value for all calls, because clients prepare requests for each. */
const longestCallMs = 24 * 3_600_000;

export function callOptions({ signal }: Deadline): ProviderCallOptions {
  return { signal, timeoutMs: longestCallMs };
}

/**
 * The failure of a call: the provider's, or the deadline's if that has passed.
 * @throws the reason of the caller's signal if that ended the call; the error itself if it is a defect
 */
export function failureWithin(deadline: Deadline, error: unknown): ModelFailure {
  if (deadline.passed)
    return new ModelUnavailable(`The model did not answer within ${deadline.timeoutMs} ms`, { by: 'deadline', cause: error });
  deadline.signal.throwIfAborted();
  if (error instanceof ModelFailure) return error;
  throw error;
}
