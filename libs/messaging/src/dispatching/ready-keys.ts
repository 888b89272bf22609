import { lanes } from '#libs/contracts';
import type { Lane } from '#libs/contracts';
import { FairQueue } from '#libs/queues';

/** Indexes into `lanes`, one per turn: of 12 turns 8 are high, 3 normal and 1 low. A turn of an empty lane goes to the next turn. */
const turns = [0, 0, 1, 0, 0, 2, 0, 0, 1, 0, 0, 1] as const;
/** An entry that waited this long moves up one lane, so that urgent work cannot starve it. */
const ageMs = 5_000;

interface Entry<T> {
  readonly queue: T;
  since: number;
}

/** The choice of a turn. */
export interface ReadyChoice {
  /** Take nothing from the other lanes. */
  readonly highOnly?: boolean;
  /** A tenant that gets no turn now. Default: every tenant gets one. */
  readonly isFull?: (tenant: string) => boolean;
}

/**
 * Key queues that can go on, ordered by lane. Within one lane tenants take turns, however many keys one of them has, and keys of one tenant are
 * first come, first served.
 */
export class ReadyKeys<T> {
  private readonly byLane = lanes.map(() => new ReadyTenants<T>());
  private turn = 0;

  /** @param now in ms; default: the monotonic clock */
  constructor(private readonly now: () => number = () => performance.now()) {}

  push(queue: T, lane: Lane, tenant: string): void {
    this.byLane[lanes.indexOf(lane)]!.push(tenant, { queue, since: this.now() });
  }

  shift({ highOnly = false, isFull = () => false }: ReadyChoice = {}): T | undefined {
    this.moveUp();
    if (highOnly) return this.byLane[0]!.shift(isFull)?.queue;
    for (let tries = 0; tries < turns.length; tries += 1) {
      const taken = this.byLane[turns[this.turn]!]!.shift(isFull);
      this.turn = (this.turn + 1) % turns.length;
      if (taken !== undefined) return taken.queue;
    }
    return undefined;
  }

  private moveUp(): void {
    const now = this.now();
    for (let lower = 1; lower < lanes.length; lower += 1) {
      for (const [tenant, entry] of this.byLane[lower]!.takeOlderThan(now - ageMs)) {
        entry.since = now;
        this.byLane[lower - 1]!.push(tenant, entry);
      }
    }
  }
}

/** The key queues of one lane. */
class ReadyTenants<T> {
  private readonly entries = new FairQueue<Entry<T>>();
  /** No entry is older. */
  private oldestSince = Infinity;

  push(tenant: string, entry: Entry<T>): void {
    this.oldestSince = Math.min(this.oldestSince, entry.since);
    this.entries.push(tenant, entry);
  }

  shift(isFull: (tenant: string) => boolean): Entry<T> | undefined {
    return this.entries.shift(isFull);
  }

  /** Looks only at the first entry of each tenant: every one behind it came into the lane later. */
  *takeOlderThan(since: number): Generator<[tenant: string, entry: Entry<T>]> {
    if (this.oldestSince > since) return;
    yield* this.entries.takeFirst((entry) => entry.since <= since);
    this.oldestSince = Infinity;
    for (const first of this.entries.firsts()) this.oldestSince = Math.min(this.oldestSince, first.since);
  }
}
