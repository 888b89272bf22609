import { lanes as priorities } from '#libs/contracts';
import type { Lane as Priority } from '#libs/contracts';
import { Fifo } from '../fifo.js';

/** Who has the next turn: 8 of 12 turns are high, 3 normal, 1 low. A turn of a class where nothing waits goes to the next one. */
const turns = [0, 0, 1, 0, 0, 2, 0, 0, 1, 0, 0, 1] as const;
/** After so long in one class a lane moves up one, so that none waits for ever behind more urgent ones. */
const ageMs = 5_000;

interface Entry<T> {
  readonly lane: T;
  since: number;
}

/** Lanes that can go on, in the order of their turns: by priority class, and within one first come, first served. */
export class ReadyLanes<T> {
  private readonly classes = priorities.map(() => new Fifo<Entry<T>>());
  private turn = 0;

  /** @param now in ms; default: the monotonic clock */
  constructor(private readonly now: () => number = () => performance.now()) {}

  push(lane: T, priority: Priority): void {
    this.classes[priorities.indexOf(priority)]!.push({ lane, since: this.now() });
  }

  /** @param highOnly leaves everything else where it is */
  shift(highOnly = false): T | undefined {
    this.moveUp();
    const [high] = this.classes;
    if (highOnly) return high!.shift()?.lane;
    if (this.classes.every(({ length }) => length === 0)) return undefined;
    for (;;) {
      const taken = this.classes[turns[this.turn]!]!.shift();
      this.turn = (this.turn + 1) % turns.length;
      if (taken !== undefined) return taken.lane;
    }
  }

  /** Only the heads can be the oldest of their class, whichever way they came into it. */
  private moveUp(): void {
    const now = this.now();
    for (let lower = 1; lower < priorities.length; lower += 1) {
      const from = this.classes[lower]!;
      for (let head = from.peek(); head !== undefined && now - head.since >= ageMs; head = from.peek()) {
        from.shift();
        head.since = now;
        this.classes[lower - 1]!.push(head);
      }
    }
  }
}
