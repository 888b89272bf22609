import { Periodically } from './periodically.js';

export interface RenewingLeaseOptions {
  /** The length of the claim, ms; it is renewed every third of it. */
  readonly leaseMs: number;
  /** Resolves with false if the claim is gone. May throw while storage is away. */
  readonly renew: () => Promise<boolean>;
  /** Also ends the work: the signal of whoever asked for it. */
  readonly outer: AbortSignal;
  /** Makes the reason that the signal aborts with. */
  readonly lost: () => Error;
}

/**
 * Renews a claim that did not come from a {@link ClaimLoop}, until it is disposed. The claim counts as lost when `renew` says so, and also when
 * storage has confirmed no renewal for half its length: the work then ends while the claim certainly still holds.
 */
export class RenewingLease implements Disposable {
  private readonly lost = new AbortController();
  private readonly renewals: Periodically;
  private renewedAtMs = performance.now();
  /** Aborts when the claim is lost, or with the outer signal. */
  readonly signal: AbortSignal;

  constructor(private readonly options: RenewingLeaseOptions) {
    this.signal = AbortSignal.any([this.lost.signal, options.outer]);
    this.renewals = new Periodically('renewing a claim', options.leaseMs / 3, (disposed) => this.renew(disposed));
    this.renewals.start();
  }

  get isLost(): boolean {
    return this.lost.signal.aborted;
  }

  /**
   * Compares the claim with the clock. A process that stood still learns of it here before its timers run, so work that must not happen twice calls this
   * right before it acts. @throws the reason that the signal aborts with
   */
  requireHeld(): void {
    this.signal.throwIfAborted();
    if (performance.now() - this.renewedAtMs >= this.options.leaseMs) throw this.options.lost();
  }

  [Symbol.dispose](): void {
    void this.renewals.stop();
  }

  private async renew(disposed: AbortSignal): Promise<void> {
    const startedAtMs = performance.now();
    const renewed = await this.options.renew().catch(() => undefined);
    if (disposed.aborted) return;
    if (renewed === true) this.renewedAtMs = startedAtMs;
    if (renewed !== false && performance.now() - this.renewedAtMs <= this.options.leaseMs / 2) return;
    this.lost.abort(this.options.lost());
    void this.renewals.stop();
  }
}
