/** A destination with something due, and how many of its attempts this process has under way. */
export interface Claimant {
  readonly underWay: number;
  /** What the destination takes at once. */
  readonly concurrency: number;
}

/**
 * How many attempts each may begin, in the order given. No destination takes more than half of what it could have, and the last eighth of a
 * process is kept for destinations that have nothing under way, one attempt each: so however many hang, another one still gets through.
 */
export function fairShares(claimants: readonly Claimant[], free: number, total: number): number[] {
  const shares = claimants.map(() => 0);
  let left = free;
  const reserve = Math.ceil(total / 8);
  const calmestFirst = claimants.map((one, at) => ({ ...one, at })).toSorted((one, other) => one.underWay - other.underWay);
  for (const { underWay, concurrency, at } of calmestFirst) {
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
