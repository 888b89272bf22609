const minuteMs = 60_000;

/** A budget per minute that refills evenly. It can be overdrawn: what was not known beforehand is settled afterwards. */
export class TokenBucket {
  private level: number;
  private at: number;

  constructor(
    /** Per minute, and at most saved up. */
    readonly limit: number,
    private readonly now: () => number,
  ) {
    this.level = limit;
    this.at = now();
  }

  /** How long until `cost` could be taken; 0 where it can be now. A cost above the limit waits for a full bucket. */
  waitMsFor(cost: number): number {
    const missing = Math.min(cost, this.limit) - this.refilled();
    return missing <= 0 ? 0 : Math.ceil((missing / this.limit) * minuteMs);
  }

  take(cost: number): void {
    this.level = this.refilled() - cost;
  }

  get remaining(): number {
    return Math.max(0, Math.floor(this.refilled()));
  }

  /** How long until the bucket is full again. */
  get resetMs(): number {
    return Math.ceil(((this.limit - this.refilled()) / this.limit) * minuteMs);
  }

  private refilled(): number {
    const now = this.now();
    this.level = Math.min(this.limit, this.level + ((now - this.at) / minuteMs) * this.limit);
    this.at = now;
    return this.level;
  }
}
