interface Entry<T> {
  readonly tenant: string;
  readonly output: T;
  readonly bytes: number;
  /** By the monotonic clock. */
  readonly storedAtMs: number;
}

const megabyte = 1_048_576;

/** Limits of a cache, in bytes of JSON. */
export interface TenantCacheLimits {
  readonly totalBytes: number;
  readonly bytesOfTenant: number;
  readonly bytesOfOutput: number;
}

const standardLimits: TenantCacheLimits = { totalBytes: 32 * megabyte, bytesOfTenant: 8 * megabyte, bytesOfOutput: megabyte };

/**
 * Outputs that can be used again, in the memory of a process. They are JSON. The one that was used least recently goes first: of the tenant that reached its
 * share, else of all.
 */
export class TenantCache<T> {
  /** In the order of their last use. */
  private readonly entries = new Map<string, Entry<T>>();
  private readonly bytesOf = new Map<string, number>();
  private bytes = 0;

  constructor(
    private readonly limits: TenantCacheLimits = standardLimits,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** The output of this key if it is not older than `ageMs`. */
  get(key: string, ageMs: number): { readonly output: T } | undefined {
    const entry = this.entries.get(key);
    if (entry === undefined || this.now() - entry.storedAtMs > ageMs) return undefined;
    this.entries.delete(key);
    this.entries.set(key, entry);
    return entry;
  }

  /** @param ageMs how old the output is already */
  set(key: string, tenant: string, output: T, ageMs = 0): void {
    this.delete(key);
    const bytes = JSON.stringify(output).length + key.length;
    if (bytes > this.limits.bytesOfOutput) return;
    this.entries.set(key, { tenant, output, bytes, storedAtMs: this.now() - ageMs });
    this.count(tenant, bytes);
    if ((this.bytesOf.get(tenant) ?? 0) > this.limits.bytesOfTenant)
      this.evict(
        (entry) => entry.tenant === tenant,
        () => (this.bytesOf.get(tenant) ?? 0) > this.limits.bytesOfTenant,
      );
    this.evict(
      () => true,
      () => this.bytes > this.limits.totalBytes,
    );
  }

  private evict(matches: (entry: Entry<T>) => boolean, isOver: () => boolean): void {
    if (!isOver()) return;
    for (const [key, entry] of this.entries) {
      if (!isOver()) return;
      if (matches(entry)) this.delete(key);
    }
  }

  private delete(key: string): void {
    const entry = this.entries.get(key);
    if (entry === undefined) return;
    this.entries.delete(key);
    this.count(entry.tenant, -entry.bytes);
  }

  private count(tenant: string, bytes: number): void {
    this.bytes += bytes;
    const left = (this.bytesOf.get(tenant) ?? 0) + bytes;
    if (left === 0) this.bytesOf.delete(tenant);
    else this.bytesOf.set(tenant, left);
  }
}
