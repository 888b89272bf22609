import { sleep } from '#libs/retries';

/** The time that an operation keeps to. */
export interface Clock {
  /** In ms. */
  readonly now: () => number;
  /** @throws the signal's reason as soon as it aborts */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

export const systemClock: Clock = { now: () => performance.now(), sleep };

/** Lets so many pass a second, evenly. Time that nobody used is not made up for: after an outage of the log there is no burst. */
export class Pace {
  private nextAt: number;

  constructor(
    private readonly perSecond: number,
    private readonly clock: Clock,
  ) {
    this.nextAt = clock.now();
  }

  async pass(count: number, signal: AbortSignal): Promise<void> {
    const waitMs = this.nextAt - this.clock.now();
    if (waitMs > 0) await this.clock.sleep(waitMs, signal);
    signal.throwIfAborted();
    this.nextAt = Math.max(this.nextAt, this.clock.now()) + (count * 1_000) / this.perSecond;
  }
}
