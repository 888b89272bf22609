/**
 * The items that one subscriber has not been sent yet. When the queue is full, the subscriber gets a last item that says so, and the queue
 * ends. One reader at a time.
 */
export class BoundedQueue<T> implements AsyncIterableIterator<T> {
  private readonly items: T[] = [];
  private reader: ((result: IteratorResult<T>) => void) | undefined;
  private ended = false;

  /**
   * @param overflow what a subscriber that fell behind gets last
   * @param onEnd called once, when nothing more will be read
   */
  constructor(
    private readonly limit: number,
    private readonly overflow: () => T,
    private readonly onEnd: () => void,
  ) {}

  push(item: T): void {
    if (this.ended) return;
    if (this.reader !== undefined) {
      this.reader({ value: item, done: false });
      this.reader = undefined;
      return;
    }
    this.items.push(item);
    if (this.items.length > this.limit) {
      this.items.splice(0, Infinity, this.overflow());
      this.end();
    }
  }

  async next(): Promise<IteratorResult<T>> {
    const item = this.items.shift();
    if (item !== undefined) return { value: item, done: false };
    if (this.ended) return { value: undefined, done: true };
    return new Promise((resolve) => {
      this.reader = resolve;
    });
  }

  async return(): Promise<IteratorResult<T>> {
    this.items.length = 0;
    this.end();
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  private end(): void {
    if (this.ended) return;
    this.ended = true;
    this.reader?.({ value: undefined, done: true });
    this.reader = undefined;
    this.onEnd();
  }
}
