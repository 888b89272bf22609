/** A map that holds a limited number of entries: a new one evicts the entry that was used least recently. */
export class LruMap<K, V> {
  /** In the order of use, the oldest first. */
  private readonly entries = new Map<K, V>();

  /** @param limit most entries */
  constructor(private readonly limit: number) {}

  /** Counts as a use of the entry. */
  get(key: K): V | undefined {
    const value = this.entries.get(key);
    if (value !== undefined) this.set(key, value);
    return value;
  }

  set(key: K, value: V): void {
    this.entries.delete(key);
    this.entries.set(key, value);
    if (this.entries.size > this.limit) this.entries.delete(this.entries.keys().next().value!);
  }

  /** In the order of use, the oldest first; not counted as a use. */
  values(): IterableIterator<V> {
    return this.entries.values();
  }

  delete(key: K): void {
    this.entries.delete(key);
  }

  /** The value of the key, made if there is none. What `make` throws leaves the map as it was. */
  getOrMake(key: K, make: () => V): V {
    const known = this.get(key);
    if (known !== undefined) return known;
    const made = make();
    this.set(key, made);
    return made;
  }
}
