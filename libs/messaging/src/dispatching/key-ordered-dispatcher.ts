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
  /** Runs `work` after `ms`; returns a function that cancels it. Default: a timer. */
  schedule?: (work: () => void, ms: number) => () => void;
  /** In ms. Default: the monotonic clock. */
  now?: () => number;
}

/** The share of the slots that is reserved for the high lane, if there is one, so that slow work of the other lanes never fills all slots. */
const reserve = 0.2;
/** The share of the slots that tenants with little in flight have to themselves, if there are several tenants, so that the slow work of some never fills all slots. */
const tenantReserve = 0.2;
/** A tenant has little in flight up to this share of the slots. */
const little = 0.05;

/** The items of one key. They are handled one at a time. */
class KeyQueue<Item> {
  readonly items = new Fifo<Item>();
  cancelRetry: (() => void) | undefined;
  /** The time of the first item's first attempt, on the dispatcher's clock. */
  firstTriedAt: number | undefined;

  constructor(
    readonly owner: KeyQueues<Item>,
    readonly key: string | symbol,
    readonly tenant: string,
  ) {}
}

/**
 * Handles items of different keys at the same time, and items of one key one after the other in the order they were added.
 * Key queues that can go on take turns, by lane, then by tenant, then in rotation, so a customer with many records, and a tenant with many customers,
 * gets only its share of the concurrency.
 * An item that waits for its retry blocks its key queue but uses no slot.
 */
export class KeyOrderedDispatcher<Item> {
  private readonly concurrency: number;
  private readonly handle: (item: Item) => Promise<DispatchResult>;
  private readonly schedule: (work: () => void, ms: number) => () => void;
  private readonly now: () => number;
  private readonly ready: ReadyKeys<KeyQueue<Item>>;
  private readonly idleWaiters: (() => void)[] = [];
  private running = 0;
  /** Items in flight by tenant; 0 for a tenant that had some before. */
  private readonly runningOf = new Map<string, number>();
  /** Slots that every lane may take. */
  private shared: number;
  private paused = false;

  constructor(options: DispatcherOptions<Item>) {
    this.concurrency = options.concurrency;
    this.handle = options.handle;
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
    return new KeyQueues<Item>(lane, this.now, (queue) => this.runSoon(queue));
  }

  /** Starts nothing new; items in flight go on. */
  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.startReady();
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
    while (!this.paused && this.running < this.concurrency) {
      const highOnly = this.running >= this.shared;
      const slots = highOnly ? this.concurrency : this.shared;
      const queue = this.ready.shift({ highOnly, isFull: (tenant) => this.isFull(tenant, slots) });
      if (queue === undefined) return;
      if (!queue.owner.closed) this.start(queue, queue.items.peek()!);
    }
  }

  private isFull(tenant: string, slots: number): boolean {
    if (this.running < Math.floor(slots * (1 - tenantReserve))) return false;
    const own = this.runningOf.get(tenant);
    const others = this.runningOf.size - (own === undefined ? 0 : 1);
    return others > 0 && (own ?? 0) >= Math.max(1, Math.floor(slots * little));
  }

  private start(queue: KeyQueue<Item>, item: Item): void {
    this.running += 1;
    this.runningOf.set(queue.tenant, (this.runningOf.get(queue.tenant) ?? 0) + 1);
    queue.firstTriedAt ??= this.now();
    void this.handle(item).then((result) => {
      this.running -= 1;
      this.runningOf.set(queue.tenant, this.runningOf.get(queue.tenant)! - 1);
      this.settle(queue, result);
      this.startReady();
      if (this.running === 0) for (const resolve of this.idleWaiters.splice(0)) resolve();
    });
  }

  private settle(queue: KeyQueue<Item>, result: DispatchResult): void {
    if (queue.owner.closed || result === 'abandoned') return;
    if (result === 'finished') {
      queue.items.shift();
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

/** The key queues of one partition. */
class KeyQueues<Item> {
  private readonly queues = new Map<string | symbol, KeyQueue<Item>>();
  private isClosed = false;

  constructor(
    readonly lane: Lane,
    private readonly now: () => number,
    private readonly runSoon: (queue: KeyQueue<Item>) => void,
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
    if (open !== undefined) {
      open.items.push(item);
      return;
    }
    const queue = new KeyQueue<Item>(this, queueKey, tenantOf(key));
    queue.items.push(item);
    this.queues.set(queueKey, queue);
    this.runSoon(queue);
  }

  /** For each key: the number of its items, and the ms since the first attempt at its first item (0 before that). */
  *depths(): Iterable<{ readonly key: string; readonly items: number; readonly triedMs: number }> {
    const now = this.now();
    for (const { key, items, firstTriedAt = now } of this.queues.values()) {
      if (typeof key === 'string') yield { key, items: items.length, triedMs: now - firstTriedAt };
    }
  }

  /**
   * Removes items from the end of a key's queue, back to the first item that `mayTake` refuses. Returns them in their order.
   * The first item of the queue stays while it is in flight or about to start; an item that waits for its retry can be taken.
   */
  takeBack(key: string, mayTake: (item: Item) => boolean): Item[] {
    const queue = this.queues.get(key);
    if (queue === undefined) return [];
    const taken: Item[] = [];
    const kept = queue.cancelRetry === undefined ? 1 : 0;
    while (queue.items.length > kept && mayTake(queue.items.last()!)) taken.push(queue.items.pop()!);
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
