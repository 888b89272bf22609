/** The share of an item that has to be expected within the time for a batch to wait for it. */
const worthIt = 0.5;
/** The rate is that of the last so many lingering times. */
const windows = 20;

/**
 * Decides how long the first item of a batch waits for further ones. While items come rarely, a wait would delay each of them and gather nothing, so there
 * is none.
 */
export class Linger {
  /** Items of the last time, the older ones weigh less. */
  private recent = 0;
  private lastAtMs = -Infinity;

  /** @param ms how long a batch waits while items come often */
  constructor(private readonly ms: number) {}

  /** To be called for each item. */
  arrived(nowMs = performance.now()): void {
    this.recent = this.recentAt(nowMs) + 1;
    this.lastAtMs = nowMs;
  }

  /** The wait of a batch that begins with the item that arrived last, ms: all or nothing of the time given. */
  get waitMs(): number {
    return (this.recent - 1) / windows >= worthIt ? this.ms : 0;
  }

  private recentAt(nowMs: number): number {
    return this.ms > 0 ? this.recent * Math.exp((this.lastAtMs - nowMs) / (windows * this.ms)) : 0;
  }
}
