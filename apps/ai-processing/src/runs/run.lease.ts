import { RunLeaseLost } from './run.errors.js';

/** Keeps a claim alive while its run is at work, and says when it is not ours any more. */
export class RunLease implements Disposable {
  private readonly lost = new AbortController();
  /** Aborted when the claim is lost, or with the signal given. */
  readonly signal: AbortSignal;
  private timer: NodeJS.Timeout | undefined;
  private renewedAt: number;

  /**
   * @param renew resolves with false where the claim is gone; may throw where storage is away, which counts as lost before the claim runs out
   * @param now in ms
   */
  constructor(
    private readonly runId: string,
    private readonly leaseMs: number,
    private readonly renew: () => Promise<boolean>,
    outer: AbortSignal,
    private readonly now: () => number = Date.now,
  ) {
    this.signal = AbortSignal.any([this.lost.signal, outer]);
    this.renewedAt = now();
    this.schedule();
  }

  get isLost(): boolean {
    return this.lost.signal.aborted;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private schedule(): void {
    this.timer = setTimeout(() => void this.tick(), this.leaseMs / 3);
  }

  private async tick(): Promise<void> {
    const startedAt = this.now();
    const renewed = await this.renew().catch(() => undefined);
    if (this.timer === undefined) return;
    if (renewed === true) this.renewedAt = startedAt;
    // Without an answer from storage, the work ends while the claim certainly still holds.
    if (renewed === false || this.now() - this.renewedAt > this.leaseMs / 2) this.lost.abort(new RunLeaseLost(this.runId));
    else this.schedule();
  }
}
