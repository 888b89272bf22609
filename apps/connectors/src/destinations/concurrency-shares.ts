/** A destination with something due. */
export interface DestinationLoad {
  /** Attempts to it that this process has under way. */
  readonly underWay: number;
  /** Attempts that it takes at once. */
  readonly concurrency: number;
}

/**
 * The number of attempts that each destination may begin, in the order given. No destination gets more than half of the room that is left, and
 * the last eighth of `total` is kept for destinations with nothing under way, one attempt each. So a delivery to a destination that works gets
 * through, however many others hang.
 */
export function concurrencyShares(loads: readonly DestinationLoad[], free: number, total: number): number[] {
  const shares = loads.map(() => 0);
  let left = free;
  const reserve = Math.ceil(total / 8);
  const leastBusyFirst = loads.map((one, at) => ({ ...one, at })).toSorted((one, other) => one.underWay - other.underWay);
  for (const { underWay, concurrency, at } of leastBusyFirst) {
    const share = Math.min(left, Math.max(0, concurrency - underWay), shareOf(underWay, left, reserve));
    shares[at] = share;
    left -= share;
  }
  return shares;
}

function shareOf(underWay: number, left: number, reserve: number): number {
  const beyondReserve = Math.max(0, left - reserve);
  const half = Math.min(beyondReserve, Math.max(0, Math.floor((left + underWay) / 2) - underWay));
  return underWay === 0 ? Math.max(1, half) : half;
}
