import { afterCall, closedBreaker, phaseOf, standardBreaker } from '#libs/retries';
import type { Breaker, BreakerRules, CallOutcome } from '#libs/retries';
import { counter, logger } from '#libs/tracing';
import type { ModelFailure } from './model.errors.js';
import { ModelOutage, ModelUnavailable } from './model.errors.js';

/**
 * The rules of {@link standardBreaker}, with ten calls as the least number. A run makes four calls in each try, and its tries end after half a minute, so an
 * outage is known before that. It uses up no tries.
 */
export const modelBreaker: BreakerRules = Object.freeze({ ...standardBreaker, minimumCalls: 10 });
/** Calls that may be under way at the same time to find out whether the model is back. */
const mostProbes = 3;
/** A call that was given less time says nothing about the model if none is left. */
const shortestTellingMs = 5_000;
/** Retries within ten seconds: so many, or a fifth of the calls, whichever is more. */
const freeRetries = 10;
const retryShare = 0.2;
const budgetMs = 10_000;
/** A circuit that nobody tries for so long after its opening counts as open no more. */
const unknownAfterMs = 600_000;

const openings = counter(
  'millrace_model_circuit_openings_total',
  'Times that calls of a model were stopped, because too many of a tenant’s calls failed.',
  { tenant: 'the tenant', provider: 'the name of the ModelProvider document; `-`: the provider of the installation', model: 'the model' },
);
const refusedRetries = counter(
  'millrace_model_retries_refused_total',
  'Retries of calls that were not made, because the budget of retries was used up: the step fails at once, and is tried again later.',
  { tenant: 'the tenant', model: 'the model' },
);
const log = logger('models');

/** The subject of a circuit: one tenant's calls of one model. */
export interface CircuitSubject {
  readonly tenant: string;
  /** The name of the ModelProvider document; null: the provider of the installation. */
  readonly provider: string | null;
  readonly model: string;
}

/** The permission for one call. */
export interface Passage {
  readonly beganAtMs: number;
  /** True for a call that is to find out whether the model is back. */
  readonly isProbe: boolean;
}

/**
 * Stops calls of a model while most of them fail, and keeps the budget of retries. It counts the calls of one tenant, so the input of one stops no other.
 * A failure while the model is taken to be away is a {@link ModelOutage}: it says nothing about the request.
 */
export class ModelCircuit {
  private breaker: Breaker = closedBreaker;
  private probes = 0;
  private window = { sinceMs: 0, calls: 0, retries: 0 };

  /** @param now a monotonic clock, in ms */
  constructor(
    readonly subject: CircuitSubject,
    private readonly now: () => number,
  ) {}

  /** True while calls are stopped, and for ten minutes after that if nobody has found out how the model is. */
  get isStopping(): boolean {
    const { openUntilMs } = this.breaker;
    return openUntilMs !== null && this.now() < openUntilMs + unknownAfterMs;
  }

  private get isOpen(): boolean {
    return this.breaker.openUntilMs !== null;
  }

  /** Refuses a caller who is about to wait for the turn of a call. @throws ModelOutage if no call may be made now */
  requirePassable(): void {
    if (phaseOf(this.breaker, this.now()) === 'open') throw this.outage();
  }

  /** @throws ModelOutage if no call may be made now */
  enter(): Passage {
    const beganAtMs = this.now();
    const phase = phaseOf(this.breaker, beganAtMs);
    if (phase === 'open' || (phase === 'halfOpen' && this.probes >= mostProbes)) throw this.outage();
    const isProbe = phase === 'halfOpen';
    if (isProbe) this.probes += 1;
    this.current(beganAtMs).calls += 1;
    return { beganAtMs, isProbe };
  }

  /**
   * Notes how the call ended. Called exactly once for each {@link enter}.
   * @param failure undefined: it succeeded, or the caller ended it
   * @returns the failure that the caller is to see
   */
  leave({ beganAtMs, isProbe }: Passage, failure: ModelFailure | undefined, { wasEnded = false } = {}): ModelFailure | undefined {
    const nowMs = this.now();
    if (isProbe) this.probes -= 1;
    const outcome = wasEnded ? undefined : outcomeOf(failure, nowMs - beganAtMs);
    if (outcome === undefined) return failure;
    const wasOpen = this.isOpen;
    this.breaker = afterCall(this.breaker, { outcome, beganAtMs }, nowMs, modelBreaker);
    if (this.isOpen !== wasOpen) this.tell(failure);
    return failure !== undefined && outcome !== 'answered' && this.isOpen ? this.outage(failure) : failure;
  }

  /** True if one more retry may be made: a provider that fails is not asked several times as often for it. */
  takeRetry(): boolean {
    const window = this.current(this.now());
    if (window.retries >= Math.max(freeRetries, window.calls * retryShare)) {
      refusedRetries.inc({ tenant: this.subject.tenant, model: this.subject.model });
      return false;
    }
    window.retries += 1;
    return true;
  }

  private current(nowMs: number): { calls: number; retries: number } {
    if (nowMs - this.window.sinceMs >= budgetMs) this.window = { sinceMs: nowMs, calls: 0, retries: 0 };
    return this.window;
  }

  private outage(cause?: ModelFailure): ModelOutage {
    const { model } = this.subject;
    const untilMs = this.breaker.openUntilMs ?? 0;
    const retryAfterMs = Math.max(modelBreaker.openMs / 5, untilMs - this.now());
    const last = cause === undefined ? '' : `. The last call: ${cause.message}`;
    return new ModelOutage(`Too many calls of the model ${model} failed, so few or none are made for now${last}`, { retryAfterMs, cause });
  }

  private tell(failure: ModelFailure | undefined): void {
    const { tenant, provider, model } = this.subject;
    const line = { tenant, provider, model };
    if (!this.isOpen) return log.warn(line, 'the model answers again, and is called as before');
    openings.inc({ tenant, provider: provider ?? '-', model });
    log.error({ ...line, reason: failure?.message }, 'too many calls of the model failed: few or none are made until it answers');
  }
}

/** Undefined for a call that says nothing about the model. */
function outcomeOf(failure: ModelFailure | undefined, durationMs: number): CallOutcome | undefined {
  if (!(failure instanceof ModelUnavailable)) return 'answered';
  if (failure.wasLate) return durationMs < shortestTellingMs ? undefined : 'unanswered';
  return failure.wasAnswered ? 'failed' : 'unanswered';
}
