import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryLimitStore } from '#libs/limits';
import { Deadline } from './deadline.js';
import { ModelLimiter } from './model-limiter.js';
import type { CallTurn, TurnRequest } from './model-limiter.js';
import type { ModelLimits, StatedLimits } from './model-limits.js';
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

/** A provider that keeps a limit for all who use a key, of whom others take a steady part of it. */
class SharedKey {
  refused = 0;
  answered = 0;
  private level: number;
  private atMs = 0;

  constructor(
    private readonly perMinute: number,
    private readonly othersShare: number,
    /** `window`: the limit is whole again at each minute; `bucket`: it fills evenly. */
    private readonly kind: 'window' | 'bucket',
  ) {
    this.level = perMinute;
  }

  /** Takes one request. @returns what the headers of its answer say */
  take(): StatedLimits {
    this.pass();
    if (this.level < 1) this.refused += 1;
    else this.answered += 1;
    this.level = Math.max(0, this.level - 1);
    const untilWholeMs = this.kind === 'window' ? 60_000 - (this.atMs % 60_000) : ((this.perMinute - this.level) / this.perMinute) * 60_000;
    return { requestsPerMinute: this.perMinute, requestsLeft: { units: Math.floor(this.level), resetMs: Math.ceil(untilWholeMs) } };
  }

  private pass(): void {
    const nowMs = clock.now();
    const unitsOf = (ms: number): number => (ms / 60_000) * this.perMinute;
    if (this.kind === 'bucket') {
      const gained = unitsOf(nowMs - this.atMs) * (1 - this.othersShare);
      this.level = Math.min(this.perMinute, Math.max(0, this.level + gained));
    } else {
      const windowMs = nowMs - (nowMs % 60_000);
      if (windowMs > this.atMs) this.level = this.perMinute;
      this.level = Math.max(0, this.level - unitsOf(nowMs - Math.max(windowMs, this.atMs)) * this.othersShare);
    }
    this.atMs = nowMs;
  }
}

describe('a key that others use, too', () => {
  /** Keeps a number of callers at the model for five minutes. */
  async function load(
    key: SharedKey,
    limiters: ModelLimiter[],
    { latencyMs, callers }: { latencyMs: number; callers: number },
  ): Promise<void> {
    const ended = new AbortController();
    const caller = async (limiter: ModelLimiter): Promise<void> => {
      while (!ended.signal.aborted) {
        const turn = await limiter.take(ask());
        const stated = key.take();
        await clock.sleep(latencyMs, ended.signal);
        turn.settle({ inputTokens: 100, outputTokens: 100 });
        limiter.learn(stated);
      }
    };
    for (let at = 0; at < callers; at += 1) void caller(limiters[at % limiters.length]!).catch(() => undefined);
    await clock.to(300_000);
    ended.abort(new Error('the test is over'));
  }

  it.each<[kind: 'window' | 'bucket', othersShare: number, latencyMs: number, processes: number]>([
    ['bucket', 0, 1_000, 1],
    ['bucket', 0.5, 1_000, 1],
    ['bucket', 0.5, 8_000, 3],
    ['bucket', 0.9, 1_000, 3],
    ['window', 0, 1_000, 1],
    ['window', 0.5, 1_000, 1],
    ['window', 0.5, 8_000, 3],
    ['window', 0.9, 1_000, 3],
  ])(
    'is never overused, and what the others leave is used: a %s of which they take %d, answers after %d ms, %d processes',
    async (...given) => {
      const [kind, othersShare, latencyMs, processes] = given;
      const key = new SharedKey(60, othersShare, kind);
      const limiters = Array.from({ length: processes }, () => limiterOf({ requestsPerMinute: 120 }));
      await load(key, limiters, { latencyMs, callers: 24 });
      expect(key.refused).toBe(0);
      expect(key.answered / (300 * (1 - othersShare))).toBeGreaterThan(0.75);
    },
  );

  it('is left alone while nothing is left of it, and called again when it is whole', async () => {
    const limiter = limiterOf({ requestsPerMinute: 600 });
    limiter.learn({ requestsLeft: { units: 0, resetMs: 30_000 } });
    expect(await turnsUntil(limiter, 29_990, many(5))).toEqual([]);
    await clock.to(31_000);
    expect(await turnsUntil(limiter, 31_100, many(1))).toHaveLength(1);
  });

  it('gives calls at once where much more is left than the rate takes', async () => {
    const limiter = limiterOf({ requestsPerMinute: 600 });
    limiter.learn({ requestsLeft: { units: 599, resetMs: 100 } });
    expect(await turnsUntil(limiter, 10, many(17, { lane: 'high' }))).toHaveLength(17);
  });

  it('has what calls under way will use taken off', async () => {
    const limiter = limiterOf({ requestsPerMinute: 600 });
    await turnsUntil(limiter, 10, many(5));
    limiter.learn({ requestsLeft: { units: 65, resetMs: 50_000 } });
    expect(await turnsUntil(limiter, 49_000, many(1))).toEqual([]);
  });

  it('is spread by tokens, too', async () => {
    const limiter = limiterOf({ tokensPerMinute: 60_000 });
    limiter.learn({ tokensLeft: { units: 16_000, resetMs: 50_000 } });
    const came = await turnsUntil(limiter, 49_000, many(100));
    expect(came.length, 'of 200 tokens each; a tenth of the limit is left to others').toBeLessThanOrEqual(50);
    expect(came[1]!.at, 'evenly').toBeGreaterThanOrEqual(900);
  });
});
