import { sleep } from '#libs/time';

/** The clock of an operation. Tests replace it. */
export interface OperationClock {
  /** In ms. */
  readonly now: () => number;
  /** @throws the signal's reason as soon as it aborts */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

export const systemClock: OperationClock = { now: () => performance.now(), sleep };

/** Spreads items evenly over time, so many a second. Unused time is not made up for, so no burst follows an outage of the log. */
export class Pace {
  private nextAt: number;

  constructor(
    private readonly perSecond: number,
    private readonly clock: OperationClock,
  ) {
    this.nextAt = clock.now();
  }

  /** Resolves when `count` items may go. @throws the signal's reason as soon as it aborts */
  async pass(count: number, signal: AbortSignal): Promise<void> {
    const waitMs = this.nextAt - this.clock.now();
    if (waitMs > 0) await this.clock.sleep(waitMs, signal);
    signal.throwIfAborted();
    this.nextAt = Math.max(this.nextAt, this.clock.now()) + (count * 1_000) / this.perSecond;
  }
}
