import type { Lane as Priority } from '#libs/contracts';
import { Fifo } from '../fifo.js';
import { ReadyLanes } from './ready-lanes.js';

/** What becomes of an item: `finished`; to be handled again later, with everything behind it in its lane waiting; or `abandoned`, with its lane. */
export type Verdict = 'finished' | 'abandoned' | { readonly againInMs: number };

export interface DispatcherOptions<Item> {
  /** Items handled at once, over all sources. */
  concurrency: number;
  /** Must not reject: what a failure means is for the handler to decide. A rejection ends the process as any unhandled one does. */
  handle: (item: Item) => Promise<Verdict>;
  /** Runs `work` in `ms`; returns what cancels it. Default: a timer. */
  schedule?: (work: () => void, ms: number) => () => void;
  /** In ms. Default: the monotonic clock. */
  now?: () => number;
}

/** The part of the slots that only the high priority may take, where there is one: slow work of the others never fills all of them. */
const reserve = 0.2;

/** The items of one key, of which one at a time is handled. */
class Lane<Item> {
  readonly items = new Fifo<Item>();
  cancelRetry: (() => void) | undefined;
  /** When the first item was handled for the first time, on the dispatcher's clock. */
  firstTriedAt: number | undefined;

  constructor(
    readonly source: DispatcherSource<Item>,
    readonly key: string | symbol,
  ) {}
}

/**
 * Handles items of different keys at the same time and items of one key one after the other, in the order they were added.
 * Lanes that can go on take turns, by priority and within it one after the other, so a customer with many records gets no more than its share
 * of the concurrency.
 * An item that waits for its retry holds its lane, not a slot.
 */
export class KeyOrderedDispatcher<Item> {
  private readonly concurrency: number;
  private readonly handle: (item: Item) => Promise<Verdict>;
  private readonly schedule: (work: () => void, ms: number) => () => void;
  private readonly now: () => number;
  private readonly ready: ReadyLanes<Lane<Item>>;
  private readonly idleWaiters: (() => void)[] = [];
  private running = 0;
  /** Slots that any priority may take. */
  private shared: number;
  private paused = false;

  constructor(options: DispatcherOptions<Item>) {
    this.concurrency = options.concurrency;
    this.handle = options.handle;
    this.schedule = options.schedule ?? startTimer;
    this.now = options.now ?? ((): number => performance.now());
    this.ready = new ReadyLanes(this.now);
    this.shared = options.concurrency;
  }

  get inFlight(): number {
    return this.running;
  }

  /** A place that items come from; keys of different sources are different keys. */
  source(priority: Priority = 'normal'): DispatcherSource<Item> {
    if (priority === 'high') this.shared = this.concurrency - Math.floor(this.concurrency * reserve);
    return new DispatcherSource<Item>(priority, this.now, (lane) => this.runSoon(lane));
  }

  /** Starts nothing new; what is in flight goes on. */
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

  private runSoon(lane: Lane<Item>): void {
    this.ready.push(lane, lane.source.priority);
    this.startReady();
  }

  private startReady(): void {
    while (!this.paused && this.running < this.concurrency) {
      const lane = this.ready.shift(this.running >= this.shared);
      if (lane === undefined) return;
      if (!lane.source.closed) this.start(lane, lane.items.peek()!);
    }
  }

  private start(lane: Lane<Item>, item: Item): void {
    this.running += 1;
    lane.firstTriedAt ??= this.now();
    void this.handle(item).then((verdict) => {
      this.running -= 1;
      this.settle(lane, verdict);
      this.startReady();
      if (this.running === 0) for (const resolve of this.idleWaiters.splice(0)) resolve();
    });
  }

  private settle(lane: Lane<Item>, verdict: Verdict): void {
    if (lane.source.closed || verdict === 'abandoned') return;
    if (verdict === 'finished') {
      lane.items.shift();
      lane.firstTriedAt = undefined;
      if (lane.items.length > 0) this.ready.push(lane, lane.source.priority);
      else lane.source.forget(lane);
      return;
    }
    lane.cancelRetry = this.schedule(() => {
      lane.cancelRetry = undefined;
      this.runSoon(lane);
    }, verdict.againInMs);
  }
}

/** The lanes of one partition. */
class DispatcherSource<Item> {
  private readonly lanes = new Map<string | symbol, Lane<Item>>();
  private isClosed = false;

  constructor(
    readonly priority: Priority,
    private readonly now: () => number,
    private readonly runSoon: (lane: Lane<Item>) => void,
  ) {}

  get closed(): boolean {
    return this.isClosed;
  }

  /** Keys that have items queued, in flight or waiting for a retry. */
  get openKeys(): number {
    return this.lanes.size;
  }

  /** Keys whose first item waits for its retry. */
  get blockedKeys(): number {
    let blocked = 0;
    for (const lane of this.lanes.values()) if (lane.cancelRetry !== undefined) blocked += 1;
    return blocked;
  }

  /** @param key null: in no order with anything else */
  add(key: string | null, item: Item): void {
    const laneKey = key ?? Symbol('a lane of its own');
    const open = this.lanes.get(laneKey);
    if (open !== undefined) {
      open.items.push(item);
      return;
    }
    const lane = new Lane(this, laneKey);
    lane.items.push(item);
    this.lanes.set(laneKey, lane);
    this.runSoon(lane);
  }

  /** Of each key: how many items it has, and for how long its first one has been tried without an end, ms. */
  *depths(): Iterable<{ readonly key: string; readonly items: number; readonly triedMs: number }> {
    const now = this.now();
    for (const { key, items, firstTriedAt = now } of this.lanes.values()) {
      if (typeof key === 'string') yield { key, items: items.length, triedMs: now - firstTriedAt };
    }
  }

  /**
   * Takes items of a key back, from its end to the first one that `may` not be: in their order. The first item of all stays where it is at work or
   * about to be; one that waits for its retry is taken like the others.
   */
  takeBack(key: string, may: (item: Item) => boolean): Item[] {
    const lane = this.lanes.get(key);
    if (lane === undefined) return [];
    const taken: Item[] = [];
    const kept = lane.cancelRetry === undefined ? 1 : 0;
    while (lane.items.length > kept && may(lane.items.last()!)) taken.push(lane.items.pop()!);
    if (lane.items.length === 0) {
      lane.cancelRetry?.();
      this.forget(lane);
    }
    return taken.toReversed();
  }

  /** Drops what is queued or waits; what is in flight ends without consequence. */
  close(): void {
    this.isClosed = true;
    for (const lane of this.lanes.values()) lane.cancelRetry?.();
    this.lanes.clear();
  }

  forget(lane: Lane<Item>): void {
    this.lanes.delete(lane.key);
  }
}
export type { DispatcherSource };

function startTimer(work: () => void, ms: number): () => void {
  const timer = setTimeout(work, ms);
  return () => clearTimeout(timer);
}
