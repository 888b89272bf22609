import type { SubscriberTooSlow } from './event-change.errors.js';

/** Changes that a subscriber is sent together, in order; or the reason why nothing follows. */
export type ChangeBatch<Row> = readonly (Row | SubscriberTooSlow)[];

export interface ChangeQueueOptions<Row> {
  /** The id of what changed. */
  keyOf: (change: Row) => string;
  /** Changes in one batch, so that what is loaded for them is loaded together. */
  maxBatch: number;
  /** Changes that may wait before those of the same key are merged. */
  mergeAbove: number;
  /** Keys whose changes may wait. Beyond it the queue ends with what `overflow` makes: the subscriber takes nothing off it. */
  maxKeys: number;
  overflow: () => SubscriberTooSlow;
  /** Called with the number of changes that a merge left out. */
  onMerge: (leftOut: number) => void;
  /** Called once, when nothing more will be read. */
  onEnd: () => void;
}

/**
 * The changes that one subscriber has not been sent yet. A subscriber that reads more slowly than changes come in gets, of each key, only the
 * latest change, which says how many it stands for. One reader at a time.
 */
export class ChangeQueue<Row extends { readonly merged: number }> implements AsyncIterableIterator<ChangeBatch<Row>> {
  private waiting: (Row | SubscriberTooSlow)[] = [];
  private mergeAbove: number;
  private reader: ((result: IteratorResult<ChangeBatch<Row>>) => void) | undefined;
  private ended = false;

  constructor(private readonly options: ChangeQueueOptions<Row>) {
    this.mergeAbove = options.mergeAbove;
  }

  push(change: Row): void {
    if (this.ended) return;
    if (this.reader !== undefined) {
      this.reader({ value: [change], done: false });
      this.reader = undefined;
      return;
    }
    this.waiting.push(change);
    if (this.waiting.length > this.mergeAbove) this.merge();
  }

  async next(): Promise<IteratorResult<ChangeBatch<Row>>> {
    const value = this.waiting.splice(0, this.options.maxBatch);
    if (this.waiting.length < this.options.mergeAbove) this.mergeAbove = this.options.mergeAbove;
    if (value.length > 0) return { value, done: false };
    if (this.ended) return { value: undefined, done: true };
    return new Promise((resolve) => {
      this.reader = resolve;
    });
  }

  async return(): Promise<IteratorResult<ChangeBatch<Row>>> {
    this.waiting = [];
    this.end();
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** A merged change stands in the place of the first, so that a key that changes all the time is sent, too. */
  private merge(): void {
    const latest = new Map<string, Row>();
    for (const change of this.waiting as Row[]) {
      const key = this.options.keyOf(change);
      const earlier = latest.get(key);
      latest.set(key, earlier === undefined ? change : { ...change, merged: earlier.merged + 1 + change.merged });
    }
    this.options.onMerge(this.waiting.length - latest.size);
    this.waiting = [...latest.values()];
    this.mergeAbove = Math.max(this.options.mergeAbove, 2 * this.waiting.length); // merging at each push would cost the square of their number
    if (latest.size <= this.options.maxKeys) return;
    this.waiting = [this.options.overflow()];
    this.end();
  }

  private end(): void {
    if (this.ended) return;
    this.ended = true;
    this.reader?.({ value: undefined, done: true });
    this.reader = undefined;
    this.options.onEnd();
  }
}
