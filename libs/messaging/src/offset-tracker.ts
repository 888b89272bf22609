import { Fifo } from './fifo.js';

/**
 * What one partition may commit: the offset below which everything is finished, while records above it finish in any order.
 * Offsets arrive ascending, with gaps (transaction markers, expired segments), and again from the committed one after each rebalance.
 */
export class OffsetTracker {
  readonly #open = new Fifo<number>();
  readonly #finishedAbove = new Set<number>();
  #last: number | undefined;
  #committed: number | undefined;

  /** False where the offset was seen before: it is queued, in flight or finished, and must not be handled again. */
  received(offset: number): boolean {
    if (this.#last !== undefined && offset <= this.#last) return false;
    this.#last = offset;
    this.#committed ??= offset;
    this.#open.push(offset);
    return true;
  }

  finished(offset: number): void {
    this.#finishedAbove.add(offset);
    for (let lowest = this.#open.peek(); lowest !== undefined && this.#finishedAbove.delete(lowest); lowest = this.#open.peek()) {
      this.#open.shift();
    }
  }

  /** Where reading goes on; undefined where nothing was received yet. */
  get next(): number | undefined {
    return this.#last === undefined ? undefined : this.#last + 1;
  }

  /** The lowest offset that is not finished: what a reader after a crash has to start from. */
  get watermark(): number | undefined {
    return this.#open.peek() ?? this.next;
  }

  /** Offsets from the watermark to the last one received: one unfinished record holds all of them. */
  get span(): number {
    const { next, watermark } = this;
    return next === undefined || watermark === undefined ? 0 : next - watermark;
  }

  /** What to commit now; undefined where the last commit still says it. The one place for what else a commit carries. */
  snapshot(): { offset: number } | undefined {
    const { watermark } = this;
    return watermark === undefined || this.#committed === undefined || watermark <= this.#committed ? undefined : { offset: watermark };
  }

  committed(offset: number): void {
    if (this.#committed === undefined || offset > this.#committed) this.#committed = offset;
  }
}
