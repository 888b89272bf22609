/** Limits log lines of one kind to one per interval, beginning with the first. Otherwise the lines a client repeats while the log is away hide all others. */
export class RepeatedLines {
  private readonly kinds = new Map<string, { since: number; heldBack: number }>();

  constructor(
    private readonly everyMs: number,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  /** @returns the number of lines of this kind held back since the last one; null if this line is held back too */
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
