/** Lets one line of a kind through in a while, the first at once: what a client repeats all the time while the log is away hides everything else. */
export class RepeatedLines {
  private readonly kinds = new Map<string, { since: number; heldBack: number }>();

  constructor(
    private readonly everyMs: number,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  /** How many of its kind were held back since the last one; null where this one is held back too. */
  admit(kind: string): number | null {
    const now = this.nowMs();
    const known = this.kinds.get(kind);
    if (known !== undefined && now - known.since < this.everyMs) {
      known.heldBack += 1;
      return null;
    }
    for (const [other, { since, heldBack }] of this.kinds) if (heldBack === 0 && now - since >= this.everyMs) this.kinds.delete(other);
    this.kinds.set(kind, { since: now, heldBack: 0 });
    return known?.heldBack ?? 0;
  }
}
