import { LruMap } from '#libs/lru';

/** The number of keys whose rate is remembered. A forgotten one has its whole burst again. */
const rememberedKeys = 10_000;
const minuteMs = 60_000;

/** A rate for each of many keys in one process, by GCRA (ITU-T I.371). */
export class SampleRate {
  /** When the next unit would be due if units came evenly, by the monotonic clock. */
  private readonly dueMs = new LruMap<string, number>(rememberedKeys);

  /**
   * @param perMinute units that come in a minute
   * @param burst units that may come at once
   */
  constructor(
    private readonly perMinute: number,
    private readonly burst: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** True if the key has a unit left. It is taken by {@link take}. */
  has(key: string): boolean {
    return this.after(key) - this.now() <= this.burst * this.unitMs;
  }

  take(key: string): void {
    this.dueMs.set(key, this.after(key));
  }

  private after(key: string): number {
    return Math.max(this.now(), this.dueMs.get(key) ?? 0) + this.unitMs;
  }

  private get unitMs(): number {
    return minuteMs / this.perMinute;
  }
}
