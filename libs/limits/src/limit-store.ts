/** A demand on one limited resource, such as the requests or the tokens of a minute. */
export interface Demand {
  /** Names the resource. */
  readonly key: string;
  /** Units in a minute, more than 0. */
  readonly perMinute: number;
  /** Units that are taken. */
  readonly cost: number;
  /** Units that may be taken at once, at most half of them. Default: three hundredths. */
  readonly burst?: number;
  /** The share of the burst, 0 to 1, that is left to others who may take all of it. */
  readonly spare: number;
}

/** The rest of a resource for all who use it, also those who do not use the store. */
export interface Rest {
  readonly key: string;
  /** Units that may still be taken. */
  readonly left: number;
  /** The ms after which the resource is whole again. */
  readonly forMs: number;
}

/**
 * Keeps rates by GCRA (ITU-T I.371), for all who use the same store. `limitStoreConformance` holds the rules that each implementation has to pass.
 * The rate and the burst together keep every window of a minute within the limit: {@link paceOf}.
 */
export interface LimitStore {
  /**
   * Takes from all resources of a scope, or from none.
   * @returns 0 if it was taken; otherwise the ms after which another try may succeed
   */
  take(scope: string, demands: readonly Demand[]): Promise<number>;
  /** Takes more from a resource, whatever that leaves; with a negative cost gives back. */
  settle(scope: string, demand: Omit<Demand, 'spare'>): Promise<void>;
  /**
   * Notes what is left of a resource, in the place of what was noted before. Until it is whole again, no more than that is taken, and evenly; a demand
   * for more waits. What is left counts less with time, by the rate of the demand, because others may take it. Where more is left than the rate takes, nothing
   * changes.
   */
  note(scope: string, rest: Rest): Promise<void>;
  /** Nothing is taken from the scope for so many ms. A longer block that is known already stays. */
  block(scope: string, forMs: number): Promise<void>;
  close(): Promise<void>;
}

const minuteMs = 60_000;
/** The share of the limit that may be taken at once. The rest comes evenly. */
const burstShare = 0.03;

/** Times are kept with rounding errors of less than this, in ms. A demand that is over by less is met. */
export const roundingMs = 0.01;

/** How a limit is kept: the time that one unit takes, and for how long ahead units may be taken. */
export interface LimitPace {
  readonly unitMs: number;
  readonly aheadMs: number;
}

/**
 * The pace of a demand. A burst and what comes evenly in a minute make the limit together, so no minute has more, wherever it begins. A demand that is
 * larger than the burst is met when nothing is taken ahead.
 */
export function paceOf({ perMinute, cost, spare, burst = Math.max(1, perMinute * burstShare) }: Demand): LimitPace {
  const unitMs = minuteMs / Math.max(perMinute - burst, perMinute / 2);
  return { unitMs, aheadMs: Math.max(burst * (1 - spare), cost) * unitMs };
}

/** A rest as a store keeps it. Times are those of the store, in ms. */
export interface KeptRest {
  readonly left: number;
  readonly notedAtMs: number;
  readonly untilMs: number;
  /** The units of the last demand that was met, and when. */
  readonly last: { readonly cost: number; readonly atMs: number };
}

/**
 * The ms for which a demand has to wait, because what is left has to last until the resource is whole again. Since it was noted, others may have taken as
 * much as the whole rate.
 */
export function restWaitMs(rest: KeptRest | undefined, cost: number, unitMs: number, nowMs: number): number {
  const leftMs = rest === undefined ? 0 : rest.untilMs - nowMs;
  if (rest === undefined || leftMs <= 0) return 0;
  const left = rest.left - (nowMs - rest.notedAtMs) / unitMs;
  if (cost > left) return leftMs;
  const paceMs = leftMs / left;
  return paceMs <= unitMs ? 0 : Math.max(0, rest.last.atMs + rest.last.cost * paceMs - nowMs);
}
