import type { Lane } from '#libs/contracts';
import { startTimer } from '#libs/time';
import { Fifo } from '#libs/queues';
import { ReadyKeys } from './ready-keys.js';

/**
 * How one call of the handler ended.
 * - `finished`: the item leaves its queue.
 * - `againInMs`: the item is handled again after that time; the items behind it wait.
 * - `abandoned`: the queue is not served any more, because its partition was lost.
 */
export type DispatchResult = 'finished' | 'abandoned' | { readonly againInMs: number };

export interface DispatcherOptions<Item> {
  /** Items handled at once, over all partitions. */
  concurrency: number;
  /** Must not reject: the handler decides what a failure means. A rejection is unhandled and ends the process. */
  handle: (item: Item) => Promise<DispatchResult>;
  /** Bytes that an item holds in memory. Default: none. */
  bytesOf?: (item: Item) => number;
  /** Nothing more starts while the items in flight hold as many bytes. Default: no limit. */
  maxBytes?: number;
  /** Runs `work` after `ms`; returns a function that cancels it. Default: a timer. */
  schedule?: (work: () => void, ms: number) => () => void;
  /** In ms. Default: the monotonic clock. */
  now?: () => number;
}

/** The share of the slots that is reserved for the high lane, if there is one, so that slow work of the other lanes never fills all slots. */
const reserve = 0.2;
/** The share of the slots that tenants with little in flight have to themselves, if there are several tenants, so that the slow work of some never fills all slots. */
const tenantReserve = 0.2;
/** A tenant has little in flight up to this share of the slots, and of the bytes. */
const little = 0.05;
/** The largest share of the bytes that one tenant has in flight, so that its large items never fill the memory. */
const tenantBytes = 0.25;
/** A tenant without an item for so long does not count as one that wants slots. */
const tenantIdleMs = 600_000;

/** The items of one key. They are handled one at a time. */
class KeyQueue<Item> {
  readonly items = new Fifo<Item>();
  /** Bytes that the items hold. */
  bytes = 0;
  cancelRetry: (() => void) | undefined;
  /** True while the first item is in flight. */
  isRunning = false;
  /** The time of the first item's first attempt, on the dispatcher's clock. */
  firstTriedAt: number | undefined;

  constructor(
    readonly owner: KeyQueues<Item>,
    readonly key: string | symbol,
    readonly tenant: string,
  ) {}
}

/** The items of a tenant that are in flight. */
interface TenantLoad {
  items: number;
  bytes: number;
  /** When an item of it last ended, on the dispatcher's clock. */
  lastAt: number;
}

/**
 * Handles items of different keys at the same time, and items of one key one after the other in the order they were added.
 * Key queues that can go on take turns, by lane, then by tenant, then in rotation, so a customer with many records, and a tenant with many customers,
 * gets only its share of the concurrency. So does a tenant with large items.
 * An item that waits for its retry blocks its key queue but uses no slot.
 */
export class KeyOrderedDispatcher<Item> {
  private readonly concurrency: number;
  private readonly handle: (item: Item) => Promise<DispatchResult>;
  private readonly bytesOf: (item: Item) => number;
  private readonly maxBytes: number;
  private readonly schedule: (work: () => void, ms: number) => () => void;
  private readonly now: () => number;
  private readonly ready: ReadyKeys<KeyQueue<Item>>;
  private readonly idleWaiters: (() => void)[] = [];
  private running = 0;
  private runningBytes = 0;
  /** By tenant, of those that had an item in flight lately. */
  private readonly loads = new Map<string, TenantLoad>();
  /** Slots that every lane may take. */
  private shared: number;
  private paused = false;

  constructor(options: DispatcherOptions<Item>) {
    this.concurrency = options.concurrency;
    this.handle = options.handle;
    this.bytesOf = options.bytesOf ?? ((): number => 0);
    this.maxBytes = options.maxBytes ?? Infinity;
    this.schedule = options.schedule ?? schedule;
    this.now = options.now ?? ((): number => performance.now());
    this.ready = new ReadyKeys(this.now);
    this.shared = options.concurrency;
  }

  get inFlight(): number {
    return this.running;
  }

  /** The key queues of one partition. The same key in two partitions is two keys. */
  createQueues(lane: Lane = 'normal'): KeyQueues<Item> {
    if (lane === 'high') this.shared = this.concurrency - Math.floor(this.concurrency * reserve);
    return new KeyQueues<Item>(lane, { now: this.now, bytesOf: this.bytesOf, runSoon: (queue) => this.runSoon(queue) });
  }

  /** Starts nothing new; items in flight go on. */
  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.startReady();
  }

  /** True if items of other tenants were in flight lately. Items without a key belong to none. */
  hasOthers(tenant: string): boolean {
    for (const [other, { items, lastAt }] of this.loads) {
      if (items === 0 && lastAt < this.now() - tenantIdleMs) this.loads.delete(other);
      else if (other !== tenant && other !== '') return true;
    }
    return false;
  }

  /** Resolves when nothing is in flight. */
  async idle(): Promise<void> {
    if (this.running > 0) await new Promise<void>((resolve) => this.idleWaiters.push(resolve));
  }

  private runSoon(queue: KeyQueue<Item>): void {
    this.ready.push(queue, queue.owner.lane, queue.tenant);
    this.startReady();
  }

  private startReady(): void {
    while (!this.paused && this.running < this.concurrency && this.runningBytes < this.maxBytes) {
      const highOnly = this.running >= this.shared;
      const slots = highOnly ? this.concurrency : this.shared;
      const queue = this.ready.shift({ highOnly, isFull: (tenant) => this.isFull(tenant, slots) });
      if (queue === undefined) return;
      const item = queue.items.peek(); // none if all were taken back
      if (!queue.owner.closed && item !== undefined) this.start(queue, item);
    }
  }

  private isFull(tenant: string, slots: number): boolean {
    const own = this.loads.get(tenant);
    if (own === undefined) return false;
    if (own.bytes >= this.maxBytes * tenantBytes) return true;
    const shared = 1 - tenantReserve;
    if (this.running < Math.floor(slots * shared) && this.runningBytes < this.maxBytes * shared) return false;
    const isLittle = own.items < Math.max(1, Math.floor(slots * little)) && own.bytes < this.maxBytes * little;
    return !isLittle && this.hasOthers(tenant);
  }

  private start(queue: KeyQueue<Item>, item: Item): void {
    const bytes = this.bytesOf(item);
    this.count(queue.tenant, 1, bytes);
    queue.isRunning = true;
    queue.firstTriedAt ??= this.now();
    void this.handle(item).then((result) => {
      this.count(queue.tenant, -1, -bytes);
      this.settle(queue, result);
      this.startReady();
      if (this.running === 0) for (const resolve of this.idleWaiters.splice(0)) resolve();
    });
  }

  private count(tenant: string, items: number, bytes: number): void {
    this.running += items;
    this.runningBytes += bytes;
    const load = this.loads.get(tenant) ?? { items: 0, bytes: 0, lastAt: 0 };
    load.items += items;
    load.bytes += bytes;
    load.lastAt = this.now();
    this.loads.set(tenant, load);
  }

  private settle(queue: KeyQueue<Item>, result: DispatchResult): void {
    queue.isRunning = false;
    if (queue.owner.closed || result === 'abandoned') return;
    if (result === 'finished') {
      queue.bytes -= this.bytesOf(queue.items.shift()!);
      queue.firstTriedAt = undefined;
      if (queue.items.length > 0) this.ready.push(queue, queue.owner.lane, queue.tenant);
      else queue.owner.forget(queue);
      return;
    }
    queue.cancelRetry = this.schedule(() => {
      queue.cancelRetry = undefined;
      this.runSoon(queue);
    }, result.againInMs);
  }
}

/** How much waits behind one key. */
export interface KeyDepth {
  readonly key: string;
  readonly tenant: string;
  readonly items: number;
  /** Bytes that the items hold. */
  readonly bytes: number;
  /** Since the first attempt at the first item; 0 before that. */
  readonly triedMs: number;
}

/** The key queues of one partition. */
class KeyQueues<Item> {
  private readonly queues = new Map<string | symbol, KeyQueue<Item>>();
  private isClosed = false;

  constructor(
    readonly lane: Lane,
    private readonly options: { now: () => number; bytesOf: (item: Item) => number; runSoon: (queue: KeyQueue<Item>) => void },
  ) {}

  get closed(): boolean {
    return this.isClosed;
  }

  /** Keys that have items queued, in flight or waiting for a retry. */
  get openKeys(): number {
    return this.queues.size;
  }

  /** Keys whose first item waits for its retry. */
  get blockedKeys(): number {
    let blocked = 0;
    for (const queue of this.queues.values()) if (queue.cancelRetry !== undefined) blocked += 1;
    return blocked;
  }

  /** @param key begins with the tenant and a slash; null: the item has no order with any other item */
  add(key: string | null, item: Item): void {
    const queueKey = key ?? Symbol('a queue of its own');
    const open = this.queues.get(queueKey);
    const queue = open ?? new KeyQueue<Item>(this, queueKey, tenantOf(key));
    queue.items.push(item);
    queue.bytes += this.options.bytesOf(item);
    if (open !== undefined) return;
    this.queues.set(queueKey, queue);
    this.options.runSoon(queue);
  }

  *depths(): Iterable<KeyDepth> {
    const now = this.options.now();
    for (const { key, tenant, items, bytes, firstTriedAt = now } of this.queues.values()) {
      if (typeof key === 'string') yield { key, tenant, items: items.length, bytes, triedMs: now - firstTriedAt };
    }
  }

  /**
   * Removes items from the end of a key's queue, back to the first item that `mayTake` refuses. Returns them in their order.
   * The first item of the queue stays while it is in flight; one that waits for its turn or its retry can be taken.
   */
  takeBack(key: string, mayTake: (item: Item) => boolean): Item[] {
    const queue = this.queues.get(key);
    if (queue === undefined) return [];
    const taken: Item[] = [];
    const kept = queue.isRunning ? 1 : 0;
    while (queue.items.length > kept && mayTake(queue.items.last()!)) {
      const item = queue.items.pop()!;
      queue.bytes -= this.options.bytesOf(item);
      taken.push(item);
    }
    if (queue.items.length === 0) {
      queue.cancelRetry?.();
      this.forget(queue);
    }
    return taken.toReversed();
  }

  /** Drops all queued and waiting items. The results of items in flight are ignored. */
  close(): void {
    this.isClosed = true;
    for (const queue of this.queues.values()) queue.cancelRetry?.();
    this.queues.clear();
  }

  forget(queue: KeyQueue<Item>): void {
    this.queues.delete(queue.key);
  }
}
export type { KeyQueues };

function tenantOf(key: string | null): string {
  return key === null ? '' : key.slice(0, Math.max(key.indexOf('/'), 0));
}

function schedule(work: () => void, ms: number): () => void {
  const timer = startTimer(work, ms);
  return () => clearTimeout(timer);
}
