import { Fifo } from './fifo.js';

/** A queue in which owners take turns, however many items one of them has. The items of one owner are first come, first served. */
export class FairQueue<T> {
  /** The owner whose turn is next stands first. None has an empty queue. */
  private readonly byOwner = new Map<string, Fifo<T>>();

  /** True if there is no item. */
  get isEmpty(): boolean {
    return this.byOwner.size === 0;
  }

  /** The number of items of one owner. */
  lengthOf(owner: string): number {
    return this.byOwner.get(owner)?.length ?? 0;
  }

  push(owner: string, item: T): void {
    let items = this.byOwner.get(owner);
    if (items === undefined) this.byOwner.set(owner, (items = new Fifo()));
    items.push(item);
  }

  /**
   * Takes an item of the owner whose turn it is, who goes to the end of the line. Undefined if there is none.
   * @param isBlocked true for an owner who gets no turn now, and keeps the place. Default: every owner gets one
   */
  shift(isBlocked: (owner: string) => boolean = () => false): T | undefined {
    for (const [owner, items] of this.byOwner) {
      if (isBlocked(owner)) continue;
      this.byOwner.delete(owner);
      const taken = items.shift();
      if (items.length > 0) this.byOwner.set(owner, items);
      return taken;
    }
    return undefined;
  }

  /** Takes the first items of each owner as long as they fit, without a turn. */
  *takeFirst(fits: (item: T) => boolean): Generator<[owner: string, item: T]> {
    for (const [owner, items] of this.byOwner) {
      for (let first = items.peek(); first !== undefined && fits(first); first = items.peek()) yield [owner, items.shift()!];
      if (items.length === 0) this.byOwner.delete(owner);
    }
  }

  /** The first item of each owner. */
  *firsts(): Generator<T> {
    for (const items of this.byOwner.values()) yield items.peek()!;
  }
}
