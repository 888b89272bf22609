import { lanes } from '#libs/contracts';
import type { Lane } from '#libs/contracts';
import { Fifo } from '../fifo.js';

/** Indexes into `lanes`, one per turn: of 12 turns 8 are high, 3 normal and 1 low. A turn of an empty lane goes to the next turn. */
const turns = [0, 0, 1, 0, 0, 2, 0, 0, 1, 0, 0, 1] as const;
/** An entry that waited this long moves up one lane, so that urgent work cannot starve it. */
const ageMs = 5_000;

interface Entry<T> {
  readonly queue: T;
  since: number;
}

/** Key queues that can go on, ordered by lane, and within one lane first come, first served. */
export class ReadyKeys<T> {
  private readonly byLane = lanes.map(() => new Fifo<Entry<T>>());
  private turn = 0;

  /** @param now in ms; default: the monotonic clock */
  constructor(private readonly now: () => number = () => performance.now()) {}

  push(queue: T, lane: Lane): void {
    this.byLane[lanes.indexOf(lane)]!.push({ queue, since: this.now() });
  }

  /** @param highOnly take nothing from the other lanes */
  shift(highOnly = false): T | undefined {
    this.moveUp();
    const [high] = this.byLane;
    if (highOnly) return high!.shift()?.queue;
    if (this.byLane.every(({ length }) => length === 0)) return undefined;
    for (;;) {
      const taken = this.byLane[turns[this.turn]!]!.shift();
      this.turn = (this.turn + 1) % turns.length;
      if (taken !== undefined) return taken.queue;
    }
  }

  /** Looks only at the heads: every entry behind a head came into the lane later. */
  private moveUp(): void {
    const now = this.now();
    for (let lower = 1; lower < lanes.length; lower += 1) {
      const from = this.byLane[lower]!;
      for (let head = from.peek(); head !== undefined && now - head.since >= ageMs; head = from.peek()) {
        from.shift();
        head.since = now;
        this.byLane[lower - 1]!.push(head);
      }
    }
  }
}
