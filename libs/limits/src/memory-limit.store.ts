import { paceOf, restWaitMs, roundingMs } from './limit-store.js';
import type { Demand, KeptRest, LimitStore, Rest } from './limit-store.js';

/** The limits of one process. */
export class MemoryLimitStore implements LimitStore {
  /** When the next unit would be due if units came evenly, by scope and key. */
  private readonly dueMs = new Map<string, number>();
  private readonly blockedUntilMs = new Map<string, number>();
  private readonly rests = new Map<string, KeptRest>();
  private sweptAtMs = 0;

  /** @param now a monotonic clock, in ms */
  constructor(private readonly now: () => number = () => performance.now()) {}

  take(scope: string, demands: readonly Demand[]): Promise<number> {
    const nowMs = this.now();
    this.sweep(nowMs);
    const blockedMs = (this.blockedUntilMs.get(scope) ?? 0) - nowMs;
    if (blockedMs > 0) return Promise.resolve(Math.ceil(blockedMs));
    const taken = demands.map((demand) => {
      const { unitMs, aheadMs } = paceOf(demand);
      const place = `${scope}/${demand.key}`;
      const dueMs = Math.max(nowMs, this.dueMs.get(place) ?? 0) + demand.cost * unitMs;
      const rest = this.rests.get(place);
      const overMs = dueMs - nowMs - aheadMs;
      return { place, dueMs, rest, cost: demand.cost, overMs: Math.max(overMs, restWaitMs(rest, demand.cost, unitMs, nowMs)) - roundingMs };
    });
    const waitMs = Math.max(0, ...taken.map(({ overMs }) => overMs));
    if (waitMs > 0) return Promise.resolve(Math.ceil(waitMs));
    for (const { place, dueMs, rest, cost } of taken) {
      this.dueMs.set(place, dueMs);
      if (rest !== undefined) this.rests.set(place, { ...rest, left: rest.left - cost, last: { cost, atMs: nowMs } });
    }
    return Promise.resolve(0);
  }

  settle(scope: string, { key, perMinute, cost }: Omit<Demand, 'spare'>): Promise<void> {
    const nowMs = this.now();
    const place = `${scope}/${key}`;
    const { unitMs } = paceOf({ key, perMinute, cost, spare: 0 });
    this.dueMs.set(place, Math.max(nowMs, this.dueMs.get(place) ?? 0) + cost * unitMs);
    return Promise.resolve();
  }

  note(scope: string, { key, left, forMs }: Rest): Promise<void> {
    const place = `${scope}/${key}`;
    const notedAtMs = this.now();
    this.rests.set(place, { left, notedAtMs, untilMs: notedAtMs + forMs, last: this.rests.get(place)?.last ?? { cost: 0, atMs: 0 } });
    return Promise.resolve();
  }

  block(scope: string, forMs: number): Promise<void> {
    const untilMs = this.now() + forMs;
    this.blockedUntilMs.set(scope, Math.max(untilMs, this.blockedUntilMs.get(scope) ?? 0));
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Forgets what limits nothing any more. */
  private sweep(nowMs: number): void {
    if (nowMs - this.sweptAtMs < 60_000) return;
    this.sweptAtMs = nowMs;
    for (const times of [this.dueMs, this.blockedUntilMs]) for (const [place, untilMs] of times) if (untilMs <= nowMs) times.delete(place);
    for (const [place, { untilMs }] of this.rests) if (untilMs <= nowMs) this.rests.delete(place);
  }
}
