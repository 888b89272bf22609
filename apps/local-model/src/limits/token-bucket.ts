const minuteMs = 60_000;

/** A budget per minute that refills evenly. It can go below zero, because some costs are known only afterwards. */
export class TokenBucket {
  private level: number;
  private at: number;

  constructor(
    /** The amount per minute, and the most that can be saved. */
    readonly limit: number,
    private readonly now: () => number,
  ) {
    this.level = limit;
    this.at = now();
  }

  /** Returns the time until `cost` can be taken; 0 if it can be now. A cost above the limit waits for a full bucket. */
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

  /** Time until the bucket is full again. */
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
