import { RedisUnavailable } from '#libs/redis';
import { gauge, logger } from '#libs/tracing';
import { Periodically } from '#libs/work';
import type { Demand, LimitStore, Rest } from './limit-store.js';
import { MemoryLimitStore } from './memory-limit.store.js';
import type { RedisLimitStore } from './redis-limit.store.js';

/** While Redis is away, this process takes its share of each limit, less a fifth: the number of processes may have grown since. */
const shareWithoutRedis = 0.8;
/** After a failure Redis is not asked for so long. */
const askAgainAfterMs = 1_000;
const countEveryMs = 10_000;

const degraded = gauge(
  'millrace_limiter_degraded',
  'Is 1 while this process cannot ask Redis and keeps its share of the limits by itself, 0 while limits are shared.',
  {},
);
const log = logger('limits');

/** The limits that processes share over Redis; while that is away, each keeps a share of them by itself. */
export class SharedLimitStore implements LimitStore {
  private readonly own: MemoryLimitStore;
  private readonly counts = new Periodically('counting the processes that share limits', countEveryMs, () => this.count(), {
    atOnce: true,
  });
  private processes = 1;
  private askAgainAtMs = 0;
  private isDegraded = false;

  /** @param now a monotonic clock, in ms */
  constructor(
    private readonly redis: RedisLimitStore,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.own = new MemoryLimitStore(now);
    degraded.set({}, 0);
    this.counts.start();
  }

  take(scope: string, demands: readonly Demand[]): Promise<number> {
    return this.ask(
      () => this.redis.take(scope, demands),
      () =>
        this.own.take(
          scope,
          demands.map((demand) => this.shareOf(demand)),
        ),
    );
  }

  settle(scope: string, demand: Omit<Demand, 'spare'>): Promise<void> {
    return this.ask(
      () => this.redis.settle(scope, demand),
      () => this.own.settle(scope, this.shareOf(demand)),
    );
  }

  note(scope: string, rest: Rest): Promise<void> {
    return this.ask(
      () => this.redis.note(scope, rest),
      () => this.own.note(scope, { ...rest, left: (rest.left * shareWithoutRedis) / this.processes }),
    );
  }

  /** A block is kept here, too, so that it holds if Redis goes away. */
  async block(scope: string, forMs: number): Promise<void> {
    await this.own.block(scope, forMs);
    await this.ask(
      () => this.redis.block(scope, forMs),
      () => Promise.resolve(),
    );
  }

  async close(): Promise<void> {
    await this.counts.stop();
    await this.redis.close();
  }

  private shareOf<D extends { readonly perMinute: number; readonly burst?: number }>(demand: D): D {
    const share = shareWithoutRedis / this.processes;
    const { burst } = demand;
    return { ...demand, perMinute: demand.perMinute * share, ...(burst === undefined ? {} : { burst: burst * share }) };
  }

  private async count(): Promise<void> {
    this.processes = await this.ask(
      () => this.redis.countProcesses(),
      () => Promise.resolve(this.processes),
    );
  }

  private async ask<T>(shared: () => Promise<T>, alone: () => Promise<T>): Promise<T> {
    if (this.now() < this.askAgainAtMs) return alone();
    try {
      const answer = await shared();
      this.tell(false, undefined);
      return answer;
    } catch (error) {
      if (!(error instanceof RedisUnavailable)) throw error;
      this.askAgainAtMs = this.now() + askAgainAfterMs;
      this.tell(true, error);
      return alone();
    }
  }

  private tell(isDegraded: boolean, reason: Error | undefined): void {
    if (this.isDegraded === isDegraded) return;
    this.isDegraded = isDegraded;
    degraded.set({}, isDegraded ? 1 : 0);
    if (isDegraded)
      log.warn({ reason: reason?.message, processes: this.processes }, 'limits are kept by this process alone until Redis is back');
    else log.info('limits are shared over Redis');
  }
}
