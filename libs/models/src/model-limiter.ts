import type { Lane } from '#libs/contracts';
import { lanes } from '#libs/contracts';
import type { Demand, LimitStore } from '#libs/limits';
import { FairQueue } from '#libs/queues';
import { histogram } from '#libs/tracing';
import type { Deadline } from './deadline.js';
import type { LimitLeft, ModelLimits, StatedLimits } from './model-limits.js';
import type { Usage } from './model-provider.js';
import { ModelLimited } from './model.errors.js';

/** The next lane to be served first, again and again: 8 turns of the high one for 3 of the normal and 1 of the low one. */
const turns: readonly Lane[] = ['high', 'high', 'normal', 'high', 'high', 'normal', 'high', 'high', 'low', 'high', 'normal', 'high'];
/** The share of each burst that a lane leaves to those before it. */
const spares: Readonly<Record<Lane, number>> = { high: 0, normal: 0.2, low: 0.4 };
/** A caller that has waited for so long leaves nothing to others, so none waits for ever. */
const patientForMs = 30_000;
/** The longest time for which a provider's 429 stops everybody. */
const longestBlockMs = 600_000;
/** When a limit is whole again, if the provider does not say it. */
const usualResetMs = 60_000;
/** The share of a limit that is left to others who use the key: as much as they may take before an answer tells of it. */
const leftToOthers = 0.1;
/** The store is told of a rest from this multiple of the rate down: long before it has to be spread. */
const plentiful = 2;
/** After a 429 that states no wait the rate falls to this share, and grows by `recovery` in each span without another one. */
const backOff = 0.7;
const recovery = 0.05;
const recoveryMs = 10_000;
const leastFactor = 0.05;
/** Tokens of an answer until some were counted. */
const outputTokensAtFirst = 500;
/** The weight of a new answer in the average. */
const newest = 0.1;
const charactersPerToken = 4;

const waits = histogram(
  'millrace_model_limiter_wait_seconds',
  'How long calls waited for their turn at a model whose rate is limited; those that did not wait are not counted.',
  { model: 'the model, as the flow names it', lane: lanes },
);

/** A caller who wants to call a model. */
export interface TurnRequest {
  readonly lane: Lane;
  /** Callers of one owner take turns with those of others. */
  readonly owner: string;
  /** Characters that are sent. */
  readonly characters: number;
  readonly maxOutputTokens: number | undefined;
  readonly deadline: Deadline;
  /** A wait that is known to be longer is not begun. Default: the deadline. */
  readonly patienceMs?: number | undefined;
}

/** The permission for one call. */
export interface CallTurn {
  /** Puts what the call really used in the place of what was taken for it. Without usage, it used no tokens. */
  settle(usage: Usage | undefined): void;
}

interface Waiter {
  readonly request: TurnRequest;
  readonly since: number;
  readonly tokens: number;
  hasEnded: boolean;
  go(): void;
  fail(error: unknown): void;
}

export interface ModelLimiterOptions {
  /** Names the model and the credential among all that the store limits. */
  scope: string;
  model: string;
  store: LimitStore;
  clock: { readonly now: () => number; readonly sleep: (ms: number, signal: AbortSignal) => Promise<void> };
  /** The configured limits. Those of the provider are learned from its answers, and the lower ones hold. */
  limits: ModelLimits;
}

/** Lets calls of one model go at the rate that its provider allows, by lane, and in turns of owners within a lane. */
export class ModelLimiter {
  private readonly queues: Readonly<Record<Lane, FairQueue<Waiter>>> = {
    high: new FairQueue(),
    normal: new FairQueue(),
    low: new FairQueue(),
  };
  /** The first caller of each lane, once it was taken from the queue. */
  private readonly heads: Partial<Record<Lane, Waiter>> = {};
  private waiting = 0;
  private turn = 0;
  private isPumping = false;
  private interrupt: (() => void) | undefined;
  /** Set by what may let somebody go earlier than was just found. */
  private isWoken = false;
  private learned: ModelLimits = {};
  private factor = 1;
  private factorChangedAtMs: number;
  private outputTokens = outputTokensAtFirst;
  private blockedUntilMs = 0;
  /** Units that calls under way were given. Their answers do not say yet what they leave. */
  private readonly flying = { requests: 0, tokens: 0 };
  /** Until when the store goes by what it was told is left. */
  private readonly toldUntilMs = { requests: 0, tokens: 0 };

  constructor(private readonly options: ModelLimiterOptions) {
    this.factorChangedAtMs = options.clock.now();
  }

  /**
   * Waits for a turn.
   * @throws ModelLimited if there is none before the deadline or within the patience; the reason of the deadline's signal if its caller ended it
   */
  async take(request: TurnRequest): Promise<CallTurn> {
    const tokens = this.estimate(request);
    if (this.isFree() || (await this.goesAtOnce(request, tokens))) return this.turnOf(tokens);
    const patienceMs = Math.min(request.patienceMs ?? Infinity, request.deadline.remainingMs);
    const expectedMs = this.expectedWaitMs();
    if (expectedMs > patienceMs) throw this.limited(expectedMs);
    await this.wait(request, tokens, patienceMs);
    return this.turnOf(tokens);
  }

  /** Notes the limits that a response names, and what it says is left of them. */
  learn({ requestsPerMinute, tokensPerMinute, requestsLeft, tokensLeft }: StatedLimits): void {
    this.learned = {
      requestsPerMinute: requestsPerMinute ?? this.learned.requestsPerMinute,
      tokensPerMinute: tokensPerMinute ?? this.learned.tokensPerMinute,
    };
    this.noteLeft('requests', requestsLeft, this.limitOf('requestsPerMinute'));
    this.noteLeft('tokens', tokensLeft, this.limitOf('tokensPerMinute'));
  }

  /** Notes a 429. @param retryAfterMs the wait that the provider asked for; undefined if it named none */
  noteLimited(retryAfterMs: number | undefined): void {
    const nowMs = this.options.clock.now();
    if (retryAfterMs === undefined) {
      this.factor = Math.max(leastFactor, this.currentFactor(nowMs) * backOff);
      this.factorChangedAtMs = nowMs;
      return;
    }
    const forMs = Math.min(retryAfterMs, longestBlockMs);
    this.blockedUntilMs = Math.max(this.blockedUntilMs, nowMs + forMs);
    this.background(this.options.store.block(this.options.scope, forMs));
  }

  /**
   * Others may use the key, too: what is left for all of them is spread until the limit is whole again, but for a tenth of the limit. Calls under way are
   * taken off, because the provider may not have counted them.
   */
  private noteLeft(key: 'requests' | 'tokens', left: LimitLeft | undefined, perMinute: number | undefined): void {
    if (left === undefined || perMinute === undefined) return;
    const nowMs = this.options.clock.now();
    const forMs = Math.min(left.resetMs ?? usualResetMs, longestBlockMs);
    const units = Math.max(0, left.units - this.flying[key] - leftToOthers * perMinute);
    const isPlenty = units * 60_000 >= plentiful * perMinute * forMs;
    if (forMs <= 0 || (isPlenty && this.toldUntilMs[key] <= nowMs)) return;
    this.toldUntilMs[key] = isPlenty ? 0 : nowMs + forMs;
    const noted = this.options.store.note(this.options.scope, { key, left: units, forMs });
    this.background(noted.then(() => this.wake())); // somebody may go earlier now
  }

  /** True if nothing limits the model as far as is known, so no turn is needed. */
  private isFree(): boolean {
    return (
      this.waiting === 0 &&
      this.limitOf('requestsPerMinute') === undefined &&
      this.limitOf('tokensPerMinute') === undefined &&
      this.blockedMs() <= 0
    );
  }

  /** Takes a turn without the queue, which costs more, if nobody is in it. */
  private async goesAtOnce({ lane }: TurnRequest, tokens: number): Promise<boolean> {
    if (this.waiting > 0 || this.blockedMs() > 0) return false;
    return (await this.ask(tokens, spares[lane])) === 0;
  }

  private blockedMs(): number {
    return this.blockedUntilMs - this.options.clock.now();
  }

  private limitOf(name: keyof ModelLimits): number | undefined {
    const { [name]: configured } = this.options.limits;
    const { [name]: learned } = this.learned;
    const limit = Math.min(configured ?? Infinity, learned ?? Infinity);
    return limit === Infinity || limit <= 0 ? undefined : limit * this.currentFactor(this.options.clock.now());
  }

  private currentFactor(nowMs: number): number {
    return Math.min(1, this.factor + recovery * Math.floor((nowMs - this.factorChangedAtMs) / recoveryMs));
  }

  private estimate({ characters, maxOutputTokens }: TurnRequest): number {
    return Math.ceil(characters / charactersPerToken) + Math.min(maxOutputTokens ?? Infinity, Math.ceil(this.outputTokens * 1.5));
  }

  private expectedWaitMs(): number {
    const perMinute = this.limitOf('requestsPerMinute');
    const ahead = perMinute === undefined ? 0 : (this.waiting * 60_000) / perMinute;
    return Math.max(0, this.blockedMs()) + ahead;
  }

  private wait(request: TurnRequest, tokens: number, patienceMs: number): Promise<void> {
    const { clock, model } = this.options;
    const { signal } = request.deadline;
    const since = clock.now();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const ended = new AbortController();
    const settle = (then: () => void): void => {
      if (waiter.hasEnded) return;
      waiter.hasEnded = true;
      this.waiting -= 1;
      signal.removeEventListener('abort', abort);
      ended.abort();
      then();
    };
    const waiter: Waiter = {
      request,
      since,
      tokens,
      hasEnded: false,
      go: () =>
        settle(() => {
          const waitedMs = clock.now() - since;
          if (waitedMs >= 1) waits.observe({ model, lane: request.lane }, waitedMs / 1_000);
          resolve();
        }),
      fail: (error) => settle(() => reject(error)),
    };
    const abort = (): void => waiter.fail(request.deadline.passed ? this.limited(0) : signal.reason);
    this.waiting += 1;
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    this.queues[request.lane].push(request.owner, waiter);
    if (request.patienceMs !== undefined && patienceMs < request.deadline.remainingMs) this.impatient(waiter, patienceMs, ended.signal);
    this.wake();
    void this.pump();
    return promise;
  }

  private impatient(waiter: Waiter, patienceMs: number, signal: AbortSignal): void {
    this.options.clock.sleep(patienceMs, signal).then(
      () => waiter.fail(this.limited(this.expectedWaitMs())),
      () => undefined,
    );
  }

  /** Lets callers go one after another, until none waits. */
  private async pump(): Promise<void> {
    if (this.isPumping) return;
    this.isPumping = true;
    try {
      while (this.waiting > 0) {
        this.isWoken = false;
        const waitMs = await this.letOneGo();
        if (waitMs > 0 && this.waiting > 0) await this.pause(waitMs);
      }
    } catch (error) {
      this.failAll(error);
    } finally {
      this.isPumping = false;
    }
  }

  /** @returns 0 if a caller went, or the ms after which one may */
  private async letOneGo(): Promise<number> {
    const blockedMs = this.blockedMs();
    if (blockedMs > 0) return blockedMs;
    const [first, ...others] = this.lanesInOrder();
    if (first === undefined) return 0;
    const least = spares[lanes.find((lane) => this.heads[lane] !== undefined)!];
    let waitMs = Infinity;
    for (const lane of [first, ...others]) {
      const waiter = this.heads[lane]!;
      const isOld = this.options.clock.now() - waiter.since >= patientForMs;
      const laneWaitMs = await this.ask(waiter.tokens, isOld ? 0 : lane === first ? least : spares[lane]);
      if (laneWaitMs === 0) {
        delete this.heads[lane];
        this.turn += 1;
        waiter.go();
        return 0;
      }
      waitMs = Math.min(waitMs, laneWaitMs);
    }
    return waitMs;
  }

  /** The lanes with callers: the one whose turn it is, then the others, the highest first. */
  private lanesInOrder(): Lane[] {
    const present = lanes.filter((lane) => this.headOf(lane) !== undefined);
    const first = present.includes(turns[this.turn % turns.length]!) ? turns[this.turn % turns.length] : present[0];
    return first === undefined ? [] : [first, ...present.filter((lane) => lane !== first)];
  }

  private headOf(lane: Lane): Waiter | undefined {
    let head = this.heads[lane] ?? this.queues[lane].shift();
    while (head?.hasEnded === true) head = this.queues[lane].shift();
    if (head === undefined) delete this.heads[lane];
    else this.heads[lane] = head;
    return head;
  }

  private ask(tokens: number, spare: number): Promise<number> {
    const demands = this.demands(tokens, spare);
    return demands.length === 0 ? Promise.resolve(0) : this.options.store.take(this.options.scope, demands);
  }

  private demands(tokens: number, spare: number): Demand[] {
    const requests = this.limitOf('requestsPerMinute');
    const perMinute = this.limitOf('tokensPerMinute');
    return [
      ...(requests === undefined ? [] : [{ key: 'requests', perMinute: requests, cost: 1, spare }]),
      ...(perMinute === undefined ? [] : [{ key: 'tokens', perMinute, cost: tokens, spare }]),
    ];
  }

  private wake(): void {
    this.isWoken = true;
    this.interrupt?.();
  }

  /** Sleeps until the time, or until somebody may go earlier. */
  private async pause(ms: number): Promise<void> {
    if (this.isWoken) return;
    const waking = new AbortController();
    this.interrupt = () => waking.abort();
    try {
      await this.options.clock.sleep(ms, waking.signal);
    } catch (error) {
      if (!waking.signal.aborted) throw error;
    } finally {
      this.interrupt = undefined;
    }
  }

  private failAll(error: unknown): void {
    for (const lane of lanes) for (let head = this.headOf(lane); head !== undefined; head = this.headOf(lane)) head.fail(error);
  }

  private turnOf(tokens: number): CallTurn {
    const taken = this.limitOf('tokensPerMinute') === undefined ? 0 : tokens;
    let isSettled = false;
    this.flying.requests += 1;
    this.flying.tokens += tokens;
    return {
      settle: (usage) => {
        if (isSettled) return;
        isSettled = true;
        this.flying.requests -= 1;
        this.flying.tokens -= tokens;
        const used = (usage?.inputTokens ?? 0) + (usage?.outputTokens ?? 0);
        if (usage?.outputTokens !== undefined) this.outputTokens += newest * (usage.outputTokens - this.outputTokens);
        const perMinute = this.limitOf('tokensPerMinute');
        if (perMinute === undefined || used === taken) return;
        const settled = this.options.store.settle(this.options.scope, { key: 'tokens', perMinute, cost: used - taken });
        this.background(settled.then(() => this.wake())); // somebody may go earlier now
      },
    };
  }

  private limited(retryAfterMs: number): ModelLimited {
    const message = `The rate of the model ${this.options.model} is used up: its turn does not come in time`;
    return new ModelLimited(message, { retryAfterMs: Math.max(1_000, Math.ceil(retryAfterMs)) });
  }

  /** A store that fails keeps its limits by itself; what it could not note is lost. */
  private background(work: Promise<void>): void {
    void work.catch(() => undefined);
  }
}
