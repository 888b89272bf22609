export interface ProcessorShareOptions {
  /** Processors that one owner may take over time; 0.25 is a quarter of one. */
  readonly share: number;
  /** Processor time that an owner may take at once before it has to rest, in ms. */
  readonly burstMs: number;
  /** In ms; default: the monotonic clock. */
  readonly now?: () => number;
}

/** Limits the processor time of each owner: a token bucket per owner. One who took more than the burst rests until its share has made up for it. */
export class ProcessorShare {
  /** The time at which an owner has made up for all that it took. The one that took something longest ago stands first. */
  private readonly paidAt = new Map<string, number>();
  private readonly now: () => number;

  constructor(private readonly options: ProcessorShareOptions) {
    this.now = options.now ?? ((): number => performance.now());
  }

  /** @param ms processor time that the owner took */
  spend(owner: string, ms: number): void {
    const from = Math.max(this.paidAt.get(owner) ?? 0, this.now());
    this.paidAt.delete(owner);
    for (const [other, paidAt] of this.paidAt) {
      if (paidAt > this.now()) break;
      this.paidAt.delete(other); // so that owners of the past take no memory
    }
    this.paidAt.set(owner, from + ms / this.options.share);
  }

  /** How long the owner has to rest, in ms; 0 if it need not. */
  restMs(owner: string): number {
    const paidAt = this.paidAt.get(owner) ?? 0;
    return Math.max(paidAt - this.now() - this.options.burstMs / this.options.share, 0);
  }
}
