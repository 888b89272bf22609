/** The name of the pull that reads the list of the desk. */
export const entries = 'entries';
/** An entry comes so often. */
const entryEveryMs = 50;
const customers = 5;
/** Small, so that a pass has several pages and a process is killed between them. */
const pageSize = 5;

/** An entry of the list. Its number is its place. */
export interface Entry {
  readonly id: string;
  readonly sequence: number;
  readonly customer: string;
}

export function entryAt(sequence: number): Entry {
  return { id: `entry-${sequence}`, sequence, customer: `reader-${sequence % customers}` };
}

/** A list that only grows, an entry at a time, and is read in pages. */
export class EntryList {
  private beganAt = Infinity;
  private endsAt = Infinity;

  constructor(private readonly now: () => number) {}

  /** How many there are now. */
  get length(): number {
    return Math.max(0, Math.floor((Math.min(this.now(), this.endsAt) - this.beganAt) / entryEveryMs));
  }

  /** Entries come from now on. */
  begin(): void {
    this.beganAt = this.now();
  }

  /** No entry comes any more. */
  end(): void {
    this.endsAt = this.now();
  }

  /** The entries behind this place, and where the next page begins; null: this is the last one. */
  pageAfter(place: number): { entries: Entry[]; next: string | null } {
    const until = Math.min(this.length, place + pageSize);
    const page = Array.from({ length: Math.max(0, until - place) }, (_, at) => entryAt(place + at + 1));
    return { entries: page, next: until < this.length ? String(until) : null };
  }
}
