import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryLimitStore } from '#libs/limits';
import { Deadline } from './deadline.js';
import { ModelLimiter } from './model-limiter.js';
import type { CallTurn, TurnRequest } from './model-limiter.js';
import type { ModelLimits } from './model-limits.js';
import { ModelLimited } from './model.errors.js';

/** A clock that goes on when everybody waits: at each step to the next time at which somebody wakes. */
class SteppedClock {
  private nowMs = 0;
  private readonly sleepers: { atMs: number; wake: () => void }[] = [];

  readonly now = (): number => this.nowMs;

  readonly sleep = (ms: number, signal: AbortSignal): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.sleepers.push({ atMs: this.nowMs + ms, wake: resolve });
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    return promise;
  };

  /** Lets time pass, and everybody who wakes act, up to the time. */
  async to(ms: number): Promise<void> {
    for (;;) {
      await settled();
      const next = this.sleepers.toSorted((one, other) => one.atMs - other.atMs)[0];
      if (next === undefined || next.atMs > ms) break;
      this.sleepers.splice(this.sleepers.indexOf(next), 1);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.wake();
    }
    this.nowMs = ms;
    await settled();
  }
}

/** Resolves when everything that can go on without time has. */
async function settled(): Promise<void> {
  for (let round = 0; round < 20; round += 1) await new Promise((resolve) => setImmediate(resolve));
}

let clock: SteppedClock;
let store: MemoryLimitStore;
beforeEach(() => {
  clock = new SteppedClock();
  store = new MemoryLimitStore(clock.now);
});

const limiterOf = (limits: ModelLimits, scope = 'acme/mine/m'): ModelLimiter =>
  new ModelLimiter({ scope, model: 'm', store, clock, limits });
const forever = new Deadline(24 * 3_600_000, undefined, () => 0);
const ask = (more: Partial<TurnRequest> = {}): TurnRequest => ({
  lane: 'normal',
  owner: 'c-1',
  characters: 400,
  maxOutputTokens: 100,
  deadline: forever,
  ...more,
});

/** Takes turns one after another until the time, and returns when each came. */
async function turnsUntil(limiter: ModelLimiter, ms: number, requests: TurnRequest[]): Promise<{ at: number; request: TurnRequest }[]> {
  const came: { at: number; request: TurnRequest }[] = [];
  for (const request of requests) {
    limiter.take(request).then(
      () => came.push({ at: clock.now(), request }),
      () => undefined,
    );
  }
  await clock.to(ms);
  return came;
}
const many = (count: number, more: Partial<TurnRequest> = {}): TurnRequest[] => Array.from({ length: count }, () => ask(more));

describe('turns at a model', () => {
  it('come at once while nothing is known to limit it', async () => {
    expect(await turnsUntil(limiterOf({}), 0, many(1_000))).toHaveLength(1_000);
  });

  it('use nearly all of the limit, and never more of it in a minute', async () => {
    const came = await turnsUntil(limiterOf({ requestsPerMinute: 600 }), 180_000, many(3_000));
    const within = (from: number): number => came.filter(({ at }) => at >= from && at < from + 60_000).length;
    for (let from = 0; from <= 120_000; from += 1_000) {
      expect(within(from)).toBeLessThanOrEqual(600);
      expect(within(from)).toBeGreaterThanOrEqual(570);
    }
  });

  it('are limited by tokens, too: those that are sent and those that may come back', async () => {
    const came = await turnsUntil(limiterOf({ tokensPerMinute: 6_000 }), 60_000, many(100)); // 100 in and 100 out each
    expect(came.length).toBeLessThanOrEqual(30);
    expect(came.length).toBeGreaterThanOrEqual(28);
  });

  it('give back the tokens that a call did not use', async () => {
    const limiter = limiterOf({ tokensPerMinute: 6_000 });
    const turns: CallTurn[] = [];
    for (const request of many(100))
      void limiter.take(request).then((turn) => (turn.settle({ inputTokens: 100, outputTokens: 0 }), turns.push(turn)));
    await clock.to(60_000);
    expect(turns.length).toBeGreaterThanOrEqual(56);
  });

  it('come by lane, without leaving the low one without any', async () => {
    const requests = (['low', 'normal', 'high'] as const).flatMap((lane) => many(600, { lane }));
    const came = await turnsUntil(limiterOf({ requestsPerMinute: 600 }), 60_000, requests);
    const of = (lane: string): number => came.filter(({ request }) => request.lane === lane).length;
    expect(of('high')).toBeGreaterThan(2 * of('normal'));
    expect(of('normal')).toBeGreaterThan(2 * of('low'));
    expect(of('low')).toBeGreaterThan(20);
  });

  it('leave a part of the burst to the high lane: it need not wait behind a busy normal one', async () => {
    const limiter = limiterOf({ requestsPerMinute: 6_000 });
    await turnsUntil(limiter, 1_005, many(1_000));
    const [high] = await turnsUntil(limiter, 1_006, [ask({ lane: 'high' })]);
    expect(high).toBeDefined();
  });

  it('are shared evenly by owners, however many calls one of them has', async () => {
    const came = await turnsUntil(limiterOf({ requestsPerMinute: 600 }), 10_000, [
      ...many(500, { owner: 'c-1' }),
      ...many(30, { owner: 'c-2' }),
    ]);
    expect(came.filter(({ request }) => request.owner === 'c-2')).toHaveLength(30);
  });

  it('are shared by all processes with the same credential and model', async () => {
    const limiters = Array.from({ length: 4 }, () => limiterOf({ requestsPerMinute: 600 }));
    const came = await Promise.all(limiters.map((limiter) => turnsUntil(limiter, 0, many(400))));
    await clock.to(60_000);
    const all = came.flat().length;
    expect(all).toBeLessThanOrEqual(600);
    expect(all).toBeGreaterThanOrEqual(570);
  });
});

describe('the limits', () => {
  it('are the lower ones of those that are configured and those that the provider names', async () => {
    const limiter = limiterOf({ requestsPerMinute: 600 });
    limiter.learn({ requestsPerMinute: 60, tokensPerMinute: undefined });
    expect((await turnsUntil(limiter, 60_000, many(300))).length).toBeLessThanOrEqual(60);
  });

  it('are learned where none is configured', async () => {
    const limiter = limiterOf({});
    limiter.learn({ requestsPerMinute: 60 });
    expect((await turnsUntil(limiter, 60_000, many(300))).length).toBeLessThanOrEqual(60);
  });

  it('stop everybody for as long as a 429 says', async () => {
    const [one, other] = [limiterOf({ requestsPerMinute: 600 }), limiterOf({ requestsPerMinute: 600 })];
    one.noteLimited(5_000);
    expect(await turnsUntil(other, 4_990, many(5))).toEqual([]);
    await clock.to(6_000);
    expect(await turnsUntil(other, 6_100, many(1))).toHaveLength(1);
  });

  it('are lowered by a 429 that says nothing, and come back step by step', async () => {
    const limiter = limiterOf({ requestsPerMinute: 600 });
    for (let time = 0; time < 6; time += 1) limiter.noteLimited(undefined);
    const slow = (await turnsUntil(limiter, 10_000, many(600))).length;
    expect(slow).toBeLessThan(25);
    await clock.to(300_000);
    const before = clock.now();
    const came = await turnsUntil(limiter, before + 10_000, many(600));
    expect(came.length).toBeGreaterThan(90);
  });
});

describe('a caller', () => {
  const full = async (): Promise<ModelLimiter> => {
    const limiter = limiterOf({ requestsPerMinute: 60 });
    await turnsUntil(limiter, 0, many(30));
    return limiter;
  };

  it('is told at once if its turn cannot come in time, with the wait', async () => {
    const limiter = await full();
    const deadline = new Deadline(5_000, undefined, clock.now);
    const failure = await limiter.take(ask({ deadline })).catch((error: unknown) => error as ModelLimited);
    expect(failure).toBeInstanceOf(ModelLimited);
    expect((failure as ModelLimited).retryAfterMs).toBeGreaterThan(20_000);
  });

  it('with another model behind it waits no longer than it has patience for', async () => {
    const limiter = limiterOf({ requestsPerMinute: 60 });
    await turnsUntil(limiter, 0, many(1)); // the burst
    const failures: unknown[] = [];
    void limiter.take(ask({ patienceMs: 100 })).catch((error: unknown) => failures.push(error));
    await clock.to(150);
    expect(failures).toEqual([expect.any(ModelLimited)]);
    expect(await turnsUntil(limiter, 2_000, many(1)), 'it left no gap').toHaveLength(1);
  });

  it('that gives up leaves its turn to the next one, with its own reason', async () => {
    const limiter = await full();
    const caller = new AbortController();
    const taken = limiter.take(ask({ deadline: new Deadline(120_000, caller.signal, clock.now) }));
    caller.abort(new Error('the claim is lost'));
    await expect(taken).rejects.toThrow('the claim is lost');
    await clock.to(40_000);
    expect(await turnsUntil(limiter, 42_000, many(1))).toHaveLength(1);
  });

  it('whose deadline passes while it waits learns that the rate is used up', async () => {
    const limiter = limiterOf({ requestsPerMinute: 60 });
    await turnsUntil(limiter, 0, many(1));
    const real = new Deadline(30, undefined, () => performance.now());
    await expect(limiter.take(ask({ deadline: real }))).rejects.toBeInstanceOf(ModelLimited);
  });
});
